// Distributions of the scheme: uniform ternary secrets, discrete Gaussian errors. Constant time in the values drawn.
#pragma once

#include <cstdint>
#include <span>

#include "brainlock/crypto/random.hpp"

namespace brainlock::ckks_client {

/// Standard deviation of fresh errors; with it the security table of Parameters holds.
inline constexpr double kErrorSigma = 3.2;
/// Magnitudes that the sampler's 63-bit table can tell apart: 9.4 sigma; what lies beyond has probability below 2^-63.
inline constexpr int kErrorBound = 30;

/// Each of -1, 0, 1 with probability 1/3 (to within 2^-62).
void sample_ternary(crypto::SecureRandom& random, std::span<std::int8_t> out);

/// Discrete Gaussian of kErrorSigma over the integers, by inversion of its cumulative table: every table entry is
/// compared for every sample, so neither time nor addresses depend on the result. |x| <= kErrorBound.
void sample_gaussian(crypto::SecureRandom& random, std::span<std::int8_t> out);

/// x mod q for a small signed x (|x| < q), without a branch.
inline std::uint32_t small_residue(std::int32_t x, std::uint32_t q) {
  return static_cast<std::uint32_t>(x) + (q & static_cast<std::uint32_t>(x >> 31));
}

}  // namespace brainlock::ckks_client
