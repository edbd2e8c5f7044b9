// Word-sized prime moduli: q < 2^30, odd, and the constants every kernel needs of one.
#pragma once

#include <cstdint>
#include <vector>

namespace brainlock::math {

/// One prime modulus of the residue number system. Plain data, cheap to copy, made by make_modulus().
/// Ranges: kernels state operand bounds in multiples of q; q < 2^30 leaves room for [0, 4q) in 32 bits.
struct Modulus {
  std::uint32_t q = 0;            ///< the prime
  std::uint32_t neg_inv = 0;      ///< -q^-1 mod 2^32 (Montgomery, R = 2^32)
  std::uint32_t r1 = 0;           ///< R mod q: Montgomery form of 1
  std::uint32_t r2 = 0;           ///< R^2 mod q: mont_mul(x, r2) brings x to Montgomery form
  std::uint64_t barrett = 0;      ///< floor(2^64 / q)
};

/// Aborts unless q is odd and 2 < q < 2^30 (primality is the caller's promise).
Modulus make_modulus(std::uint32_t q);

std::uint32_t add_mod(std::uint32_t a, std::uint32_t b, const Modulus& m);
std::uint32_t sub_mod(std::uint32_t a, std::uint32_t b, const Modulus& m);
/// a * b mod q for a, b < q, plain (not Montgomery) form.
std::uint32_t mul_mod(std::uint32_t a, std::uint32_t b, const Modulus& m);
std::uint32_t pow_mod(std::uint32_t a, std::uint64_t e, const Modulus& m);
/// Inverse of a (a != 0 mod q).
std::uint32_t inv_mod(std::uint32_t a, const Modulus& m);
/// x mod q for any 64-bit x.
std::uint32_t reduce_u64(std::uint64_t x, const Modulus& m);
/// x mod q in [0, q) for any signed x.
std::uint32_t reduce_i64(std::int64_t x, const Modulus& m);
/// a * R mod q: the form in which keys, weights and conversion constants are stored.
std::uint32_t to_montgomery(std::uint32_t a, const Modulus& m);

/// Deterministic Miller-Rabin for 64-bit n.
bool is_prime(std::uint64_t n);

/// `count` distinct primes = 1 mod 2 * ring_degree, the largest below 2^bits first, leaving out those in `taken`.
/// Returns fewer if the range runs dry (never below 2^(bits-1)).
std::vector<std::uint32_t> ntt_primes(int bits, int count, std::uint32_t ring_degree,
                                      const std::vector<std::uint32_t>& taken = {});

}  // namespace brainlock::math
