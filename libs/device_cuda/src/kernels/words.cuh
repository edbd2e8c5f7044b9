// Arithmetic of words modulo primes below 2^30. Results are fully reduced unless a name ends in _lazy.
#pragma once

#include "kernels/environment.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

BRAINLOCK_DEVICE Word smaller(Word a, Word b) { return a < b ? a : b; }
/// x below 2 bound, to below bound.
BRAINLOCK_DEVICE Word reduce_once(Word x, Word bound) { return smaller(x, x - bound); }
BRAINLOCK_DEVICE Word high_product(Word a, Word b) { return static_cast<Word>(Wide{a} * b >> 32); }

/// x / by: see reciprocal().
BRAINLOCK_DEVICE Word divide(Word x, Word reciprocal_of_by) { return reciprocal_of_by == 0 ? x : high_product(x, reciprocal_of_by); }

BRAINLOCK_DEVICE Word add_mod(Word a, Word b, Word q) { return reduce_once(a + b, q); }
BRAINLOCK_DEVICE Word sub_mod(Word a, Word b, Word q) {
  const Word d = a - b;
  return smaller(d, d + q);
}
BRAINLOCK_DEVICE Word negate_mod(Word a, Word q) { return a == 0 ? 0 : q - a; }

/// Shoup: a * f in [0, 2q), for any 32-bit a.
BRAINLOCK_DEVICE Word mul_lazy(Word a, Factor f, Word q) { return a * f.value - high_product(a, f.quotient) * q; }
BRAINLOCK_DEVICE Word mul(Word a, Factor f, Word q) { return reduce_once(mul_lazy(a, f, q), q); }

/// The same with a prime's multiples at hand.
BRAINLOCK_DEVICE Word mul_lazy(Word a, Factor f, const Prime& p) { return a * f.value + high_product(a, f.quotient) * p.minus_q; }
/// x below 4q to below 2q; x below 2q to below q.
BRAINLOCK_DEVICE Word below_twice(Word x, const Prime& p) { return smaller(x, x + p.minus_twice_q); }
BRAINLOCK_DEVICE Word below_once(Word x, const Prime& p) { return smaller(x, x + p.minus_q); }
BRAINLOCK_DEVICE Word mul(Word a, Factor f, const Prime& p) { return below_once(mul_lazy(a, f, p), p); }

/// Any 64 bits to a congruent value below 2^32 q.
BRAINLOCK_DEVICE Wide fold(Wide x, const Modulus& m) { return (x & 0xffffffffu) + (x >> 32) * m.r1; }
/// x * 2^-32, for any 64-bit x.
BRAINLOCK_DEVICE Word montgomery_reduce(Wide x, const Modulus& m) {
  const Wide folded = fold(x, m);
  const Word quotient = static_cast<Word>(folded) * m.neg_inv;
  return reduce_once(static_cast<Word>((folded + Wide{quotient} * m.q) >> 32), m.q);
}
/// The same for x < 2^32 q: a product of two words.
BRAINLOCK_DEVICE Word montgomery_reduce_product(Wide x, const Modulus& m) {
  const Word quotient = static_cast<Word>(x) * m.neg_inv;
  return reduce_once(static_cast<Word>((x + Wide{quotient} * m.q) >> 32), m.q);
}

/// Modulus number of limb l of a polynomial at limb count `limbs`.
BRAINLOCK_DEVICE Word modulus_index(const Ring& ring, Word limbs, Word l) {
  return l < limbs ? l : ring.q_count + (l - limbs);
}

/// Where word t of an automorphism's output comes from. Word i is the value at psi^e, e = 2 brv(i) + 1, and becomes that
/// at psi^(g e). An aligned block of 32 words comes from one such block: a warp reads one line of memory.
BRAINLOCK_DEVICE Word automorphism_source(Word t, Word galois_element, Word log_degree) {
  const Word shift = 32 - log_degree;
  const Word e = 2 * (reverse_word(t) >> shift) + 1;
  const Word moved = e * galois_element >> 1 & ((1u << log_degree) - 1);
  return reverse_word(moved) >> shift;
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
