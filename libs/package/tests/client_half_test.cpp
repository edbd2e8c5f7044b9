#include "brainlock/package/client_half.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "brainlock/package/client_codec.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"

namespace brainlock::package {
namespace {

using ::testing::HasSubstr;
using Kind = plan::KeyUse::Kind;

std::shared_ptr<const Package> whole(const plan::Program& program) {
  return Package::from_bytes(encode_program(program), {'m'}).value();
}

ErrorCode code_of(const plan::ClientFields& fields) {
  const auto half = ClientHalf::from_bytes(encode_client({}, fields).value());
  return half.ok() ? ErrorCode::kInternal : half.error().code;
}

TEST(ClientHalf, OfAFileIsThatOfThePackage) {
  for (const auto& program :
       {test::sample_program(), test::branched_program(), test::masked_program(), test::raised_program(), test::fanned_program()}) {
    const auto package = whole(program);
    const auto bytes = package->client_bytes();
    ASSERT_TRUE(bytes.ok()) << bytes.error().to_string();
    const auto half = ClientHalf::from_bytes(*bytes);
    ASSERT_TRUE(half.ok()) << half.error().to_string();
    EXPECT_EQ((*half)->hash(), package->hash());
    EXPECT_EQ((*half)->hash_hex(), package->hash_hex());
    EXPECT_EQ((*half)->parameters()->id(), package->parameters()->id());
    EXPECT_EQ((*half)->parameters()->security_bits(), 128);
    EXPECT_EQ((*half)->client_bytes().value(), *bytes);
    const auto ours = (*half)->key_requests(), theirs = package->key_requests();
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i)
      EXPECT_EQ(std::tie(ours[i].galois_element, ours[i].limbs), std::tie(theirs[i].galois_element, theirs[i].limbs));
    EXPECT_EQ((*half)->input().places.size(), program.input.places.size());
    EXPECT_EQ((*half)->output().scale, program.output.scale);
  }
}

TEST(ClientHalf, NamesItsPackage) {
  // Weights that differ, and nothing that a client sees, are another package all the same.
  const auto one = whole(test::sample_program(1)), two = whole(test::sample_program(2));
  EXPECT_NE(one->client_bytes().value(), two->client_bytes().value());
}

TEST(ClientHalf, WeakParametersAreRefused) {
  plan::ClientFields fields = plan::client_fields(test::sample_program());
  fields.parameters.q = math::ntt_primes(28, 8, test::kDegree, fields.parameters.p);  // 284 bits, the table allows 214
  ASSERT_TRUE(plan::validate(fields).ok());
  EXPECT_EQ(code_of(fields), ErrorCode::kInsecure);
  // A ring too small for any table, with one prime.
  fields = plan::client_fields(test::sample_program());
  fields.parameters.ring_degree = 16;
  fields.input.places.resize(4), fields.output.places.resize(4);
  fields.keys.clear();
  ASSERT_TRUE(plan::validate(fields).ok());
  EXPECT_NE(code_of(fields), ErrorCode::kInternal);
}

TEST(ClientHalf, PrimesThatAreNoneAreRefused) {
  for (const std::uint32_t q : {0U, 1U, 2U, 268435456U, 4294967295U}) {
    plan::ClientFields fields = plan::client_fields(test::sample_program());
    fields.parameters.q[1] = q;
    EXPECT_EQ(code_of(fields), ErrorCode::kInvalidArgument) << q;
  }
}

// Rotations by r and r - N/2 are one key; as many as a ring has are no reason to wait.
TEST(ClientHalf, KeysAreMergedWhateverTheirNumber) {
  plan::ClientFields fields = plan::client_fields(test::sample_program());
  fields.keys.clear();
  const auto slots = static_cast<std::int32_t>(test::kSlots);
  for (std::int32_t r = 1 - slots; r < slots; ++r)
    if (r != 0) fields.keys.push_back({Kind::kRotation, r, r < 0 ? 3U : 2U});
  fields.keys.push_back({Kind::kConjugation, 0, 1});
  fields.keys.push_back({Kind::kRelinearisation, 0, 4});
  const auto half = ClientHalf::from_bytes(encode_client({}, fields).value());
  ASSERT_TRUE(half.ok()) << half.error().to_string();
  const auto requests = (*half)->key_requests();
  ASSERT_EQ(requests.size(), test::kSlots - 1 + 2);
  for (std::size_t i = 0; i + 2 < requests.size(); ++i) EXPECT_EQ(requests[i].limbs, 3U) << i;
  EXPECT_EQ(requests[requests.size() - 2].limbs, 1U);
  EXPECT_EQ(requests.back().galois_element, 0U);
  EXPECT_EQ(requests.back().limbs, 4U);
}

}  // namespace
}  // namespace brainlock::package
