#include "brainlock/ckks/uniform.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "brainlock/crypto/chacha20.hpp"
#include "test_parameters.hpp"

namespace brainlock::ckks {
namespace {

/// The definition, word by word: rejection on the plain keystream.
std::vector<std::uint32_t> reference(const Seed& seed, std::uint64_t stream, std::uint32_t q, std::size_t n) {
  std::vector<std::uint8_t> bytes(64 * n + 4096);
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[i] = static_cast<std::uint8_t>(stream >> (8 * i));
  crypto::chacha20_keystream(seed, nonce, 0, bytes);
  const std::uint32_t mask = (std::uint32_t{1} << std::bit_width(q)) - 1;
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; out.size() < n; i += 4) {
    const std::uint32_t word = (std::uint32_t{bytes[i]} | std::uint32_t{bytes[i + 1]} << 8 |
                                std::uint32_t{bytes[i + 2]} << 16 | std::uint32_t{bytes[i + 3]} << 24) & mask;
    if (word < q) out.push_back(word);
  }
  return out;
}

TEST(Uniform, EqualsItsDefinition) {
  Seed seed{};
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(3 * i + 1);
  // Primes just below and just above a power of two: nearly no and nearly half of the words rejected.
  for (const std::uint32_t q : {268369921u, 134250497u, 97u, 1073643521u}) {
    for (const std::size_t n : {8u, 16u, 4096u, 5000u, 32768u}) {
      for (const std::uint64_t stream : {0ull, 1ull, 0x123456789aull}) {
        std::vector<std::uint32_t> out(n + 1, 0xdeadbeef);
        uniform_limb(seed, stream, q, out.data(), n);
        EXPECT_EQ(out[n], 0xdeadbeef);
        out.pop_back();
        ASSERT_EQ(out, reference(seed, stream, q, n)) << q << " " << n << " " << stream;
      }
    }
  }
}

TEST(Uniform, KnownAnswer) {
  // Frozen: seeds on disk must mean the same polynomial for ever. Checked against an independent ChaCha20.
  const Seed seed{};
  std::uint32_t out[8];
  uniform_limb(seed, 0, 1073643521u, out, 8);
  const std::uint32_t want[8] = {769702006u, 272495008u, 627727680u, 683509331u, 941216445u, 451775904u, 217003688u, 118323083u};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[i], want[i]) << i;
}

TEST(Uniform, ExpandFillsEveryLimbFromItsStream) {
  const auto parameters = testing::make_toy(16, 5, 2, 2);
  EvaluationKey key;
  key.limbs = 3;  // not all of q: special limbs follow at once, two digits
  key.seed = Seed{42};
  expand(key, *parameters);
  ASSERT_EQ(key.a.size(), 2u * 5u * 16u);
  for (std::uint32_t d = 0; d < 2; ++d) {
    for (std::uint32_t l = 0; l < 5; ++l) {
      const std::uint32_t q = l < 3 ? parameters->spec().q[l] : parameters->spec().p[l - 3];
      const auto want = reference(*key.seed, d * 5 + l, q, 16);
      for (std::size_t t = 0; t < 16; ++t) ASSERT_EQ(key.a[(d * 5 + l) * 16 + t], want[t]);
    }
  }
  const auto before = key.a;
  key.seed = Seed{43};
  expand(key, *parameters);  // already expanded: left alone
  EXPECT_EQ(key.a, before);
}

}  // namespace
}  // namespace brainlock::ckks
