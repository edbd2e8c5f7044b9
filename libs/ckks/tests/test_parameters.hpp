// Parameter sets that the tests share: tiny rings for schoolbook comparison, real ones for precision.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "brainlock/ckks/parameters.hpp"

namespace brainlock::ckks::testing {

/// `q_count` ciphertext primes of `bits` and special primes enough for `digit_limbs`, at any ring degree.
inline ParameterSpec make_spec(std::uint32_t ring_degree, int q_count, int bits, std::uint32_t digit_limbs, int p_count) {
  ParameterSpec spec;
  spec.ring_degree = ring_degree;
  spec.digit_limbs = digit_limbs;
  spec.p = math::ntt_primes(30, p_count, ring_degree);
  spec.q = math::ntt_primes(bits, q_count, ring_degree, spec.p);
  return spec;
}

inline std::shared_ptr<const Parameters> make_toy(std::uint32_t ring_degree = 16, int q_count = 4,
                                                  std::uint32_t digit_limbs = 2, int p_count = 2) {
  auto parameters = Parameters::create_insecure_for_tests(make_spec(ring_degree, q_count, 28, digit_limbs, p_count));
  EXPECT_TRUE(parameters.ok()) << parameters.error().to_string();
  return std::move(parameters).value();
}

/// 128-bit set at N = 2^14: 11 x 28 bits and 4 x 30 bits.
inline std::shared_ptr<const Parameters> make_real_14() {
  auto parameters = Parameters::create(make_spec(1u << 14, 11, 28, 4, 4));
  EXPECT_TRUE(parameters.ok()) << parameters.error().to_string();
  return std::move(parameters).value();
}

}  // namespace brainlock::ckks::testing
