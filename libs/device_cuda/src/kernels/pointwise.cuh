// Operations word by word. Grid x = words, y = limbs, z = jobs.
#pragma once

#include "kernels/words.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// The word of a polynomial that a thread works on.
BRAINLOCK_DEVICE std::size_t word_of_thread(Word log_degree) {
  return (std::size_t{block_y()} << log_degree) + block_x() * block_threads() + thread_x();
}

/// out (lifted) = P * in (packed).
BRAINLOCK_KERNEL lift(BRAINLOCK_ARGUMENTS(LiftArguments) a) {
  wait_for_earlier_launches();
  const LiftJob& job = a.jobs[block_z()];
  const Word l = block_y();
  const std::size_t at = word_of_thread(a.ring.log_degree);
  job.out[at] = l < a.limbs ? mul(job.in[at], load_constant(a.ring.p + l), load_constant(a.ring.moduli + l).q) : 0;
}

BRAINLOCK_KERNEL add(BRAINLOCK_ARGUMENTS(AddArguments) a) {
  wait_for_earlier_launches();
  const AddJob& job = a.jobs[block_z()];
  const std::size_t at = word_of_thread(a.ring.log_degree);
  const Word q = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, block_y())).q;
  job.out[at] = job.b == nullptr ? job.a[at] : add_mod(job.a[at], job.b[at], q);
}

BRAINLOCK_KERNEL multiply(BRAINLOCK_ARGUMENTS(MultiplyArguments) a) {
  wait_for_earlier_launches();
  const MultiplyJob& job = a.jobs[block_z()];
  const std::size_t at = word_of_thread(a.ring.log_degree);
  const Word index = modulus_index(a.ring, a.limbs, block_y());
  const Modulus m = load_constant(a.ring.moduli + index);
  // Montgomery reduction divides by 2^32, and the factor takes that back.
  job.out[at] = mul(montgomery_reduce_product(Wide{job.a[at]} * job.factor[at], m), load_constant(a.ring.r + index), m.q);
}

/// real = P z + zbar, imaginary = -i (P z - zbar); i is psi^(N/2) in the first half of a limb and its negative in the second.
BRAINLOCK_KERNEL split_parts(BRAINLOCK_ARGUMENTS(SplitArguments) a) {
  wait_for_earlier_launches();
  const SplitJob& job = a.jobs[block_z()];
  const Word l = block_y();
  const std::size_t at = word_of_thread(a.ring.log_degree);
  const Word index = modulus_index(a.ring, a.limbs, l);
  const Word q = load_constant(a.ring.moduli + index).q;
  const Factor i = load_constant(a.ring.twiddles + (std::size_t{index} << a.ring.log_degree) + 1);
  const bool second_half = (at >> (a.ring.log_degree - 1) & 1) != 0;
  const Word zbar = job.zbar[at];
  const Word pz = l < a.limbs ? mul(job.z[at], load_constant(a.ring.p + l), q) : 0;
  const Word turned = mul(sub_mod(zbar, pz, q), i, q);  // i (zbar - P z), but for the sign of i
  job.real[at] = add_mod(pz, zbar, q);
  job.imaginary[at] = second_half ? negate_mod(turned, q) : turned;
}

/// Tensor square of a = z + sign * zbar on the q limbs: P d0, P d1, d2.
BRAINLOCK_KERNEL tensor_square(BRAINLOCK_ARGUMENTS(SquareArguments) a) {
  wait_for_earlier_launches();
  const SquareJob& job = a.jobs[block_z()];
  const Word l = block_y();
  const std::size_t at = word_of_thread(a.ring.log_degree);
  const Modulus m = load_constant(a.ring.moduli + l);
  Word a0 = job.z0[at];
  Word a1 = job.z1[at];
  if (job.zbar0 != nullptr) {
    const Word b0 = job.zbar0[at];
    const Word b1 = job.zbar1[at];
    a0 = job.minus != 0 ? sub_mod(a0, b0, m.q) : add_mod(a0, b0, m.q);
    a1 = job.minus != 0 ? sub_mod(a1, b1, m.q) : add_mod(a1, b1, m.q);
  }
  // Montgomery reduction divides by 2^32, and the factors take that back.
  const Factor p = load_constant(a.ring.p_times_r + l);
  job.p_d0[at] = mul(montgomery_reduce_product(Wide{a0} * a0, m), p, m.q);
  job.p_d1[at] = mul(montgomery_reduce_product(Wide{add_mod(a0, a0, m.q)} * a1, m), p, m.q);
  job.d2[at] = mul(montgomery_reduce_product(Wide{a1} * a1, m), load_constant(a.ring.r + l), m.q);
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
