#include "brainlock/math/modulus.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>

namespace brainlock::math {
namespace {

const std::uint32_t kPrimes[] = {3, 17, 97, 12289, 65537, 134176769, 268369921, 1073479681};

TEST(Modulus, ConstantsMatchTheirDefinition) {
  for (const std::uint32_t q : kPrimes) {
    const Modulus m = make_modulus(q);
    EXPECT_EQ(m.q * m.neg_inv, 0xffffffffu) << q;
    EXPECT_EQ(m.r1, (std::uint64_t{1} << 32) % q);
    EXPECT_EQ(m.r2, static_cast<std::uint64_t>((static_cast<unsigned __int128>(1) << 64) % q));
    EXPECT_EQ(m.barrett, static_cast<std::uint64_t>((static_cast<unsigned __int128>(1) << 64) / q));
  }
}

TEST(Modulus, ArithmeticIsExhaustivelyRightOnATinyPrime) {
  const Modulus m = make_modulus(17);
  for (std::uint32_t a = 0; a < 17; ++a) {
    for (std::uint32_t b = 0; b < 17; ++b) {
      EXPECT_EQ(add_mod(a, b, m), (a + b) % 17);
      EXPECT_EQ(sub_mod(a, b, m), (a + 17 - b) % 17);
      EXPECT_EQ(mul_mod(a, b, m), a * b % 17);
    }
    if (a != 0) {
      EXPECT_EQ(mul_mod(a, inv_mod(a, m), m), 1u);
      EXPECT_EQ(pow_mod(a, 16, m), 1u);
    }
  }
}

TEST(Modulus, ReducesEdgesAndRandomWords) {
  std::mt19937_64 rng(1);
  for (const std::uint32_t q : kPrimes) {
    const Modulus m = make_modulus(q);
    std::vector<std::uint64_t> xs = {0, 1, q - 1, q, q + 1, 2ull * q - 1, 2ull * q, ~0ull, ~0ull - q, ~0ull / q * q,
                                     ~0ull / q * q - 1};
    for (int i = 0; i < 10000; ++i) xs.push_back(rng() >> (rng() % 64));
    for (const std::uint64_t x : xs) {
      ASSERT_EQ(reduce_u64(x, m), x % q) << x << " mod " << q;
      const auto s = static_cast<std::int64_t>(x);
      const auto expected = static_cast<std::uint32_t>(((static_cast<__int128>(s) % q) + q) % q);
      ASSERT_EQ(reduce_i64(s, m), expected) << s << " mod " << q;
      const auto a = static_cast<std::uint32_t>(x % q);
      ASSERT_EQ(to_montgomery(a, m), (static_cast<std::uint64_t>(a) << 32) % q);
    }
    EXPECT_EQ(reduce_i64(std::numeric_limits<std::int64_t>::min(), m),
              (q - (std::uint64_t{1} << 63) % q) % q);
  }
}

TEST(ModulusDeathTest, RefusesWhatTheKernelsCannotHold) {
  EXPECT_DEATH_IF_SUPPORTED(make_modulus(1u << 30), "make_modulus");
  EXPECT_DEATH_IF_SUPPORTED(make_modulus(100), "make_modulus");
  EXPECT_DEATH_IF_SUPPORTED(make_modulus(1), "make_modulus");
}

TEST(IsPrime, AgreesWithTrialDivisionAndKnownHardCases) {
  for (std::uint64_t n = 0; n < 20000; ++n) {
    bool expected = n >= 2;
    for (std::uint64_t d = 2; d * d <= n && expected; ++d) expected = n % d != 0;
    ASSERT_EQ(is_prime(n), expected) << n;
  }
  EXPECT_FALSE(is_prime(3215031751ull));           // strong pseudoprime to bases 2, 3, 5, 7
  EXPECT_FALSE(is_prime(3825123056546413051ull));  // strong pseudoprime to the first nine primes
  EXPECT_TRUE(is_prime(18446744073709551557ull));  // largest below 2^64
  EXPECT_FALSE(is_prime(18446744073709551615ull));
}

TEST(NttPrimes, AreDistinctOfTheRightFormAndDescending) {
  const auto primes = ntt_primes(28, 20, 1u << 15);
  ASSERT_EQ(primes.size(), 20u);
  for (std::size_t i = 0; i < primes.size(); ++i) {
    EXPECT_TRUE(is_prime(primes[i]));
    EXPECT_EQ(primes[i] % (1u << 16), 1u);
    EXPECT_LT(primes[i], 1u << 28);
    EXPECT_GT(primes[i], 1u << 27);
    EXPECT_TRUE(i == 0 || primes[i] < primes[i - 1]);
  }
  const auto others = ntt_primes(28, 5, 1u << 15, primes);
  for (const auto q : others) EXPECT_EQ(std::count(primes.begin(), primes.end(), q), 0);
  EXPECT_LT(others.front(), primes.back());
}

TEST(NttPrimes, RunsDryInsteadOfChangingWidth) {
  const auto primes = ntt_primes(18, 100, 1u << 14);  // candidates: 3, 5 and 7 times 2^15, plus one
  std::set<std::uint32_t> expected;
  for (std::uint32_t q = (1u << 17) + 1; q < (1u << 18); q += 1u << 15) {
    if (is_prime(q)) expected.insert(q);
  }
  EXPECT_EQ(std::set<std::uint32_t>(primes.begin(), primes.end()), expected);
}

}  // namespace
}  // namespace brainlock::math
