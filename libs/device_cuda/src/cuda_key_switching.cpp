// Gadget decomposition, inner product with a key, division by P and dropped primes, and the way back up.
#include <algorithm>
#include <cassert>

#include "cuda_backend.hpp"

namespace brainlock::device_cuda {
namespace {

/// The instance of a conversion kernel for this many sources.
unsigned conversion_variant(unsigned sources) { return sources <= 4 ? 4 : sources <= 8 ? 8 : 15; }

std::uint32_t chunks_of_targets(std::uint32_t targets) {
  return (targets + gpu::kTargetsPerThread - 1) / gpu::kTargetsPerThread;
}

/// Calls work(first, count) for pieces of at most `most` neighbours with equal `lifted`.
template <typename Job, typename Work>
Status in_uniform_pieces(std::span<const Job> batch, std::size_t most, const Work& work) {
  for (std::size_t first = 0; first < batch.size();) {
    std::size_t count = 1;
    while (first + count < batch.size() && count < most && batch[first + count].lifted == batch[first].lifted) ++count;
    BRAINLOCK_TRY(work(batch.subspan(first, count)));
    first += count;
  }
  return {};
}

}  // namespace

Status CudaBackend::make_digits(std::uint32_t limbs, bool lifted, std::uint32_t pieces, std::span<const Source> sources) {
  const std::uint32_t rows = limbs + ring_.p_count, digits = ring_.digits(limbs);
  const LevelTables& level = tables_.level[limbs];
  const std::size_t words = rows * degree_;
  BRAINLOCK_ASSIGN(device::Buffer coefficients, pool_->allocate(sources.size() * words));

  // Coefficients, scaled to be sources of the conversions.
  gpu::NttArguments inverse = ntt_arguments(gpu::row_map(0, limbs, 1, 1, true, false),
                                            lifted ? level.lifted_sources : level.packed_sources);
  for (std::size_t j = 0; j < sources.size(); ++j) inverse.jobs[j] = {sources[j].c1, coefficients.data() + j * words, nullptr, nullptr};
  transform(false, inverse, lifted ? rows : limbs, sources.size());

  gpu::ConvertDigitsArguments convert{};
  convert.ring = tables_.ring;
  convert.tables = level.digits;
  convert.limbs = limbs;
  convert.digits = digits;
  convert.pieces = pieces;
  gpu::NttArguments forward = ntt_arguments(
      gpu::row_map(0, limbs, digits, pieces, false, !lifted), nullptr);
  for (std::size_t j = 0; j < sources.size(); ++j) {
    convert.jobs[j] = {coefficients.data() + j * words, sources[j].digits};
    forward.jobs[j] = {sources[j].digits, sources[j].digits, nullptr, nullptr};
  }
  if (lifted) {
    const gpu::DivideDigitsArguments divide{.digits = convert, .by_p = level.by_p, .prepared_inverse = level.prepared_inverse, .unprepare = level.unprepare};
    launch_words(gpu::Kernel::kDivideDigits, digits, sources.size(), divide, conversion_variant(std::max(level.digit_sources, level.by_p.sources)));
  } else {
    launch_words(gpu::Kernel::kConvertDigits, digits * chunks_of_targets(rows), sources.size(), convert, conversion_variant(level.digit_sources));
  }
  transform(true, forward, rows * digits, sources.size());
  return driver_->status();
}

void CudaBackend::launch_switch(unsigned rows, std::size_t jobs, const gpu::SwitchArguments& arguments) {
  launch(gpu::Kernel::kSwitchKeys, 0, {static_cast<unsigned>(degree_ / gpu::kPointThreads), static_cast<unsigned>(jobs), rows}, gpu::kPointThreads, 0,
         arguments);
}

Status CudaBackend::decompose(const Stream& stream, std::uint32_t limbs, std::span<const device::Decompose> batch) {
  const std::uint32_t rows = limbs + ring_.p_count, digits = ring_.digits(limbs);
  return in_uniform_pieces(batch, jobs_at_once(rows * degree_), [&](std::span<const device::Decompose> jobs) -> Status {
    if (stream.stopped()) return {};
    gpu::PlaceArguments place{};
    place.ring = tables_.ring;
    place.limbs = limbs;
    place.digits = digits;
    std::vector<Source> sources;
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      place.jobs[j] = {jobs[j].c0, jobs[j].c1, jobs[j].digits, jobs[j].lifted ? 1u : 0u};
      sources.push_back({jobs[j].c1, jobs[j].digits});
    }
    launch_words(gpu::Kernel::kPlaceDigits, rows, jobs.size(), place);
    return make_digits(limbs, jobs[0].lifted, digits + 1, sources);
  });
}

void CudaBackend::switch_keys(const Stream& stream, std::uint32_t limbs, std::span<const device::SwitchKey> batch) {
  const std::uint32_t digits = ring_.digits(limbs);
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::SwitchArguments arguments{};
    arguments.ring = tables_.ring;
    arguments.limbs = limbs;
    arguments.digits = digits;
    for (std::size_t i = 0; i < count; ++i) {
      const device::SwitchKey& job = batch[first + i];
      assert(job.key->limbs >= limbs && job.key->digits >= digits);
      // c0 lies beside the digits; its words are pieces of the limb like theirs, so it is read with their stride.
      arguments.jobs[i] = {.digits = job.digits, .own = nullptr, .key = job.key->words.data(),
                           .addend = job.add_c0 ? job.digits + digits * degree_ : nullptr, .base0 = job.base0, .base1 = job.base1,
                           .out0 = job.out0, .out1 = job.out1, .key_limbs = job.key->limbs, .key_digits = job.key->digits,
                           .galois_element = job.key->galois_element,
                           .addend_kind = job.add_c0 ? gpu::kPlainAddend : gpu::kNoAddend, .base_limbs = job.base_limbs,
                           .pieces = digits + 1, .addend_stride = digits + 1};
    }
    launch_switch(limbs + ring_.p_count, count, arguments);
  });
}

Status CudaBackend::switch_once(const Stream& stream, std::uint32_t limbs, std::span<const device::SwitchOnce> batch) {
  const std::uint32_t rows = limbs + ring_.p_count, digits = ring_.digits(limbs);
  const std::size_t digit_words = rows * digits * degree_;
  return in_uniform_pieces(batch, jobs_at_once(digit_words + rows * degree_), [&](std::span<const device::SwitchOnce> jobs) -> Status {
    if (stream.stopped()) return {};
    BRAINLOCK_ASSIGN(device::Buffer made, pool_->allocate(jobs.size() * digit_words));
    gpu::SwitchArguments arguments{};
    arguments.ring = tables_.ring;
    arguments.limbs = limbs;
    arguments.digits = digits;
    std::vector<Source> sources;
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      const device::SwitchOnce& job = jobs[j];
      assert(job.key->limbs >= limbs && job.key->digits >= digits);
      Word* const here = made.data() + j * digit_words;
      sources.push_back({job.c1, here});
      arguments.jobs[j] = {.digits = here, .own = job.lifted ? nullptr : job.c1, .key = job.key->words.data(), .addend = job.c0,
                           .base0 = job.base0, .base1 = job.base1, .out0 = job.out0, .out1 = job.out1, .key_limbs = job.key->limbs,
                           .key_digits = job.key->digits, .galois_element = job.key->galois_element,
                           .addend_kind = job.c0 == nullptr ? gpu::kNoAddend : job.lifted ? gpu::kPlainAddend : gpu::kTimesP,
                           .base_limbs = job.base_limbs, .pieces = digits, .addend_stride = 1};
    }
    BRAINLOCK_TRY(make_digits(limbs, jobs[0].lifted, digits, sources));
    launch_switch(rows, jobs.size(), arguments);
    return driver_->status();
  });
}

Status CudaBackend::mod_down(const Stream& stream, std::uint32_t limbs, std::uint32_t drop, std::span<const device::ModDown> batch) {
  const LevelTables::Rescale& rescale = tables_.level[limbs].rescale[drop];
  const std::uint32_t sources = rescale.table.sources, kept = limbs - drop;
  const std::size_t most = jobs_at_once(sources * degree_);
  for (std::size_t first = 0; first < batch.size(); first += most) {
    if (stream.stopped()) return {};
    const auto jobs = batch.subspan(first, std::min(most, batch.size() - first));
    BRAINLOCK_ASSIGN(device::Buffer coefficients, pool_->allocate(jobs.size() * sources * degree_));
    // The divisors are the last limbs: dropped ones, then the special ones.
    gpu::NttArguments inverse = ntt_arguments(gpu::row_map(kept, limbs, 1, 1, true, false), rescale.sources);
    gpu::ConvertArguments convert{};
    convert.ring = tables_.ring;
    convert.table = rescale.table;
    gpu::NttArguments forward = ntt_arguments(gpu::row_map(0, kept, 1, 1, false, false), rescale.inverse);
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      Word* const y = coefficients.data() + j * sources * degree_;
      inverse.jobs[j] = {jobs[j].in, y, nullptr, nullptr};
      convert.jobs[j] = {y, jobs[j].out};
      forward.jobs[j] = {jobs[j].out, jobs[j].out, jobs[j].in, jobs[j].addend};
    }
    transform(false, inverse, sources, jobs.size());
    launch_words(gpu::Kernel::kConvertBasis, chunks_of_targets(kept), jobs.size(), convert, conversion_variant(sources));
    transform(true, forward, kept, jobs.size());
  }
  return driver_->status();
}

Status CudaBackend::raise(const Stream& stream, std::uint32_t limbs, std::span<const device::Raise> batch) {
  assert(limbs >= 1 && limbs <= ring_.q_count);
  std::vector<device::Add> copies;
  for (const device::Raise& job : batch) copies.push_back({job.out, job.in, nullptr});
  add(stream, 1, false, copies);
  if (limbs == 1) return driver_->status();
  const std::uint32_t targets = limbs - 1;
  const std::size_t most = jobs_at_once(degree_);
  for (std::size_t first = 0; first < batch.size(); first += most) {
    if (stream.stopped()) return {};
    const auto jobs = batch.subspan(first, std::min(most, batch.size() - first));
    BRAINLOCK_ASSIGN(device::Buffer coefficients, pool_->allocate(jobs.size() * degree_));
    gpu::NttArguments inverse = ntt_arguments(gpu::row_map(0, limbs, 1, 1, true, false), tables_.raise.source);
    gpu::ConvertArguments convert{};
    convert.ring = tables_.ring;
    ++convert.ring.moduli;  // the kernel's target t is limb t of its output, modulo prime t: both begin with q[1] here
    convert.table = tables_.raise.table;
    convert.table.targets = targets;
    gpu::NttArguments forward = ntt_arguments(gpu::row_map(1, limbs, 1, 1, false, false), nullptr);
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      Word* const y = coefficients.data() + j * degree_;
      inverse.jobs[j] = {jobs[j].in, y, nullptr, nullptr};
      convert.jobs[j] = {y, jobs[j].out + degree_};
      forward.jobs[j] = {jobs[j].out, jobs[j].out, nullptr, nullptr};
    }
    transform(false, inverse, 1, jobs.size());
    launch_words(gpu::Kernel::kConvertBasis, chunks_of_targets(targets), jobs.size(), convert, conversion_variant(1));
    transform(true, forward, targets, jobs.size());
  }
  return driver_->status();
}

}  // namespace brainlock::device_cuda
