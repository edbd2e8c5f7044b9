// Gadget decomposition, inner product with a key, division by P and dropped primes, and the way back up.
#include <cassert>
#include <cstring>

#include "cpu_backend.hpp"

namespace brainlock::device {
namespace {

// Coefficients per conversion task: sources, targets and temporaries of a block stay in L2.
constexpr std::size_t kConversionBlock = 512;
// Words of the limbs that one task converts to at a time.
constexpr std::size_t kGroupWords = std::size_t{1} << 16;
// Units per inner-product task; the key's units are shared by all jobs of the batch.
constexpr std::size_t kSwitchUnits = 16;
// Units between the one computed and the one whose key and results are asked for: some 100 ns, the way to memory and back.
constexpr std::size_t kUnitsAhead = 2;
constexpr std::size_t kLineWords = 16;
// Key switches are spread only if that leaves less than this of the time: what is spread goes through memory and a batch more.
constexpr double kSpreadGain = 0.9;

void prefetch(const Word* words, std::size_t pieces) {
  for (std::size_t i = 0; i < pieces * kUnitWords; i += kLineWords) __builtin_prefetch(words + i);
}
void prefetch_to_write(Word* words) {
  for (std::size_t i = 0; i < kUnitWords; i += kLineWords) __builtin_prefetch(words + i, 1);
}

}  // namespace

Result<Buffer> CpuBackend::conversion_sources(const Stream& stream, std::uint32_t limbs, std::span<const Source> inputs) {
  const std::uint32_t special = ring_.p_count;
  const std::uint32_t rows = limbs + special;
  const LevelConstants& constants = constants_.level[limbs];
  BRAINLOCK_ASSIGN(Buffer coefficients, memory_->allocate(inputs.size() * rows * stride_));
  Word* const y = coefficients.data();
  pool_->parallel_for(inputs.size() * rows, stream.stop, [&](std::size_t task, unsigned) {
    const Source& input = inputs[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    if (l >= limbs && !input.lifted) return;
    const std::uint32_t index = ring_.modulus_index(limbs, l);
    std::uint32_t scale = 1;   // lifted limbs of q are scaled below
    if (l >= limbs) {
      scale = constants.by_p.conversion.prepare[l - limbs].value;
    } else if (!input.lifted) {
      scale = constants.digits[l / ring_.digit_limbs].prepare[l % ring_.digit_limbs].value;
    }
    k_.ntt_inverse_scaled(table(index), y + task * stride_, input.c1 + l * stride_, scale);
  });

  // Lifted: y = (x - [x]_P) / P, in the same step made a source.
  std::vector<std::size_t> lifted;
  for (std::size_t j = 0; j < inputs.size(); ++j) {
    if (inputs[j].lifted) lifted.push_back(j);
  }
  const std::size_t block = std::min(degree_, kConversionBlock);
  const std::size_t blocks = degree_ / block;
  for_pieces(lifted.size() * blocks, stream, [&](std::size_t task, unsigned worker) {
    Word* const rows_y = y + lifted[task / blocks] * rows * stride_ + task % blocks * block;
    Word* const temporary = scratch(worker, limbs * block);
    const Conversion& conversion = constants.by_p.conversion;
    const Word* sources[kMaxLimbs];
    math::ConversionTarget targets[kMaxLimbs];
    for (std::uint32_t i = 0; i < special; ++i) sources[i] = rows_y + (limbs + i) * stride_;
    for (std::uint32_t l = 0; l < limbs; ++l) targets[l] = conversion.target(ring_, l, temporary + l * block);
    k_.convert_basis(sources, conversion.inv_q.data(), special, targets, limbs, block);
    for (std::uint32_t l = 0; l < limbs; ++l) {
      Word* row = rows_y + l * stride_;
      const Scalar s = constants.prepared_inverse[l];
      k_.sub_mul_scalar(row, row, temporary + l * block, s.value, s.shoup, modulus(l), block);
    }
  });
  return coefficients;
}

Status CpuBackend::decompose(const Stream& stream, std::uint32_t limbs, std::span<const Decompose> batch) {
  if (batch.empty()) return {};
  const std::uint32_t rows = limbs + ring_.p_count;
  const std::uint32_t digits = ring_.digits(limbs);
  const LevelConstants& constants = constants_.level[limbs];
  std::vector<Source> inputs;
  for (const Decompose& job : batch) inputs.push_back({job.c1, job.lifted});
  BRAINLOCK_ASSIGN(Buffer coefficients, conversion_sources(stream, limbs, inputs));
  const Word* const y = coefficients.data();

  // What needs no conversion: c0, and a packed digit's own limbs.
  const auto keep = [&](std::size_t task, unsigned worker) {
    const Decompose& job = batch[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    Word* const row = job.digits + l * degree_ * (digits + 1);
    if (l < limbs && !job.lifted) scatter(row, digits + 1, l / ring_.digit_limbs, job.c1 + l * stride_);
    if (job.c0 == nullptr) return;
    const Word* c0 = job.c0 + l * stride_;
    if (!job.lifted) {  // P c0
      Word* lifted = scratch(worker, degree_);
      if (l < limbs) {
        k_.mul_scalar(lifted, c0, constants_.p[l].value, constants_.p[l].shoup, modulus(l), degree_);
      } else {
        std::memset(lifted, 0, degree_ * sizeof(Word));
      }
      c0 = lifted;
    }
    scatter(row, digits + 1, digits, c0);
  };

  // A few limbs of one digit: conversion and transforms in L2, then to their places.
  const std::uint32_t group = limbs_per_group(batch.size() * digits * rows);
  const std::uint32_t groups = (rows + group - 1) / group;
  const auto convert = [&](std::size_t task, unsigned worker) {
    const std::size_t j = task / (digits * groups);
    const Decompose& job = batch[j];
    const auto d = static_cast<std::uint32_t>(task / groups % digits);
    const auto first = static_cast<std::uint32_t>(task % groups * group), end = std::min(first + group, rows);
    const Word* const rows_y = y + j * rows * stride_;
    const Conversion& conversion = constants.digits[d];
    const auto k = static_cast<std::uint32_t>(conversion.sources.size());
    const std::uint32_t own = d * ring_.digit_limbs;
    Word* const temporary = scratch(worker, group * stride_);
    const Word* sources[kMaxLimbs];
    math::ConversionTarget targets[kMaxLimbs];
    for (std::uint32_t i = 0; i < k; ++i) sources[i] = rows_y + (own + i) * stride_;
    std::size_t count = 0;
    for (std::uint32_t l = first; l < end; ++l) {
      Word* const limb = temporary + (l - first) * stride_;
      if (l < own || l >= own + k) {  // targets are all rows but the digit's own, in order
        targets[count++] = conversion.target(ring_, l < own ? l : l - k, limb);
      } else if (job.lifted) {
        const Scalar s = constants.unprepare[l];
        k_.mul_scalar(limb, rows_y + l * stride_, s.value, s.shoup, modulus(l), degree_);
      }
    }
    if (count != 0) k_.convert_basis(sources, conversion.inv_q.data(), k, targets, count, degree_);
    for (std::uint32_t l = first; l < end; ++l) {
      if (l >= own && l < own + k && !job.lifted) continue;  // there already
      k_.ntt_forward_units(table(ring_.modulus_index(limbs, l)), temporary + (l - first) * stride_,
                           job.digits + l * degree_ * (digits + 1) + d * kUnitWords, order_.ranks(), (digits + 1) * kUnitWords);
    }
  };

  // The longer ones first.
  const std::size_t conversions = batch.size() * digits * groups;
  pool_->parallel_for(conversions + batch.size() * rows, stream.stop, [&](std::size_t task, unsigned worker) {
    task < conversions ? convert(task, worker) : keep(task - conversions, worker);
  });
  return {};
}

std::uint32_t CpuBackend::limbs_per_group(std::size_t limbs) const {
  // More targets of one conversion share its quotient, fewer leave more tasks and more of L2.
  const std::size_t fit = std::max<std::size_t>(1, kGroupWords / degree_);
  const std::size_t enough = std::max<std::size_t>(1, limbs / (6 * threads()));
  return static_cast<std::uint32_t>(std::min(fit, enough));
}

void CpuBackend::switch_unit(const Word* digits, std::size_t digit_stride, std::uint32_t digit_count, const Word* key, const Word* addend,
                             const math::AutomorphismTable* automorphism, std::size_t begin, const math::Modulus& m,
                             const Word* base0, const Word* base1, Word* out0, Word* out1) const {
  if (automorphism != nullptr) {
    k_.inner_product_gathered(out0, out1, digits, digit_stride, key, digit_count, addend, base0, base1, *automorphism, begin, m);
    return;
  }
  const Word* digit[kMaxDigits];
  const Word* key0[kMaxDigits];
  const Word* key1[kMaxDigits];
  for (std::uint32_t d = 0; d < digit_count; ++d) {
    digit[d] = digits + d * digit_stride;
    key0[d] = key + 2 * d * kUnitWords;
    key1[d] = key + (2 * d + 1) * kUnitWords;
  }
  if (base0 == nullptr) {
    k_.inner_product(out0, out1, digit, key0, key1, digit_count, addend, m, kUnitWords);
    return;
  }
  alignas(64) Word sum0[kUnitWords];   // the outputs may be the bases
  alignas(64) Word sum1[kUnitWords];
  k_.inner_product(sum0, sum1, digit, key0, key1, digit_count, addend, m, kUnitWords);
  k_.add(out0, sum0, base0, m, kUnitWords);
  k_.add(out1, sum1, base1, m, kUnitWords);
}

void CpuBackend::switch_keys(const Stream& stream, std::uint32_t limbs, std::span<const SwitchKey> batch) {
  const std::uint32_t rows = limbs + ring_.p_count;
  const std::uint32_t digits = ring_.digits(limbs);
  const std::size_t units = std::min(order_.units(), kSwitchUnits);
  const std::size_t chunks = order_.units() / units;
  for_pieces(rows * chunks, stream, [&](std::size_t task, unsigned) {
    const auto l = static_cast<std::uint32_t>(task / chunks);
    const math::Modulus& m = modulus(ring_.modulus_index(limbs, l));
    for (const SwitchKey& job : batch) {
      assert(job.key->limbs >= limbs && job.key->digits >= digits);
      const math::AutomorphismTable* automorphism = job.key->automorphism.get();
      const bool based = l < job.base_limbs && job.base0 != nullptr;
      for (std::size_t rank = task % chunks * units; rank < (task % chunks + 1) * units; ++rank) {
        const std::size_t begin = order_.unit(rank) * kUnitWords, at = l * stride_ + begin;
        std::size_t source_rank = rank, source = 0;
        if (automorphism != nullptr) {
          source_rank = order_.source_rank(*automorphism, order_.unit(rank));
          source = order_.unit(source_rank) * kUnitWords;
        }
        const Word* const unit = limb_of(digit_unit(job.digits, digits, l, source_rank), source);
        switch_unit(unit, kUnitWords, digits, key_unit(*job.key, limbs, l, rank), job.add_c0 ? unit + digits * kUnitWords : nullptr,
                    automorphism, begin, m, based ? job.base0 + at : nullptr, based ? job.base1 + at : nullptr,
                    job.out0 + at, job.out1 + at);
      }
    }
  });
}

Status CpuBackend::switch_once(const Stream& stream, std::uint32_t limbs, std::span<const SwitchOnce> batch) {
  if (batch.empty()) return {};
  const std::uint32_t rows = limbs + ring_.p_count;
  const std::uint32_t digits = ring_.digits(limbs);
  std::vector<Source> inputs;
  for (const SwitchOnce& job : batch) inputs.push_back({job.c1, job.lifted});
  BRAINLOCK_ASSIGN(Buffer coefficients, conversion_sources(stream, limbs, inputs));
  const Word* const y = coefficients.data();

  // One limb of the result: the digits of that limb are made in L2 and used there. Jobs of one limb follow each other,
  // so that they find its key in the last cache. What many threads would do while others wait is spread over all of them.
  const std::size_t tasks = rows * batch.size();
  const Spread spread = spread_switches(tasks, digits);
  const std::size_t whole = tasks - spread.tasks, limb_words = (digits + 1) * stride_;   // digit by digit, then P c0
  Buffer spread_digits;
  if (spread.tasks != 0) {
    BRAINLOCK_ASSIGN(spread_digits, memory_->allocate(spread.tasks * limb_words));
  }
  const auto limb_of_task = [&](std::size_t task) { return static_cast<std::uint32_t>(task / batch.size()); };
  const auto job_of_task = [&](std::size_t task) -> const SwitchOnce& { return batch[task % batch.size()]; };
  const auto rows_of_task = [&](std::size_t task) { return y + task % batch.size() * rows * stride_; };
  pool_->parallel_for(whole + spread.tasks * digits, stream.stop, [&](std::size_t i, unsigned worker) {
    if (i < whole) {
      Word* const temporary = scratch(worker, limb_words);
      for (std::uint32_t d = 0; d < digits; ++d) make_digit(job_of_task(i), limbs, limb_of_task(i), d, rows_of_task(i), temporary);
      lift_addend(job_of_task(i), limbs, limb_of_task(i), temporary);
      switch_units(job_of_task(i), limbs, limb_of_task(i), temporary, 0, order_.units());
      return;
    }
    const std::size_t nth = (i - whole) / digits, task = whole + nth;
    const auto d = static_cast<std::uint32_t>((i - whole) % digits);
    Word* const temporary = spread_digits.data() + nth * limb_words;
    make_digit(job_of_task(task), limbs, limb_of_task(task), d, rows_of_task(task), temporary);
    if (d == 0) lift_addend(job_of_task(task), limbs, limb_of_task(task), temporary);
  });
  pool_->parallel_for(spread.tasks * spread.pieces, stream.stop, [&](std::size_t i, unsigned) {
    const std::size_t nth = i / spread.pieces, task = whole + nth, piece = i % spread.pieces;
    switch_units(job_of_task(task), limbs, limb_of_task(task), spread_digits.data() + nth * limb_words,
                 piece * order_.units() / spread.pieces, (piece + 1) * order_.units() / spread.pieces);
  });
  return {};
}

CpuBackend::Spread CpuBackend::spread_switches(std::size_t tasks, std::uint32_t digits) const {
  const std::size_t threads = this->threads(), rest = tasks % threads;
  if (threads <= 2 || rest == 0) return {};   // two threads would gain one limb of some tens, and lose the second cache
  const auto rounds = [&](std::size_t count) { return static_cast<double>((count + threads - 1) / threads); };
  // In transforms with their conversions; the inner products of a limb take about as long as one.
  const double together = digits + 1;
  Spread best;
  double least = kSpreadGain * together;
  for (std::size_t pieces = 1; pieces <= order_.units() / kSwitchUnits && rest * pieces <= 2 * threads; ++pieces) {
    const double apart = rounds(rest * digits) + rounds(rest * pieces) / static_cast<double>(pieces);
    if (apart >= least) continue;
    least = apart;
    best = {rest, pieces};
  }
  return best;
}

void CpuBackend::make_digit(const SwitchOnce& job, std::uint32_t limbs, std::uint32_t l, std::uint32_t d, const Word* rows_y, Word* temporary) const {
  const std::uint32_t own = d * ring_.digit_limbs, index = ring_.modulus_index(limbs, l);
  const LevelConstants& constants = constants_.level[limbs];
  const Conversion& conversion = constants.digits[d];
  const auto k = static_cast<std::uint32_t>(conversion.sources.size());
  Word* const limb = temporary + d * stride_;
  if (l >= own && l < own + k) {
    if (!job.lifted) {
      std::memcpy(limb, job.c1 + l * stride_, degree_ * sizeof(Word));
      return;
    }
    const Scalar s = constants.unprepare[l];
    k_.mul_scalar(limb, rows_y + l * stride_, s.value, s.shoup, modulus(index), degree_);
  } else {
    const Word* sources[kMaxLimbs];
    for (std::uint32_t i = 0; i < k; ++i) sources[i] = rows_y + (own + i) * stride_;
    const math::ConversionTarget target = conversion.target(ring_, l < own ? l : l - k, limb);
    k_.convert_basis(sources, conversion.inv_q.data(), k, &target, 1, degree_);
  }
  k_.ntt_forward(table(index), limb);
}

void CpuBackend::lift_addend(const SwitchOnce& job, std::uint32_t limbs, std::uint32_t l, Word* temporary) const {
  if (job.c0 == nullptr || job.lifted || l >= limbs) return;
  const Scalar p = constants_.p[l];
  k_.mul_scalar(temporary + ring_.digits(limbs) * stride_, job.c0 + l * stride_, p.value, p.shoup, modulus(l), degree_);
}

void CpuBackend::switch_units(const SwitchOnce& job, std::uint32_t limbs, std::uint32_t l, const Word* temporary, std::size_t first, std::size_t last) const {
  const std::uint32_t digits = ring_.digits(limbs);
  assert(job.key->limbs >= limbs && job.key->digits >= digits);
  const math::Modulus& m = modulus(ring_.modulus_index(limbs, l));
  const Word* addend = nullptr;
  if (job.c0 != nullptr && job.lifted) {
    addend = job.c0 + l * stride_;
  } else if (job.c0 != nullptr && l < limbs) {
    addend = temporary + digits * stride_;   // lift_addend()
  }
  const math::AutomorphismTable* automorphism = job.key->automorphism.get();
  const bool based = l < job.base_limbs && job.base0 != nullptr;
  for (std::size_t rank = first; rank < last; ++rank) {
    if (const std::size_t ahead = rank + kUnitsAhead; ahead < last) {
      const std::size_t next = l * stride_ + order_.unit(ahead) * kUnitWords;
      prefetch(key_unit(*job.key, limbs, l, ahead), 2 * digits);
      prefetch_to_write(job.out0 + next);
      prefetch_to_write(job.out1 + next);
      if (based && job.base0 != job.out0) {
        prefetch(job.base0 + next, 1);
        prefetch(job.base1 + next, 1);
      }
      std::size_t source = order_.unit(ahead);
      if (automorphism != nullptr) source = order_.unit(order_.source_rank(*automorphism, source));
      for (std::uint32_t d = 0; d < digits; ++d) prefetch(temporary + d * stride_ + source * kUnitWords, 1);
      if (addend != nullptr) prefetch(addend + source * kUnitWords, 1);
    }
    const std::size_t begin = order_.unit(rank) * kUnitWords, at = l * stride_ + begin;
    const std::size_t offset = automorphism == nullptr ? begin : 0;  // without one the kernel starts at the unit itself
    switch_unit(temporary + offset, stride_, digits, key_unit(*job.key, limbs, l, rank), addend == nullptr ? nullptr : addend + offset,
                automorphism, begin, m, based ? job.base0 + at : nullptr, based ? job.base1 + at : nullptr, job.out0 + at, job.out1 + at);
  }
}

Status CpuBackend::mod_down(const Stream& stream, std::uint32_t limbs, std::uint32_t drop, std::span<const ModDown> batch) {
  if (batch.empty()) return {};
  const Division& division = constants_.level[limbs].rescale[drop];
  const Conversion& conversion = division.conversion;
  const auto k = static_cast<std::uint32_t>(conversion.sources.size());
  const std::uint32_t kept = limbs - drop;

  BRAINLOCK_ASSIGN(Buffer buffer, memory_->allocate(batch.size() * k * stride_));
  Word* const y = buffer.data();
  pool_->parallel_for(batch.size() * k, stream.stop, [&](std::size_t task, unsigned) {
    const ModDown& job = batch[task / k];
    const std::size_t i = task % k;
    const std::uint32_t index = conversion.sources[i];
    const std::uint32_t l = index < limbs ? index : limbs + (index - ring_.q_count);
    k_.ntt_inverse_scaled(table(index), y + task * stride_, job.in + l * stride_, conversion.prepare[i].value);
  });

  const std::size_t block = std::min(degree_, kConversionBlock);
  const std::size_t blocks = degree_ / block;
  for_pieces(batch.size() * blocks, stream, [&](std::size_t task, unsigned) {
    const std::size_t j = task / blocks;
    const std::size_t at = task % blocks * block;
    const Word* sources[kMaxLimbs];
    math::ConversionTarget targets[kMaxLimbs];
    for (std::uint32_t i = 0; i < k; ++i) sources[i] = y + (j * k + i) * stride_ + at;
    for (std::uint32_t l = 0; l < kept; ++l) targets[l] = conversion.target(ring_, l, batch[j].out + l * stride_ + at);
    k_.convert_basis(sources, conversion.inv_q.data(), k, targets, kept, block);
  });

  pool_->parallel_for(batch.size() * kept, stream.stop, [&](std::size_t task, unsigned) {
    const ModDown& job = batch[task / kept];
    const auto l = static_cast<std::uint32_t>(task % kept);
    Word* out = job.out + l * stride_;
    k_.ntt_forward(table(l), out);
    k_.sub_mul_scalar(out, job.in + l * stride_, out, division.inverse[l].value, division.inverse[l].shoup, modulus(l), degree_);
    if (job.addend != nullptr) k_.add(out, out, job.addend + l * stride_, modulus(l), degree_);
  });
  return {};
}

Status CpuBackend::raise(const Stream& stream, std::uint32_t limbs, std::span<const Raise> batch) {
  if (batch.empty()) return {};
  assert(limbs >= 1 && limbs <= ring_.q_count);
  const Conversion& conversion = constants_.raise;
  BRAINLOCK_ASSIGN(Buffer buffer, memory_->allocate(batch.size() * stride_));
  pool_->parallel_for(batch.size(), stream.stop, [&](std::size_t j, unsigned) {
    k_.ntt_inverse_scaled(table(0), buffer.data() + j * stride_, batch[j].in, conversion.prepare[0].value);
    std::memcpy(batch[j].out, batch[j].in, degree_ * sizeof(Word));
  });
  const std::uint32_t group = limbs_per_group(batch.size() * limbs);
  const std::uint32_t groups = (limbs - 1 + group - 1) / group;
  pool_->parallel_for(batch.size() * groups, stream.stop, [&](std::size_t task, unsigned) {
    const std::size_t j = task / groups;
    const auto first = static_cast<std::uint32_t>(1 + task % groups * group), end = std::min(first + group, limbs);
    const Word* const source = buffer.data() + j * stride_;
    math::ConversionTarget targets[kMaxLimbs];
    for (std::uint32_t l = first; l < end; ++l) targets[l - first] = conversion.target(ring_, l - 1, batch[j].out + l * stride_);
    k_.convert_basis(&source, conversion.inv_q.data(), 1, targets, end - first, degree_);
    for (std::uint32_t l = first; l < end; ++l) k_.ntt_forward(table(l), batch[j].out + l * stride_);
  });
  return {};
}

}  // namespace brainlock::device
