#include "cuda_backend.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "transform_launches.hpp"

namespace brainlock::device_cuda {
namespace {

constexpr std::uint32_t kLeastDegree = 1u << 10, kMostDegree = 1u << 17;
constexpr std::size_t kScratchBytes = std::size_t{256} << 20;

/// Calls copy(first, words) for limbs that lie one after another both here and there: a copy costs more than the words of a limb.
template <typename Transfer, typename Copy>
void for_neighbours(std::span<const Transfer> batch, std::size_t degree, const Copy& copy) {
  std::vector<Transfer> sorted(batch.begin(), batch.end());
  std::sort(sorted.begin(), sorted.end(), [](const Transfer& a, const Transfer& b) { return std::less<>()(a.device, b.device); });
  for (std::size_t first = 0, next = 0; first < sorted.size(); first = next) {
    const Transfer& begin = sorted[first];
    for (next = first + 1; next < sorted.size(); ++next) {
      const std::size_t words = (next - first) * degree;
      if (sorted[next].device != begin.device + words || sorted[next].host != begin.host + words) break;
    }
    copy(begin, (next - first) * degree);
  }
}

}  // namespace

Result<std::shared_ptr<device::Backend>> CudaBackend::make(device::Ring ring, std::shared_ptr<Driver> driver, const TrialOptions& trials) {
  BRAINLOCK_TRY(device::check_ring(ring));
  if (ring.degree() < kLeastDegree || ring.degree() > kMostDegree) {
    return {ErrorCode::kUnsupported, "cuda: ring degree " + std::to_string(ring.degree()) + ", expected " + std::to_string(kLeastDegree) +
                                         " to " + std::to_string(kMostDegree) + "; take --device cpu"};
  }
  auto pool = std::make_shared<DevicePool>(driver);
  BRAINLOCK_ASSIGN(RingTables tables, RingTables::make(ring, *driver, *pool));
  auto variants = std::make_shared<const Variants>(choose_variants(*driver, tables, ring, trials));
  driver->wait();
  BRAINLOCK_TRY(driver->status());
  return std::shared_ptr<device::Backend>(new CudaBackend(std::move(ring), std::move(driver), std::move(pool),
                                                          std::make_shared<const RingTables>(std::move(tables)), std::move(variants),
                                                          std::make_shared<Meter>()));
}

std::unique_ptr<CudaBackend> CudaBackend::on(std::shared_ptr<Driver> driver, std::shared_ptr<DevicePool> pool, std::shared_ptr<Meter> meter) const {
  return std::unique_ptr<CudaBackend>(new CudaBackend(ring_, std::move(driver), std::move(pool), shared_tables_, variants_, std::move(meter)));
}

CudaBackend::CudaBackend(device::Ring ring, std::shared_ptr<Driver> driver, std::shared_ptr<DevicePool> pool,
                         std::shared_ptr<const RingTables> tables, std::shared_ptr<const Variants> variants, std::shared_ptr<Meter> meter)
    : ring_(std::move(ring)), driver_(std::move(driver)), pool_(std::move(pool)), shared_tables_(std::move(tables)), tables_(*shared_tables_),
      variants_(std::move(variants)), meter_(std::move(meter)), degree_(ring_.degree()) {}

std::optional<device::MemoryBudget> CudaBackend::memory_budget() const {
  const auto memory = driver_->memory();
  if (!memory) return device::MemoryBudget{};
  return device::MemoryBudget{memory->free_bytes + pool_->idle_bytes(), scratch_words() * sizeof(Word)};
}

std::optional<device::Peaks> CudaBackend::peaks() const {
  const device::Peaks peaks = driver_->peaks();
  if (peaks.memory_bytes_per_s <= 0 && peaks.integer_operations_per_s <= 0) return std::nullopt;
  return peaks;
}

std::size_t CudaBackend::scratch_words() const {
  // One job may need more than the usual bound.
  const std::size_t rows = ring_.q_count + ring_.p_count;
  return std::max(kScratchBytes / sizeof(Word), rows * (ring_.digits(ring_.q_count) + 1) * degree_);
}

std::size_t CudaBackend::jobs_at_once(std::size_t words) const {
  return std::clamp<std::size_t>(kScratchBytes / sizeof(Word) / std::max<std::size_t>(words, 1), 1, gpu::kMaxJobs);
}

gpu::NttArguments CudaBackend::ntt_arguments(const gpu::RowMap& rows, const gpu::Factor* scalars) const {
  gpu::NttArguments arguments{};
  arguments.ring = tables_.ring;
  arguments.rows = rows;
  arguments.scalars = scalars;
  return arguments;
}

void CudaBackend::transform(bool forward, const gpu::NttArguments& arguments, unsigned rows, std::size_t jobs) {
  const auto count = static_cast<unsigned>(jobs);
  for (const gpu::Launch& launch : transform_launches(variants_->transform(forward, std::uint64_t{rows} * count), forward, arguments, rows, count)) {
    meter_->launch(*driver_, launch);
  }
}

void CudaBackend::upload(const Stream& stream, std::span<const device::LimbTransfer> batch) {
  if (stream.stopped()) return;
  for_neighbours(batch, degree_, [&](const device::LimbTransfer& t, std::size_t words) {
    meter_->copy_in(*driver_, t.device, t.host, words * sizeof(Word));
  });
}

Status CudaBackend::download(const Stream& stream, std::span<const device::LimbDownload> batch) {
  if (stream.stopped()) return {};
  for_neighbours(batch, degree_, [&](const device::LimbDownload& t, std::size_t words) {
    meter_->copy_out(*driver_, t.host, t.device, words * sizeof(Word));
  });
  return driver_->status();
}

Status CudaBackend::finish(const Stream&) {
  driver_->wait();
  return driver_->status();
}

void CudaBackend::upload_words(const Stream&, Word* device, std::span<const Word> host) {
  meter_->copy_in(*driver_, device, host.data(), host.size_bytes());
}

void CudaBackend::upload_full_weights(const Stream&, std::span<const device::WeightTransfer> batch) {
  for (const device::WeightTransfer& t : batch) {   // [vector][limb][word]
    const std::size_t rows = t.weights->limbs + ring_.p_count, words = degree_ / t.weights->run;
    meter_->copy_in(*driver_, t.weights->words.data() + (t.vector * rows + t.limb) * words, t.host, words * sizeof(Word));
  }
}

Status CudaBackend::upload_keys(const Stream& stream, std::span<const device::KeyTransfer> batch) {
  // Plain limbs to staging memory, and from there to their places.
  BRAINLOCK_ASSIGN(device::Buffer staging, pool_->allocate(std::min<std::size_t>(batch.size(), gpu::kMaxJobs) * degree_));
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::PrepareKeysArguments arguments{};
    arguments.ring = tables_.ring;
    for (std::size_t i = 0; i < count; ++i) {
      const device::KeyTransfer& t = batch[first + i];
      Word* const in = staging.data() + i * degree_;
      meter_->copy_in(*driver_, in, t.host, degree_ * sizeof(Word));
      Word* const out = t.key->words.data() + ((std::size_t{t.limb} * t.key->digits + t.digit) * 2 + t.poly) * degree_;
      arguments.jobs[i] = {in, out, ring_.modulus_index(t.key->limbs, t.limb), t.key->galois_element};
    }
    launch_words(gpu::Kernel::kPrepareKeys, 1, count, arguments);
  });
  return driver_->status();
}

void CudaBackend::lift(const Stream& stream, std::uint32_t limbs, std::span<const device::Lift> batch) {
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::LiftArguments arguments{};
    arguments.ring = tables_.ring;
    arguments.limbs = limbs;
    for (std::size_t i = 0; i < count; ++i) arguments.jobs[i] = {batch[first + i].in, batch[first + i].out};
    launch_words(gpu::Kernel::kLift, limbs + ring_.p_count, count, arguments);
  });
}

void CudaBackend::add(const Stream& stream, std::uint32_t limbs, bool lifted, std::span<const device::Add> batch) {
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::AddArguments arguments{};
    arguments.ring = tables_.ring;
    arguments.limbs = limbs;
    for (std::size_t i = 0; i < count; ++i) arguments.jobs[i] = {batch[first + i].out, batch[first + i].a, batch[first + i].b};
    launch_words(gpu::Kernel::kAdd, limbs + (lifted ? ring_.p_count : 0), count, arguments);
  });
}

void CudaBackend::multiply(const Stream& stream, std::uint32_t limbs, bool lifted, std::span<const device::Multiply> batch) {
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::MultiplyArguments arguments{};
    arguments.ring = tables_.ring;
    arguments.limbs = limbs;
    for (std::size_t i = 0; i < count; ++i) arguments.jobs[i] = {batch[first + i].out, batch[first + i].a, batch[first + i].factor};
    launch_words(gpu::Kernel::kMultiply, limbs + (lifted ? ring_.p_count : 0), count, arguments);
  });
}

void CudaBackend::split_parts(const Stream& stream, std::uint32_t limbs, std::span<const device::SplitParts> batch) {
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::SplitArguments arguments{};
    arguments.ring = tables_.ring;
    arguments.limbs = limbs;
    for (std::size_t i = 0; i < count; ++i) {
      const device::SplitParts& job = batch[first + i];
      arguments.jobs[i] = {job.z, job.zbar, job.real, job.imaginary};
    }
    launch_words(gpu::Kernel::kSplitParts, limbs + ring_.p_count, count, arguments);
  });
}

void CudaBackend::tensor_square(const Stream& stream, std::uint32_t limbs, std::span<const device::TensorSquare> batch) {
  in_pieces(batch.size(), gpu::kMaxJobs, [&](std::size_t first, std::size_t count) {
    if (stream.stopped()) return;
    gpu::SquareArguments arguments{};
    arguments.ring = tables_.ring;
    for (std::size_t i = 0; i < count; ++i) {
      const device::TensorSquare& job = batch[first + i];
      arguments.jobs[i] = {job.z0, job.z1, job.zbar0, job.zbar1, job.p_d0, job.p_d1, job.d2, job.minus ? 1u : 0u};
    }
    launch_words(gpu::Kernel::kTensorSquare, limbs, count, arguments);
  });
}

}  // namespace brainlock::device_cuda
