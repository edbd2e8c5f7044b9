#include "brainlock/crypto/ed25519.hpp"

#include <gtest/gtest.h>

namespace brainlock::crypto {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> bytes_of(std::string_view hex) {
  return hex_decode_array<N>(hex).value();
}

struct Known {
  const char *seed, *key, *message, *signature;
};
// RFC 8032, section 7.1, tests 1 to 3.
constexpr Known kKnown[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "027beceea1ec40a"},
};

TEST(Ed25519, KnownAnswers) {
  for (const auto& known : kKnown) {
    const auto pair = Ed25519KeyPair::from_seed(hex_decode(known.seed).value());
    ASSERT_TRUE(pair.ok());
    const Bytes message = hex_decode(known.message).value();
    EXPECT_EQ(pair.value().public_key(), bytes_of<32>(known.key));
    EXPECT_EQ(pair.value().sign(message), bytes_of<64>(known.signature));
    EXPECT_TRUE(ed25519_verify(pair.value().public_key(), message, bytes_of<64>(known.signature)));
    EXPECT_EQ(hex_encode(pair.value().seed().bytes()), known.seed);
  }
}

TEST(Ed25519, AnyChangedBitIsRefused) {
  const auto pair = Ed25519KeyPair::generate();
  const Bytes message = {1, 2, 3};
  const auto signature = pair.sign(message);
  ASSERT_TRUE(ed25519_verify(pair.public_key(), message, signature));
  for (std::size_t bit = 0; bit < 512; ++bit) {
    auto changed = signature;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(ed25519_verify(pair.public_key(), message, changed)) << bit;
  }
  for (std::size_t bit = 0; bit < 24; ++bit) {
    auto changed = message;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(ed25519_verify(pair.public_key(), changed, signature)) << bit;
  }
  EXPECT_FALSE(ed25519_verify(Ed25519KeyPair::generate().public_key(), message, signature));
}

TEST(Ed25519, AKeyOfSmallOrderSignsNothing) {
  // With the neutral element as key, R = neutral and S = 0 fit every message unless it is looked for.
  Ed25519PublicKey neutral{};
  neutral[0] = 1;
  Ed25519Signature signature{};
  signature[0] = 1;
  EXPECT_FALSE(ed25519_verify(neutral, Bytes{1, 2, 3}, signature));
}

TEST(Ed25519, SeedOfAnotherLength) {
  EXPECT_EQ(Ed25519KeyPair::from_seed(Bytes(31)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(Ed25519KeyPair::generate().public_key(), Ed25519KeyPair::generate().public_key());
}

}  // namespace
}  // namespace brainlock::crypto
