// Twiddle tables of the negacyclic NTT, the order of its outputs, and automorphisms in that order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/math/aligned.hpp"
#include "brainlock/math/modulus.hpp"

namespace brainlock::math {

/// Tables for one (ring degree, prime). Immutable after make_ntt_tables(); share freely between threads.
///
/// Order of the evaluation domain (the contract every kernel and the encoder rely on): with psi a primitive
/// 2N-th root of unity modulo q and brv the reversal of log2(N) bits, output i of the forward transform is
///     a(psi^(2 * brv(i) + 1)).
struct NttTables {
  Modulus modulus;
  std::uint32_t ring_degree = 0;
  std::uint32_t psi = 0;                      ///< primitive 2N-th root used
  AlignedVector<std::uint32_t> w;             ///< psi^brv(i), i = 0..N-1
  AlignedVector<std::uint32_t> w_shoup;       ///< floor(w * 2^32 / q)
  AlignedVector<std::uint32_t> w_inv;         ///< psi^-brv(i)
  AlignedVector<std::uint32_t> w_inv_shoup;
  std::uint32_t n_inv = 0, n_inv_shoup = 0;   ///< N^-1 mod q
  AlignedVector<std::uint32_t> tail;          ///< twiddles re-laid for the vector kernels' last stages (may be empty)
  AlignedVector<std::uint32_t> tail_inv;
};

/// q must be 1 mod 2 * ring_degree; ring_degree a power of two in [8, 2^17].
std::shared_ptr<const NttTables> make_ntt_tables(std::uint32_t ring_degree, std::uint32_t q);

/// The automorphism X -> X^g (g odd, below 2N) in the evaluation domain above: output vector v (8 words) is source
/// vector `source[v]`, its words permuted by row `pattern[v]` of kernels::permute's eight patterns.
/// Blocks of 8, 16, ... 2^k consecutive outputs come from one aligned block of the same size of the input.
struct AutomorphismTable {
  std::uint32_t galois_element = 1;
  AlignedVector<std::uint32_t> source;        ///< N / 8 entries: source vector index * 8 (word offset)
  AlignedVector<std::uint8_t> pattern;        ///< N / 8 entries in [0, 8)
  alignas(32) std::uint32_t patterns[8][8];   ///< lane permutations: output lane l takes source lane patterns[p][l]
};
std::shared_ptr<const AutomorphismTable> make_automorphism_table(std::uint32_t ring_degree, std::uint32_t galois_element);

/// Reverses the low `bits` bits of x.
std::uint32_t reverse_bits(std::uint32_t x, int bits);

}  // namespace brainlock::math
