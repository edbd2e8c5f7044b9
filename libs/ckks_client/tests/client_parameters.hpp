// Parameter sets of the client's tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "brainlock/ckks/parameters.hpp"

namespace brainlock::ckks_client::testing {

inline ckks::ParameterSpec make_spec(std::uint32_t ring_degree, int q_count, int bits, std::uint32_t digit_limbs, int p_count) {
  ckks::ParameterSpec spec;
  spec.ring_degree = ring_degree;
  spec.digit_limbs = digit_limbs;
  spec.p = math::ntt_primes(30, p_count, ring_degree);
  spec.q = math::ntt_primes(bits, q_count, ring_degree, spec.p);
  return spec;
}

inline std::shared_ptr<const ckks::Parameters> make_toy(std::uint32_t ring_degree, int q_count, std::uint32_t digit_limbs,
                                                        int p_count) {
  auto made = ckks::Parameters::create_insecure_for_tests(make_spec(ring_degree, q_count, 28, digit_limbs, p_count));
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return std::move(made).value();
}

inline std::shared_ptr<const ckks::Parameters> make_real(std::uint32_t log_degree) {
  auto made = ckks::Parameters::create(log_degree == 14 ? make_spec(1u << 14, 11, 28, 4, 4) : make_spec(1u << 15, 13, 30, 5, 5));
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return std::move(made).value();
}

}  // namespace brainlock::ckks_client::testing
