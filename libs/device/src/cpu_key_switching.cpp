// Gadget decomposition, inner product with a key, division by P and dropped primes.
#include <cassert>
#include <cstring>

#include "cpu_backend.hpp"

namespace brainlock::device {
namespace {

// Coefficients per conversion task: sources, targets and temporaries of a block stay in L2.
constexpr std::size_t kConversionBlock = 512;
// Words per inner-product task; the key's block is shared by all jobs of the batch.
constexpr std::size_t kSwitchBlock = 1024;

}  // namespace

Status CpuBackend::decompose(const Stream& stream, std::uint32_t limbs, std::span<const Decompose> batch) {
  if (batch.empty()) return {};
  const std::uint32_t special = ring_.p_count;
  const std::uint32_t rows = limbs + special;
  const std::uint32_t digits = ring_.digits(limbs);
  const LevelConstants& constants = constants_.level[limbs];

  // Coefficients of every limb, [job][L + K].
  BRAINLOCK_ASSIGN(Buffer coefficients, memory_->allocate(batch.size() * rows * stride_));
  Word* const x = coefficients.data();
  pool_->parallel_for(batch.size() * rows, stream.stop, [&](std::size_t task, unsigned) {
    const Decompose& job = batch[task / rows];
    const auto l = static_cast<std::uint32_t>(task % rows);
    if (l >= limbs && !job.lifted) return;
    const std::uint32_t index = ring_.modulus_index(limbs, l);
    const Word* in = job.c1 + l * stride_;
    Word* out = x + task * stride_;
    if (!job.lifted) {  // a digit's own limbs are the input itself
      std::memcpy(job.digits + (l / ring_.digit_limbs * rows + l) * stride_, in, degree_ * sizeof(Word));
    }
    std::memcpy(out, in, degree_ * sizeof(Word));
    k_.ntt_inverse(table(index), out);
    if (l >= limbs) {
      const Scalar s = constants.by_p.conversion.prepare[l - limbs];
      k_.mul_scalar(out, out, s.value, s.shoup, modulus(index), degree_);
    }
  });

  const std::size_t block = std::min(degree_, kConversionBlock);
  const std::size_t blocks = degree_ / block;
  pool_->parallel_for(batch.size() * blocks, stream.stop, [&](std::size_t task, unsigned worker) {
    const std::size_t j = task / blocks;
    const Decompose& job = batch[j];
    const std::size_t at = task % blocks * block;
    Word* const rows_x = x + j * rows * stride_ + at;
    Word* const temporary = scratch(worker, rows * block);
    const Word* sources[kMaxLimbs];
    math::ConversionTarget targets[kMaxLimbs];
    if (job.lifted) {  // x = (x - [x]_P) / P
      const Conversion& conversion = constants.by_p.conversion;
      for (std::uint32_t i = 0; i < special; ++i) sources[i] = rows_x + (limbs + i) * stride_;
      for (std::uint32_t l = 0; l < limbs; ++l) targets[l] = conversion.target(ring_, l, temporary + l * block);
      k_.convert_basis(sources, conversion.inv_q.data(), special, targets, limbs, block);
      for (std::uint32_t l = 0; l < limbs; ++l) {
        Word* row = rows_x + l * stride_;
        const Scalar s = constants.by_p.inverse[l];
        k_.sub_mul_scalar(row, row, temporary + l * block, s.value, s.shoup, modulus(l), block);
        Word* own = job.digits + (l / ring_.digit_limbs * rows + l) * stride_ + at;
        std::memcpy(own, row, block * sizeof(Word));
      }
    }
    for (std::uint32_t d = 0; d < digits; ++d) {
      const Conversion& conversion = constants.digits[d];
      const std::size_t k = conversion.sources.size();
      for (std::size_t i = 0; i < k; ++i) {
        const std::uint32_t l = conversion.sources[i];
        const Scalar s = conversion.prepare[i];
        k_.mul_scalar(temporary + i * block, rows_x + l * stride_, s.value, s.shoup, modulus(l), block);
        sources[i] = temporary + i * block;
      }
      for (std::size_t t = 0; t < conversion.targets.size(); ++t) {
        const std::uint32_t index = conversion.targets[t];
        const std::uint32_t l = index < limbs ? index : limbs + (index - ring_.q_count);
        targets[t] = conversion.target(ring_, t, job.digits + (d * rows + l) * stride_ + at);
      }
      k_.convert_basis(sources, conversion.inv_q.data(), k, targets, conversion.targets.size(), block);
    }
  });

  const std::size_t per_job = std::size_t{digits} * rows;
  pool_->parallel_for(batch.size() * per_job, stream.stop, [&](std::size_t task, unsigned) {
    const Decompose& job = batch[task / per_job];
    const std::size_t row = task % per_job;
    const auto l = static_cast<std::uint32_t>(row % rows);
    const bool own = l < limbs && l / ring_.digit_limbs == row / rows;
    if (own && !job.lifted) return;
    k_.ntt_forward(table(ring_.modulus_index(limbs, l)), job.digits + row * stride_);
  });
  return {};
}

void CpuBackend::switch_keys(const Stream& stream, std::uint32_t limbs, std::span<const SwitchKey> batch) {
  const std::uint32_t rows = limbs + ring_.p_count;
  const std::uint32_t digits = ring_.digits(limbs);
  const std::size_t block = std::min(degree_, kSwitchBlock);
  const std::size_t blocks = degree_ / block;
  pool_->parallel_for(rows * blocks, stream.stop, [&](std::size_t task, unsigned worker) {
    const auto l = static_cast<std::uint32_t>(task / blocks);
    const std::size_t begin = task % blocks * block;
    const math::Modulus& m = modulus(ring_.modulus_index(limbs, l));
    const Word* digit[kMaxDigits];
    const Word* key0[kMaxDigits];
    const Word* key1[kMaxDigits];
    for (const SwitchKey& job : batch) {
      assert(job.key->limbs >= limbs && job.key->digits >= digits);
      const math::AutomorphismTable* automorphism = job.key->automorphism.get();
      const std::size_t offset = automorphism == nullptr ? begin : 0;
      for (std::uint32_t d = 0; d < digits; ++d) {
        digit[d] = job.digits + (d * rows + l) * stride_ + offset;
        key0[d] = key_limb(*job.key, limbs, l, d, 0) + begin;
        key1[d] = key_limb(*job.key, limbs, l, d, 1) + begin;
      }
      const Word* addend = l < job.addend_limbs && job.addend0 != nullptr ? job.addend0 + l * stride_ + offset : nullptr;
      Word* const out0 = job.out0 + l * stride_ + begin;
      Word* const out1 = job.out1 + l * stride_ + begin;
      const bool based = l < job.base_limbs && job.base0 != nullptr;
      Word* const sum0 = based ? scratch(worker, 2 * block) : out0;
      Word* const sum1 = based ? sum0 + block : out1;
      if (automorphism == nullptr) {
        k_.inner_product(sum0, sum1, digit, key0, key1, digits, addend, m, block);
      } else {
        k_.inner_product_gathered(sum0, sum1, digit, key0, key1, digits, addend, *automorphism, begin, block, m);
      }
      if (based) {
        k_.add(out0, sum0, job.base0 + l * stride_ + begin, m, block);
        k_.add(out1, sum1, job.base1 + l * stride_ + begin, m, block);
      }
    }
  });
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
    Word* out = y + task * stride_;
    std::memcpy(out, job.in + l * stride_, degree_ * sizeof(Word));
    k_.ntt_inverse(table(index), out);
    k_.mul_scalar(out, out, conversion.prepare[i].value, conversion.prepare[i].shoup, modulus(index), degree_);
  });

  const std::size_t block = std::min(degree_, kConversionBlock);
  const std::size_t blocks = degree_ / block;
  pool_->parallel_for(batch.size() * blocks, stream.stop, [&](std::size_t task, unsigned) {
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

}  // namespace brainlock::device
