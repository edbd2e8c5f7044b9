#include "brainlock/ckks/objects.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace brainlock::ckks {
namespace {

static_assert(!std::is_copy_constructible_v<Ciphertext> && std::is_move_constructible_v<Ciphertext>);

TEST(Objects, CloneIsDeepAndComplete) {
  Ciphertext a;
  a.limbs = 1;
  a.scale = Scale::from_log2(20);
  a.c0 = {1, 2, 3};
  a.c1 = {4, 5, 6};
  a.seed = Seed{9};
  auto b = a.clone();
  EXPECT_EQ(b.limbs, 1u);
  EXPECT_TRUE(b.scale.matches(a.scale));
  EXPECT_EQ(b.c0, a.c0);
  EXPECT_EQ(b.c1, a.c1);
  EXPECT_EQ(b.seed, a.seed);
  b.c0[0] = 99;
  EXPECT_EQ(a.c0[0], 1u);
}

TEST(Objects, RotationElementsAreAGroup) {
  for (const std::uint32_t n : {8u, 16u, 1024u, 1u << 17}) {
    EXPECT_EQ(rotation_element(n, 0), 1u);
    EXPECT_EQ(rotation_element(n, 1), 5u % (2 * n));
    EXPECT_EQ(rotation_element(n, n / 2), 1u);
    EXPECT_EQ(rotation_element(n, -1), rotation_element(n, n / 2 - 1));
    EXPECT_EQ(conjugation_element(n), 2 * n - 1);
    for (std::int64_t a = -5; a <= 5; ++a) {
      for (std::int64_t b = -5; b <= 5; ++b) {
        const std::uint64_t product = std::uint64_t{rotation_element(n, a)} * rotation_element(n, b) % (2 * n);
        EXPECT_EQ(product, rotation_element(n, a + b));
      }
    }
  }
}

TEST(Objects, KeySetFindsByElement) {
  EvaluationKeySet set;
  set.keys.resize(3);
  set.keys[1].galois_element = 5;
  set.keys[2].galois_element = 25;
  EXPECT_EQ(set.find(25), &set.keys[2]);
  EXPECT_EQ(set.find(0), &set.keys[0]);
  EXPECT_EQ(set.find(7), nullptr);
}

TEST(Scale, ProductsAndMatching) {
  const auto a = Scale::from_log2(26), b = Scale::from_value(3);
  EXPECT_DOUBLE_EQ((a * b).value(), 3 * 0x1p26);
  EXPECT_TRUE((a * b / b).matches(a));
  EXPECT_TRUE(a.matches(Scale::from_value(0x1p26 * (1 + 0x1p-42))));
  EXPECT_FALSE(a.matches(Scale::from_value(0x1p26 * (1 + 0x1p-38))));
}

}  // namespace
}  // namespace brainlock::ckks
