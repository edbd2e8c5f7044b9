#include "brainlock/wire/ciphertext.hpp"

#include <limits>

#include "wire_fixture.hpp"

namespace brainlock::wire {
namespace {

using testing::expect_refused;
using testing::make_toy;
using testing::random_ciphertext;

auto parser(const std::shared_ptr<const ckks::Parameters>& parameters) {
  return [parameters](const Bytes& bytes) { return parse_ciphertexts(bytes, *parameters); };
}

TEST(WireCiphertext, RoundTripAtEveryLimbCountAndForm) {
  const auto parameters = make_toy(32, 5);
  for (std::uint32_t limbs = 1; limbs <= 5; ++limbs) {
    for (const bool seeded : {false, true}) {
      const auto ciphertext = random_ciphertext(*parameters, limbs, seeded);
      const auto bytes = serialize_ciphertext(ciphertext, *parameters);
      ASSERT_TRUE(bytes.ok());
      EXPECT_EQ(bytes->size(), ciphertexts_bytes(*parameters, 1, limbs, seeded));
      const auto back = parse_ciphertext(*bytes, *parameters);
      ASSERT_TRUE(back.ok()) << back.error().to_string();
      EXPECT_EQ(back->limbs, limbs);
      EXPECT_EQ(back->scale.value(), ciphertext.scale.value());
      EXPECT_EQ(back->c0, ciphertext.c0);
      EXPECT_EQ(back->c1, ciphertext.c1);
      EXPECT_EQ(back->seed, ciphertext.seed);
    }
  }
}

TEST(WireCiphertext, ListsKeepTheirOrder) {
  const auto parameters = make_toy();
  std::vector<ckks::Ciphertext> list;
  for (std::uint32_t i = 0; i < 5; ++i) list.push_back(random_ciphertext(*parameters, 1 + i % 3, i % 2 == 0, i));
  const auto bytes = serialize_ciphertexts(list, *parameters);
  ASSERT_TRUE(bytes.ok());
  const auto back = parse_ciphertexts(*bytes, *parameters);
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ((*back)[i].c0, list[i].c0);
    EXPECT_EQ((*back)[i].c1, list[i].c1);
  }
  EXPECT_EQ(parse_ciphertexts(*bytes, *parameters, 4).error().code, ErrorCode::kTooLarge);
  EXPECT_FALSE(parse_ciphertext(*bytes, *parameters).ok());
}

TEST(WireCiphertext, SizesAreAsPublished) {
  // 16 words of 28, 29 and 30 bits are 56, 58 and 60 bytes.
  const auto parameters = make_toy(16, 3);
  EXPECT_EQ(ciphertexts_bytes(*parameters, 1, 3, true), 80u + 4 + 16 + 32 + 174);
  EXPECT_EQ(ciphertexts_bytes(*parameters, 1, 3, false), 80u + 4 + 16 + 2 * 174);
}

TEST(WireCiphertext, EveryDamageIsRefused) {
  const auto parameters = make_toy(8, 2, 1, 1);
  for (const bool seeded : {false, true}) {
    const auto bytes = serialize_ciphertext(random_ciphertext(*parameters, 2, seeded), *parameters);
    testing::expect_every_damage_refused(parser(parameters), *bytes);
  }
}

TEST(WireCiphertext, ForeignParametersAreRefused) {
  const auto ours = make_toy(16, 3), smaller = make_toy(8, 2), larger = make_toy(1024, 5);
  for (const auto& theirs : {smaller, larger}) {
    const auto bytes = serialize_ciphertext(random_ciphertext(*theirs, 2, false), *theirs);
    expect_refused(parser(ours), *bytes, ErrorCode::kMismatch, "made for parameters");
  }
}

TEST(WireCiphertext, SealedNonsenseIsRefused) {
  const auto parameters = make_toy(16, 3);
  const Bytes good = *serialize_ciphertext(random_ciphertext(*parameters, 3, false), *parameters);
  const std::size_t record = kHeaderBytes + 4;
  const auto change = [&](auto&& edit) {
    Bytes bad = good;
    edit(bad);
    testing::reseal(bad);
    return bad;
  };
  const auto parse = parser(parameters);
  const auto malformed = ErrorCode::kMalformed;
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, kHeaderBytes, 0); }), malformed, "none");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, kHeaderBytes, 1025); }), ErrorCode::kTooLarge, "1025");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, kHeaderBytes, 2); }), malformed, "0 bytes left");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, record, 0); }), malformed, "0 limbs, expected 1 to 3");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, record, 4); }), malformed, "4 limbs, expected 1 to 3");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, record, 2); }), malformed, "bytes after the last");
  expect_refused(parse, change([&](Bytes& b) { testing::put_u32(b, record + 4, 2); }), malformed, "form 2, expected 0 or 1");
  for (const double scale : {0.0, -1.0, 0.5, 0x1p200, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    expect_refused(parse, change([&](Bytes& b) { testing::put_f64(b, record + 8, scale); }), malformed, "scale");
  }
  // The last word of c1 above its 30-bit prime.
  expect_refused(parse, change([&](Bytes& b) { for (int i = 1; i <= 4; ++i) b[b.size() - i] = 0xff; }), malformed,
                 "c1 limb 2: a word is not below its prime");
  expect_refused(parse, change([&](Bytes& b) { b.resize(b.size() - 1); }), malformed, "bytes left, expected at least");
  expect_refused(parse, change([&](Bytes& b) { b.resize(b.size() + 1); }), malformed, "1 bytes after the last");
  Bytes huge = good;
  huge[46] = 1;  // 2^48 bytes announced: refused before the checksum is looked at
  expect_refused(parse, huge, ErrorCode::kTooLarge, "expected at most");
}

TEST(WireCiphertext, WriterRefusesWhatTheReaderWould) {
  const auto parameters = make_toy(16, 3);
  const auto refused = [&](auto&& edit, const char* text) {
    auto bad = random_ciphertext(*parameters, 2, false);
    edit(bad);
    const auto bytes = serialize_ciphertext(bad, *parameters);
    ASSERT_FALSE(bytes.ok());
    EXPECT_EQ(bytes.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(bytes.error().message, ::testing::HasSubstr(text));
  };
  refused([](auto& c) { c.limbs = 0; }, "0 limbs");
  refused([](auto& c) { c.limbs = 3; }, "words, expected 48");
  refused([](auto& c) { c.c1.clear(); }, "32 and 0 words");
  refused([](auto& c) { c.scale = ckks::Scale::from_log2(70); }, "scale");
  refused([&](auto& c) { c.c0[17] = parameters->modulus(1).q; }, "limb 1 is not reduced");
  EXPECT_EQ(serialize_ciphertexts({}, *parameters).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::wire
