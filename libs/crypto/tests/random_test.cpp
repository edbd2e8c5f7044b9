#include "brainlock/crypto/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <vector>

#include "brainlock/crypto/blake2b.hpp"
#include "brainlock/crypto/chacha20.hpp"
#include "brainlock/crypto/secret.hpp"

namespace brainlock::crypto {
namespace {

std::vector<std::uint8_t> from_hex(const char* text) {
  std::vector<std::uint8_t> out;
  for (; *text != '\0'; text += 2) {
    const char pair[3] = {text[0], text[1], '\0'};
    out.push_back(static_cast<std::uint8_t>(std::strtoul(pair, nullptr, 16)));
  }
  return out;
}

TEST(ChaCha20, Rfc8439BlockOne) {
  // RFC 8439, section 2.3.2.
  std::array<std::uint8_t, 32> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const std::array<std::uint8_t, 12> nonce{0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
  std::vector<std::uint8_t> out(64);
  chacha20_keystream(key, nonce, 1, out);
  EXPECT_EQ(out, from_hex("10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
                          "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"));
}

TEST(ChaCha20, BlocksContinueTheStream) {
  std::array<std::uint8_t, 32> key{7};
  const std::array<std::uint8_t, 12> nonce{3};
  std::vector<std::uint8_t> whole(64 * 9), part(64 * 4);
  chacha20_keystream(key, nonce, 0, whole);
  chacha20_keystream(key, nonce, 5, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 64 * 5));
}

TEST(Blake2b256, KnownAnswerAndPieces) {
  // BLAKE2b-256 of "abc", as b2sum -l 256 prints it.
  Blake2b256 whole;
  const std::uint8_t abc[] = {'a', 'b', 'c'};
  whole.update(abc);
  const auto digest = whole.finish();
  EXPECT_EQ(std::vector<std::uint8_t>(digest.begin(), digest.end()),
            from_hex("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"));
  Blake2b256 pieces;
  for (const auto& byte : abc) pieces.update({&byte, 1});
  EXPECT_EQ(pieces.finish(), digest);
}

TEST(SecureRandom, StreamsDifferAndAreBalanced) {
  SecureRandom a, b;
  std::set<std::uint64_t> seen;
  std::size_t ones = 0;
  constexpr std::size_t kCount = 200000;
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto x = a.next_u64();
    ones += static_cast<std::size_t>(__builtin_popcountll(x));
    seen.insert(x);
    seen.insert(b.next_u64());
  }
  EXPECT_EQ(seen.size(), 2 * kCount);  // a collision has probability below 2^-28
  // 12.8 million bits: standard deviation 1789, ten of them allowed.
  EXPECT_NEAR(static_cast<double>(ones), 32.0 * kCount, 17890.0);
}

TEST(SecureRandom, AKeyDeterminesItsStream) {
  std::array<std::uint8_t, 32> key{1, 2, 3};
  auto a = SecureRandom::from_key_for_tests(key), b = SecureRandom::from_key_for_tests(key);
  key[0] = 9;
  auto c = SecureRandom::from_key_for_tests(key);
  int same = 0;
  for (int i = 0; i < 10000; ++i) {
    const auto x = a.next_u64();
    ASSERT_EQ(x, b.next_u64());
    same += x == c.next_u64() ? 1 : 0;
  }
  EXPECT_EQ(same, 0);
}

TEST(SecureRandom, FillCrossesRefillsAndMixedSizes) {
  SecureRandom random;
  std::vector<std::uint8_t> big(100000);
  random.next_u32();
  random.fill(big);
  std::array<std::size_t, 256> histogram{};
  for (const auto byte : big) ++histogram[byte];
  for (const auto count : histogram) EXPECT_NEAR(static_cast<double>(count), 390.6, 200.0);
  // Never two equal blocks in a row, which a stuck refill would give.
  for (std::size_t i = 0; i + 64 <= big.size(); i += 32) EXPECT_NE(std::memcmp(&big[i], &big[i + 32], 32), 0);
}

TEST(Secret, AlignedZeroedAndMoves) {
  Secret<std::uint32_t> a(1001);
  ASSERT_EQ(a.size(), 1001u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0u);
  for (const auto x : a.values()) ASSERT_EQ(x, 0u);
  a.values()[1000] = 77;
  Secret<std::uint32_t> b = std::move(a);
  EXPECT_EQ(a.size(), 0u);
  EXPECT_EQ(b.values()[1000], 77u);
  a = std::move(b);
  EXPECT_EQ(a.values()[1000], 77u);
}

}  // namespace
}  // namespace brainlock::crypto
