#include "brainlock/wire/public_key.hpp"

#include "wire_fixture.hpp"

namespace brainlock::wire {
namespace {

using testing::expect_refused;
using testing::make_toy;
using testing::random_public_key;

TEST(WirePublicKey, RoundTrip) {
  const auto parameters = make_toy(32, 4);
  const auto key = random_public_key(*parameters);
  const auto bytes = serialize_public_key(key, *parameters);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->size(), public_key_bytes(*parameters));
  const auto back = parse_public_key(*bytes, *parameters);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->b, key.b);
  EXPECT_EQ(back->a, key.a);
  EXPECT_EQ(back->seed, key.seed);
}

TEST(WirePublicKey, EveryDamageIsRefused) {
  const auto parameters = make_toy(8, 2, 1, 1);
  const auto bytes = serialize_public_key(random_public_key(*parameters), *parameters);
  testing::expect_every_damage_refused([&](const Bytes& b) { return parse_public_key(b, *parameters); }, *bytes);
}

TEST(WirePublicKey, SealedNonsenseAndForeignKeysAreRefused) {
  const auto parameters = make_toy(16, 3);
  const auto parse = [&](const Bytes& b) { return parse_public_key(b, *parameters); };
  Bytes bad = *serialize_public_key(random_public_key(*parameters), *parameters);
  bad[kHeaderBytes + 32] = bad[kHeaderBytes + 33] = bad[kHeaderBytes + 34] = bad[kHeaderBytes + 35] = 0xff;
  testing::reseal(bad);
  expect_refused(parse, bad, ErrorCode::kMalformed, "limb 0: a word is not below its prime");
  bad.resize(bad.size() - 1);
  testing::reseal(bad);
  expect_refused(parse, bad, ErrorCode::kMalformed, "expected");
  const auto other = make_toy(64, 4);
  expect_refused(parse, *serialize_public_key(random_public_key(*other), *other), ErrorCode::kMismatch, "made for");
}

TEST(WirePublicKey, WriterRefusesWhatTheReaderWould) {
  const auto parameters = make_toy(16, 3);
  auto key = random_public_key(*parameters);
  key.b[0] = parameters->modulus(0).q;
  EXPECT_EQ(serialize_public_key(key, *parameters).error().code, ErrorCode::kInvalidArgument);
  key.b.pop_back();
  EXPECT_EQ(serialize_public_key(key, *parameters).error().code, ErrorCode::kInvalidArgument);
  key.seed.reset();
  EXPECT_EQ(serialize_public_key(key, *parameters).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::wire
