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

  BRAINLOCK_DEVICE ConversionSource(const Word* sources, const ConversionTable& table, Word log_degree, unsigned t) {
    float sum = 0;
    BRAINLOCK_UNROLL
    for (unsigned i = 0; i < kMax; ++i) {
      y[i] = 0;
      if (i >= table.sources) continue;
      y[i] = sources[(std::size_t{i} << log_degree) + t];
      sum = fused_multiply_add(static_cast<float>(y[i]), load_constant(table.inv_q + i), sum);
    }
    quotient = round_to_word(sum);
  }

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

/// Coefficients of every digit modulo all limbs but its own (lifted: its own too). Grid x = words, y = digits * chunks of
/// kTargetsPerThread limbs, z = jobs.
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
    const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
    Word* const out = job.digits + ((std::size_t{l} * a.pieces + digit) << a.ring.log_degree) + t;
    if (l < own || l >= own + table.sources) {
      *out = source.convert(table, l < own ? l : l - table.sources, m);
    } else if (job.lifted != 0) {
      const Word y = job.sources[(std::size_t{l} << a.ring.log_degree) + t];
      *out = mul(y, load_constant(a.unprepare + l), m.q);
    }
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
    Word* const out = job.out + (std::size_t{l} << a.ring.log_degree) + t;
    const Word x = source.convert(a.table, l, m);
    *out = a.scalars == nullptr ? x : mul(*out - x + m.q, load_constant(a.scalars + l), m.q);
  }
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
