#include "brainlock/ckks/parameters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_parameters.hpp"

namespace brainlock::ckks {
namespace {

using ::testing::HasSubstr;
using testing::make_spec;

void expect_refused(const ParameterSpec& spec, ErrorCode code, const std::string& text) {
  const auto result = Parameters::create(spec);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, code) << result.error().to_string();
  EXPECT_THAT(result.error().message, HasSubstr(text));
}

TEST(Parameters, SecurityTableOf2024) {
  EXPECT_EQ(max_log_qp_128(1u << 12), 106);
  EXPECT_EQ(max_log_qp_128(1u << 13), 214);
  EXPECT_EQ(max_log_qp_128(1u << 14), 430);
  EXPECT_EQ(max_log_qp_128(1u << 15), 868);
  EXPECT_EQ(max_log_qp_128(1u << 16), 1747);
  EXPECT_EQ(max_log_qp_128(1u << 17), 3523);
  EXPECT_EQ(max_log_qp_128(1u << 9), 0);
  EXPECT_EQ(max_log_qp_128((1u << 14) + 1), 0);
}

TEST(Parameters, AcceptsUpToTheLimitAndRefusesAbove) {
  // 11 primes of 28 bits and 4 of 30 are 428 bits; one more of 28 bits makes 456.
  const auto good = Parameters::create(make_spec(1u << 14, 11, 28, 4, 4));
  ASSERT_TRUE(good.ok()) << good.error().to_string();
  EXPECT_EQ((*good)->security_bits(), 128);
  EXPECT_LE((*good)->log_qp(), 430);
  EXPECT_GT((*good)->log_qp(), 427);
  const auto weak = make_spec(1u << 14, 12, 28, 4, 4);
  expect_refused(weak, ErrorCode::kInsecure, "at most 430.0; shorten the modulus by 25.9 bits or use ring degree 32768");
  // The 2018 table would have allowed 438.
  expect_refused(make_spec(1u << 14, 13, 27, 3, 3), ErrorCode::kInsecure, "at most 430.0");
}

TEST(Parameters, ToyRingsNeedTheTestDoor) {
  const auto spec = make_spec(16, 2, 28, 1, 1);
  expect_refused(spec, ErrorCode::kInsecure, "ring degree 16 has no 128-bit entry");
  const auto toy = Parameters::create_insecure_for_tests(spec);
  ASSERT_TRUE(toy.ok());
  EXPECT_EQ((*toy)->security_bits(), 0);
}

TEST(Parameters, AccessorsFollowTheSpec) {
  const auto parameters = testing::make_toy(32, 5, 2, 2);
  EXPECT_EQ(parameters->ring_degree(), 32u);
  EXPECT_EQ(parameters->slots(), 16u);
  EXPECT_EQ(parameters->q_count(), 5u);
  EXPECT_EQ(parameters->p_count(), 2u);
  EXPECT_EQ(parameters->digits(5), 3u);
  EXPECT_EQ(parameters->digits(4), 2u);
  EXPECT_EQ(parameters->digits(1), 1u);
  for (std::uint32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(parameters->modulus(i).q, i < 5 ? parameters->spec().q[i] : parameters->spec().p[i - 5]);
    EXPECT_EQ(parameters->ntt(i).ring_degree, 32u);
  }
}

TEST(Parameters, RefusesImpossibleSpecs) {
  const auto good = make_spec(1u << 14, 11, 28, 4, 4);
  auto bad = good;
  bad.ring_degree = 3 << 12;
  expect_refused(bad, ErrorCode::kInvalidArgument, "power of two");
  bad.ring_degree = 4;
  expect_refused(bad, ErrorCode::kInvalidArgument, "from 8 to 131072");
  bad.ring_degree = 1u << 18;
  expect_refused(bad, ErrorCode::kInvalidArgument, "from 8 to 131072");
  bad.ring_degree = 0;
  expect_refused(bad, ErrorCode::kInvalidArgument, "power of two");

  bad = good;
  bad.q.clear();
  expect_refused(bad, ErrorCode::kInvalidArgument, "0 ciphertext primes");
  bad.q.assign(129, 97);
  expect_refused(bad, ErrorCode::kInvalidArgument, "129 ciphertext primes");

  bad = good;
  bad.p.clear();
  expect_refused(bad, ErrorCode::kInvalidArgument, "0 special primes");
  bad = good;
  bad.digit_limbs = 0;
  expect_refused(bad, ErrorCode::kInvalidArgument, "digit of 0 limbs");
  bad.digit_limbs = 16;
  expect_refused(bad, ErrorCode::kInvalidArgument, "digit of 16 limbs");

  bad = good;
  bad.q[3] = (1u << 30) + 3;
  expect_refused(bad, ErrorCode::kInvalidArgument, "q[3]");
  bad.q[3] = 268435399;  // prime, but not 1 modulo 2N
  expect_refused(bad, ErrorCode::kInvalidArgument, "expected 1 modulo 2N");
  bad.q[3] = 229377;  // 1 modulo 2N, but 3 * 76459
  expect_refused(bad, ErrorCode::kInvalidArgument, "not a prime");
  bad.q[3] = bad.q[2];
  expect_refused(bad, ErrorCode::kInvalidArgument, "appears twice");
  bad = good;
  bad.p[0] = bad.q[0];
  expect_refused(bad, ErrorCode::kInvalidArgument, "appears twice");

  bad = good;
  bad.p.resize(3);  // 90 bits against digits of 112
  expect_refused(bad, ErrorCode::kInvalidArgument, "special modulus P of 90.0 bits: expected at least 108.0");
}

TEST(Parameters, IdNamesTheSpec) {
  const auto spec = make_spec(64, 3, 28, 1, 1);
  const auto a = *Parameters::create_insecure_for_tests(spec);
  const auto b = *Parameters::create_insecure_for_tests(spec);
  EXPECT_EQ(a->id().size(), 32u);
  EXPECT_EQ(a->id(), b->id());
  auto other = spec;
  std::swap(other.q[0], other.q[1]);
  EXPECT_NE((*Parameters::create_insecure_for_tests(other))->id(), a->id());
  other = spec;
  other.digit_limbs = 2;
  other.p = math::ntt_primes(30, 2, 64, spec.q);
  const auto two = *Parameters::create_insecure_for_tests(other);
  other.digit_limbs = 1;
  EXPECT_NE((*Parameters::create_insecure_for_tests(other))->id(), two->id());
}

}  // namespace
}  // namespace brainlock::ckks
