// Inner products of digits and evaluation keys, with the automorphism, and the form in which keys are kept for them.
#pragma once

#include "kernels/words.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// A sum of products of words modulo one prime, of any length.
struct ProductSum {
  Wide sum = 0;
  BRAINLOCK_DEVICE void add(Word a, Word b) { sum += Wide{a} * b; }
};

/// Limb l of a key: [digit][b, a][N].
BRAINLOCK_DEVICE const Word* key_limb(const Word* key, Word key_limbs, Word key_digits, Word limbs, Word l, Word log_degree) {
  const std::size_t slot = l < limbs ? l : key_limbs + (l - limbs);
  return key + (slot * key_digits * 2 << log_degree);
}

/// Keys from the host's form (plain words, digit by digit) to Montgomery form, permuted so that an inner product reads them in the
/// order of its outputs. Grid x = words, z = jobs.
BRAINLOCK_KERNEL prepare_keys(BRAINLOCK_ARGUMENTS(PrepareKeysArguments) a) {
  wait_for_earlier_launches();
  const PrepareKeysJob& job = a.jobs[block_z()];
  const unsigned t = block_x() * block_threads() + thread_x();
  const Word source = job.galois_element > 1 ? automorphism_source(t, job.galois_element, a.ring.log_degree) : t;
  job.out[t] = mul(job.in[source], load_constant(a.ring.r + job.modulus), load_constant(a.ring.moduli + job.modulus).q);
}

/// c0 and a packed digit's own limbs to their places beside the digits. Grid x = words, y = limbs (L + K), z = jobs.
BRAINLOCK_KERNEL place_digits(BRAINLOCK_ARGUMENTS(PlaceArguments) a) {
  wait_for_earlier_launches();
  const PlaceJob& job = a.jobs[block_z()];
  const Word l = block_y();
  const unsigned t = block_x() * block_threads() + thread_x();
  const std::size_t from = (std::size_t{l} << a.ring.log_degree) + t;
  Word* const limb = job.digits + (std::size_t{l} * (a.digits + 1) << a.ring.log_degree) + t;
  if (l < a.limbs && job.lifted == 0) limb[std::size_t{divide(l, a.ring.per_digit_limbs)} << a.ring.log_degree] = job.c1[from];
  if (job.c0 == nullptr) return;
  Word x = 0;
  if (job.lifted != 0) {
    x = job.c0[from];
  } else if (l < a.limbs) {
    x = mul(job.c0[from], load_constant(a.ring.p + l), load_constant(a.ring.moduli + l).q);
  }
  limb[std::size_t{a.digits} << a.ring.log_degree] = x;
}

/// See SwitchJob. Grid x = words, y = jobs, z = limbs (L + K): blocks begin in about this order, so that jobs with the same key read a limb of it
/// one after the other, all but the first from the second cache.
BRAINLOCK_KERNEL switch_keys(BRAINLOCK_ARGUMENTS(SwitchArguments) a) {
  wait_for_earlier_launches();
  const SwitchJob& job = a.jobs[block_y()];
  const Word log_degree = a.ring.log_degree;
  const Word l = block_z();
  const unsigned t = block_x() * block_threads() + thread_x();
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  const unsigned source = job.galois_element != 0 ? automorphism_source(t, job.galois_element, log_degree) : t;
  const std::size_t limb = std::size_t{l} << log_degree;
  const Word* const digits = job.digits + (std::size_t{l} * job.pieces << log_degree) + source;
  const Word* const addend = job.addend + (std::size_t{l} * job.addend_stride << log_degree) + source;
  const Word* const key = key_limb(job.key, job.key_limbs, job.key_digits, a.limbs, l, log_degree) + t;
  const Word own_digit = job.own != nullptr && l < a.limbs ? divide(l, a.ring.per_digit_limbs) : a.digits;
  ProductSum sum0, sum1;
  Word until_fold = m.fold_interval;
  for (Word d = 0; d < a.digits; ++d) {
    if (until_fold-- == 0) {
      sum0.sum = fold(sum0.sum, m);
      sum1.sum = fold(sum1.sum, m);
      until_fold = m.fold_interval - 1;
    }
    const Word x = d == own_digit ? job.own[limb + source] : digits[std::size_t{d} << log_degree];
    sum0.add(x, load_constant(key + (std::size_t{2} * d << log_degree)));
    sum1.add(x, load_constant(key + (std::size_t{2 * d + 1} << log_degree)));
  }
  Word r0 = montgomery_reduce(sum0.sum, m);
  Word r1 = montgomery_reduce(sum1.sum, m);
  if (job.addend_kind == kPlainAddend) {
    r0 = add_mod(r0, *addend, m.q);
  } else if (job.addend_kind == kTimesP && l < a.limbs) {
    r0 = add_mod(r0, mul(*addend, load_constant(a.ring.p + l), m.q), m.q);
  }
  if (l < job.base_limbs && job.base0 != nullptr) {
    r0 = add_mod(r0, job.base0[limb + t], m.q);
    r1 = add_mod(r1, job.base1[limb + t], m.q);
  }
  job.out0[limb + t] = r0;
  job.out1[limb + t] = r1;
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
