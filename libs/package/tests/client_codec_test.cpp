#include "brainlock/package/client_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "allocations.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/package/program_codec.hpp"
#include "resealed.hpp"
#include "sample_program.hpp"

namespace brainlock::package {
namespace {

using test::kChecksum;
using test::resealed;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kHead = 40;

std::array<std::uint8_t, 32> sample_hash() {
  std::array<std::uint8_t, 32> hash{};
  for (std::size_t i = 0; i < hash.size(); ++i) hash[i] = static_cast<std::uint8_t>(0xA0 + i);
  return hash;
}

Bytes sample_bytes() { return encode_client(sample_hash(), plan::client_fields(test::sample_program())).value(); }

void expect_refused(const Bytes& bytes, ErrorCode code, const char* text) {
  const auto decoded = decode_client(bytes);
  ASSERT_FALSE(decoded.ok()) << text;
  EXPECT_EQ(decoded.error().code, code) << decoded.error().to_string();
  EXPECT_THAT(decoded.error().message, HasSubstr(text));
}

/// Refused, or the one encoding of what was understood.
void expect_one_encoding(const Bytes& sealed, const std::string& what) {
  const auto decoded = decode_client(sealed);
  if (!decoded.ok()) return;
  const auto again = encode_client(decoded->hash, decoded->fields);
  ASSERT_TRUE(again.ok()) << what;
  ASSERT_EQ(*again, sealed) << what;
}

TEST(ClientCodec, EveryFieldSurvives) {
  const plan::ClientFields c = plan::client_fields(test::sample_program());
  const auto decoded = decode_client(sample_bytes());
  ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
  const plan::ClientFields& d = decoded->fields;
  EXPECT_EQ(decoded->hash, sample_hash());
  EXPECT_EQ(std::tie(d.model_name, d.profile, d.keys), std::tie(c.model_name, c.profile, c.keys));
  EXPECT_EQ(std::tie(d.parameters.ring_degree, d.parameters.q, d.parameters.p, d.parameters.digit_limbs),
            std::tie(c.parameters.ring_degree, c.parameters.q, c.parameters.p, c.parameters.digit_limbs));
  EXPECT_EQ(d.error_bound, 0.25);
  EXPECT_EQ(d.error_estimate, 0.01);
  for (const auto& [a, b] : {std::pair(&d.input, &c.input), std::pair(&d.output, &c.output)}) {
    EXPECT_EQ(std::tie(a->channels, a->height, a->width, a->ciphertexts, a->parts, a->limbs, a->scale, a->bound),
              std::tie(b->channels, b->height, b->width, b->ciphertexts, b->parts, b->limbs, b->scale, b->bound));
    ASSERT_EQ(a->places.size(), b->places.size());
    for (std::size_t i = 0; i < a->places.size(); ++i)
      EXPECT_EQ(std::tie(a->places[i].index, a->places[i].ciphertext, a->places[i].slot, a->places[i].part),
                std::tie(b->places[i].index, b->places[i].ciphertext, b->places[i].slot, b->places[i].part));
  }
}

// The example of docs/package.md.
TEST(ClientCodec, BytesAreAsDocumented) {
  const Bytes bytes = sample_bytes();
  const auto hex = [&](std::size_t from, std::size_t count) {
    return crypto::hex_encode(std::span(bytes).subspan(from, count));
  };
  EXPECT_EQ(hex(0x00, 8), "424c434c4e540001");
  EXPECT_EQ(hex(0x08, 4), "a0a1a2a3");
  EXPECT_EQ(hex(0x28, 10), "0600000073616d706c65");
  EXPECT_EQ(hex(0x32, 8), "0400000074657374");
  EXPECT_EQ(hex(0x3A, 4), "00200000");
  EXPECT_EQ(hex(0x3E, 4), "04000000");
  EXPECT_EQ(bytes.size(), 566U);
  // Up to the maps' end they are the fields of plan.bin, in the same bytes.
  const Bytes plan = encode_program(test::sample_program());
  const std::size_t common = 18 + 4 + 4 + 16 + 4 + 8 + 4 + 2 * (24 + 8 * 16 + 20);
  EXPECT_TRUE(
      std::equal(bytes.begin() + kHead, bytes.begin() + static_cast<std::ptrdiff_t>(kHead + common), plan.begin() + 8));
  // And behind them keys, bounds and what seals them are plan.bin's last but for the checksum.
  const std::size_t last = bytes.size() - kHead - common - kChecksum;
  EXPECT_TRUE(std::equal(bytes.end() - static_cast<std::ptrdiff_t>(last + kChecksum), bytes.end() - kChecksum,
                         plan.end() - static_cast<std::ptrdiff_t>(last + kChecksum)));
}

TEST(ClientCodec, EveryTruncationIsRefused) {
  const Bytes good = sample_bytes();
  for (std::size_t size = 0; size < good.size(); ++size) {
    Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    const auto decoded = decode_client(cut);
    ASSERT_FALSE(decoded.ok()) << size;
    EXPECT_EQ(decoded.error().code, size < kHead + kChecksum ? ErrorCode::kTruncated : ErrorCode::kCorrupted) << size;
    if (size >= kHead + kChecksum) expect_refused(resealed(cut), ErrorCode::kMalformed, "client half: ");
  }
  Bytes longer = good;
  longer.insert(longer.end() - kChecksum, 7);
  expect_refused(resealed(longer), ErrorCode::kMalformed, "1 bytes too many");
}

TEST(ClientCodec, EveryFlippedBitIsSeen) {
  const Bytes good = sample_bytes();
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    Bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    ASSERT_FALSE(decode_client(bad).ok()) << bit;
    if (bit / 8 < good.size() - kChecksum) expect_one_encoding(resealed(bad), "bit " + std::to_string(bit));
  }
}

TEST(ClientCodec, EveryByteTakesEveryValue) {
  const Bytes good = sample_bytes();
  for (std::size_t at = 8; at < good.size() - kChecksum; ++at) {
    for (unsigned value = 0; value < 256; value += at % 7 == 0 ? 1 : 17) {
      Bytes bad = good;
      bad[at] = static_cast<std::uint8_t>(value);
      expect_one_encoding(resealed(bad), std::to_string(value) + " at " + std::to_string(at));
    }
  }
}

TEST(ClientCodec, WhatIsNoneIsSaid) {
  const Bytes good = sample_bytes();
  expect_refused({}, ErrorCode::kTruncated, "at least 72 bytes, got 0");
  Bytes bad = good;
  bad[0] = 'X';
  expect_refused(resealed(bad), ErrorCode::kMalformed, "not the client's half");
  expect_refused(encode_program(test::sample_program()), ErrorCode::kMalformed, "not the client's half");
  for (const unsigned version : {0U, 2U, 255U}) {
    bad = good;
    bad[7] = static_cast<std::uint8_t>(version);
    expect_refused(resealed(bad), ErrorCode::kUnsupported, "expected 1");
  }
  bad = good;
  bad[kHead + 4] = 'S';
  expect_refused(bad, ErrorCode::kCorrupted, "checksum");
  // The rules of plan::validate() stand behind the door; its own tests have them all.
  plan::ClientFields fields = plan::client_fields(test::sample_program());
  fields.output.places[0].slot = test::kSlots;
  expect_refused(encode_client(sample_hash(), fields).value(), ErrorCode::kMalformed,
                 "output: a place is out of range");
}

TEST(ClientCodec, HostileCountsAllocateNothing) {
  const Bytes good = sample_bytes();
  for (const std::uint32_t count : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x10000000U, 0x00FFFFFFU, 0x000FFFFFU, 0x0000FFFFU}) {
    for (std::size_t at = 8; at + 4 + kChecksum <= good.size(); ++at) {
      Bytes bad = good;
      std::memcpy(bad.data() + at, &count, 4);
      const Bytes sealed = resealed(std::move(bad));
      test::largest_allocation = 0;
      const auto decoded = decode_client(sealed);
      ASSERT_LE(test::largest_allocation, 16 * sealed.size()) << "count " << count << " at " << at;
      expect_one_encoding(sealed, std::to_string(count) + " at " + std::to_string(at));
    }
  }
}

TEST(ClientCodec, LargerOnesAreNeitherReadNorWritten) {
  const Bytes large(kMaxClientBytes + 1);
  expect_refused(large, ErrorCode::kTooLarge, "got 67108865");
  plan::ClientFields fields = plan::client_fields(test::sample_program());
  fields.input.places.assign(kMaxClientBytes / 16, fields.input.places[0]);
  const auto encoded = encode_client(sample_hash(), fields);
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace brainlock::package
