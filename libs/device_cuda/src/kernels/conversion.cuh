// Centred base conversion: the digits of a gadget decomposition, and the remainder of a division.
//
// A thread holds the prepared source words of one coefficient and their quotient in registers and makes several targets of
// them. Same formula and rounding as math's convert_basis, so the same words.
#pragma once

#include "kernels/words.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// One coefficient of up to kMax sources.
template <int kMax>
struct ConversionSource {
  Word y[kMax];
  Word quotient;

  /// word(i): source number i.
  template <class Words>
  BRAINLOCK_DEVICE ConversionSource(const ConversionTable& table, const Words& word) {
    float sum = 0;
    BRAINLOCK_UNROLL
    for (unsigned i = 0; i < kMax; ++i) {
      y[i] = 0;
      if (i >= table.sources) continue;
      y[i] = word(i);
      sum = fused_multiply_add(static_cast<float>(y[i]), load_constant(table.inv_q + i), sum);
    }
    quotient = round_to_word(sum);
  }
  /// Sources limb after limb.
  BRAINLOCK_DEVICE ConversionSource(const Word* sources, const ConversionTable& table, Word log_degree, unsigned t)
      : ConversionSource(table, [&](unsigned i) { return sources[(std::size_t{i} << log_degree) + t]; }) {}

  /// The residue modulo the table's target number `target`, whose prime is m.
  BRAINLOCK_DEVICE Word convert(const ConversionTable& table, unsigned target, const Modulus& m) const {
    Wide sum = Wide{quotient} * load_constant(table.neg_q_src + target);  // at most 15 * 2^60 + 15 * 2^30 in all
    const Word* const factors = table.factors + target * table.sources;
    BRAINLOCK_UNROLL
    for (unsigned i = 0; i < kMax; ++i) {
      if (i < table.sources) sum += Wide{y[i]} * load_constant(factors + i);
    }
    return montgomery_reduce(sum, m);
  }
};

/// Coefficients of every digit modulo all limbs but its own. Grid x = words, y = digits * chunks of kTargetsPerThread limbs, z = jobs.
template <int kMax>
BRAINLOCK_KERNEL convert_digits(BRAINLOCK_ARGUMENTS(ConvertDigitsArguments) a) {
  wait_for_earlier_launches();
  const ConvertDigitsJob& job = a.jobs[block_z()];
  const Word rows = a.limbs + a.ring.p_count;
  const Word chunks = (rows + kTargetsPerThread - 1) / kTargetsPerThread;
  const Word digit = block_y() / chunks;
  const Word first = block_y() % chunks * kTargetsPerThread;
  const Word own = digit * a.ring.digit_limbs;
  const unsigned t = block_x() * block_threads() + thread_x();
  const ConversionTable table = load_constant(a.tables + digit);
  const ConversionSource<kMax> source(job.sources + (std::size_t{own} << a.ring.log_degree), table, a.ring.log_degree, t);
  for (Word l = first; l < first + kTargetsPerThread && l < rows; ++l) {
    if (l >= own && l < own + table.sources) continue;
    const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
    job.digits[((std::size_t{l} * a.pieces + digit) << a.ring.log_degree) + t] = source.convert(table, l < own ? l : l - table.sources, m);
  }
}

/// Coefficients of every digit of a lifted polynomial divided by P, modulo all limbs: y = (x - [x]_P) / P, and then as above. A thread makes all limbs
/// of its digit, so that each y is made once. Grid x = words, y = digits, z = jobs.
template <int kMax>
BRAINLOCK_KERNEL divide_digits(BRAINLOCK_ARGUMENTS(DivideDigitsArguments) a) {
  wait_for_earlier_launches();
  const ConvertDigitsJob& job = a.digits.jobs[block_z()];
  const Ring& ring = a.digits.ring;
  const Word rows = a.digits.limbs + ring.p_count;
  const Word digit = block_y();
  const Word own = digit * ring.digit_limbs;
  const unsigned t = block_x() * block_threads() + thread_x();
  Word* const out = job.digits + (std::size_t{digit} << ring.log_degree) + t;
  const std::size_t stride = std::size_t{a.digits.pieces} << ring.log_degree;   // from limb to limb
  const ConversionTable table = load_constant(a.digits.tables + digit);
  const ConversionSource<kMax> special(job.sources + (std::size_t{a.digits.limbs} << ring.log_degree), a.by_p, ring.log_degree, t);
  const ConversionSource<kMax> source(table, [&](unsigned i) {
    const Word l = own + i;
    const Modulus m = load_constant(ring.moduli + l);
    const Word x = job.sources[(std::size_t{l} << ring.log_degree) + t];
    const Word y = mul(x - special.convert(a.by_p, l, m) + m.q, load_constant(a.prepared_inverse + l), m.q);
    out[l * stride] = mul(y, load_constant(a.unprepare + l), m.q);
    return y;
  });
  for (Word l = 0; l < rows; ++l) {
    if (l >= own && l < own + table.sources) continue;
    const Modulus m = load_constant(ring.moduli + modulus_index(ring, a.digits.limbs, l));
    out[l * stride] = source.convert(table, l < own ? l : l - table.sources, m);
  }
}

/// One conversion. Grid x = words, y = chunks of kTargetsPerThread targets, z = jobs.
template <int kMax>
BRAINLOCK_KERNEL convert_basis(BRAINLOCK_ARGUMENTS(ConvertArguments) a) {
  wait_for_earlier_launches();
  const ConvertJob& job = a.jobs[block_z()];
  const Word first = block_y() * kTargetsPerThread;
  const unsigned t = block_x() * block_threads() + thread_x();
  const ConversionSource<kMax> source(job.sources, a.table, a.ring.log_degree, t);
  for (Word l = first; l < first + kTargetsPerThread && l < a.table.targets; ++l) {
    const Modulus m = load_constant(a.ring.moduli + l);
    job.out[(std::size_t{l} << a.ring.log_degree) + t] = source.convert(a.table, l, m);
  }
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
