#include "brainlock/wire/bit_packing.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace brainlock::wire {
namespace {

TEST(BitPacking, ResidueBits) {
  EXPECT_EQ(residue_bits(3), 2);
  EXPECT_EQ(residue_bits(17), 5);
  EXPECT_EQ(residue_bits(257), 9);
  EXPECT_EQ(residue_bits(268369921), 28);
  EXPECT_EQ(residue_bits(1073643521), 30);
}

/// Bit by bit, as the header defines it.
std::vector<std::uint8_t> reference(const std::vector<std::uint32_t>& words, int bits) {
  std::vector<std::uint8_t> out(packed_bytes(words.size(), bits));
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (int k = 0; k < bits; ++k) {
      const std::size_t at = i * static_cast<std::size_t>(bits) + static_cast<std::size_t>(k);
      if ((words[i] >> k) & 1) out[at / 8] = static_cast<std::uint8_t>(out[at / 8] | (1u << (at % 8)));
    }
  }
  return out;
}

TEST(BitPacking, EqualsItsDefinitionAndInverts) {
  std::mt19937 engine(5);
  for (int bits = 2; bits <= 30; ++bits) {
    // An odd number of exactly this bit length stands in for the prime.
    const std::uint32_t q = (1u << bits) - 1;
    ASSERT_EQ(residue_bits(q), bits);
    for (const std::size_t n : {8u, 16u, 24u, 64u, 1024u}) {
      std::vector<std::uint32_t> words(n);
      for (auto& word : words) word = static_cast<std::uint32_t>(engine()) % q;
      std::vector<std::uint8_t> packed(packed_bytes(n, bits));
      pack_words(words, bits, packed);
      ASSERT_EQ(packed, reference(words, bits)) << bits << " bits, " << n << " words";
      std::vector<std::uint32_t> back(n);
      ASSERT_TRUE(unpack_words(packed, q, back));
      ASSERT_EQ(back, words);
    }
  }
}

TEST(BitPacking, OneWordAboveTheRangeIsSeenAnywhere) {
  const std::uint32_t q = 268369921;
  for (std::size_t i = 0; i < 64; ++i) {
    std::vector<std::uint32_t> words(64, q - 1);
    std::vector<std::uint8_t> packed(packed_bytes(64, 28));
    std::vector<std::uint32_t> back(64);
    pack_words(words, 28, packed);
    EXPECT_TRUE(unpack_words(packed, q, back));
    words[i] = q;
    pack_words(words, 28, packed);
    EXPECT_FALSE(unpack_words(packed, q, back)) << i;
  }
}

}  // namespace
}  // namespace brainlock::wire
