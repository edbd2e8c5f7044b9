#include "brainlock/wire/parameters.hpp"

#include "wire_fixture.hpp"

namespace brainlock::wire {
namespace {

using testing::expect_refused;

ckks::ParameterSpec secure_spec() {
  ckks::ParameterSpec spec;
  spec.ring_degree = 1u << 13;
  spec.digit_limbs = 1;
  spec.p = math::ntt_primes(30, 1, spec.ring_degree);
  spec.q = math::ntt_primes(28, 3, spec.ring_degree);
  return spec;
}

TEST(WireParameters, RoundTrip) {
  const auto parameters = *ckks::Parameters::create(secure_spec());
  const Bytes bytes = serialize_parameters(*parameters);
  EXPECT_EQ(bytes.size(), kHeaderBytes + 4u * (4 + 3 + 1));
  const auto back = parse_parameters(bytes);
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_EQ((*back)->spec(), parameters->spec());
  EXPECT_EQ((*back)->id(), parameters->id());
}

TEST(WireParameters, WeakSetsAreRefusedAtTheDoor) {
  const auto toy = testing::make_toy();
  const Bytes bytes = serialize_parameters(*toy);
  expect_refused(parse_parameters, bytes, ErrorCode::kInsecure, "no 128-bit entry");
  const auto spec = parse_parameter_spec(bytes);
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(*spec, toy->spec());
}

TEST(WireParameters, EveryDamageIsRefused) {
  testing::expect_every_damage_refused(parse_parameter_spec, serialize_parameters(*testing::make_toy()));
}

TEST(WireParameters, ForeignIdIsRefused) {
  const auto parameters = *ckks::Parameters::create(secure_spec());
  Bytes bytes = serialize_parameters(*parameters);
  bytes[8] ^= 1;
  testing::reseal(bytes);
  expect_refused(parse_parameters, bytes, ErrorCode::kMismatch, "made for parameters");
}

TEST(WireParameters, CountsAreBounded) {
  Bytes bytes = serialize_parameters(*testing::make_toy());
  Bytes bad = bytes;
  testing::put_u32(bad, kHeaderBytes + 4, 129);
  testing::reseal(bad);
  expect_refused(parse_parameter_spec, bad, ErrorCode::kTooLarge, "129 ciphertext primes, expected at most 128");
  bad = bytes;
  testing::put_u32(bad, kHeaderBytes + 4, 0xffffffff);
  testing::reseal(bad);
  expect_refused(parse_parameter_spec, bad, ErrorCode::kTooLarge, "4294967295");
  bad = bytes;
  testing::put_u32(bad, kHeaderBytes + 4, 4);  // one prime more than there is
  testing::reseal(bad);
  EXPECT_FALSE(parse_parameter_spec(bad).ok());
  bad = bytes;
  bad.resize(kMaxParametersBytes + 1);
  testing::reseal(bad);
  expect_refused(parse_parameter_spec, bad, ErrorCode::kTooLarge, "expected at most");
  bad = bytes;
  bad.resize(bad.size() + 4);
  testing::reseal(bad);
  expect_refused(parse_parameter_spec, bad, ErrorCode::kMalformed, "expected");
}

TEST(WireHeader, ErrorsSayWhatCameAndWhatWasExpected) {
  const Bytes good = serialize_parameters(*testing::make_toy());
  Bytes bad = good;
  bad[0] = 'X';
  expect_refused(parse_header, bad, ErrorCode::kMalformed, "begins with 58524c4b, expected 42524c4b");
  bad = good;
  bad[4] = 99;
  expect_refused(parse_header, bad, ErrorCode::kUnsupported, "kind 99, expected 1 to 4");
  bad = good;
  bad[6] = 2;
  expect_refused(parse_header, bad, ErrorCode::kUnsupported, "version 2, expected 1");
  expect_refused(parse_header, Bytes(5), ErrorCode::kTruncated, "5 bytes, expected at least 80");
  bad = good;
  bad[4] = 3;
  expect_refused(parse_parameter_spec, bad, ErrorCode::kMalformed, "holds public key, expected parameters");
  bad = good;
  bad[90] ^= 4;
  expect_refused(parse_parameter_spec, bad, ErrorCode::kCorrupted, "checksum does not match");
}

}  // namespace
}  // namespace brainlock::wire
