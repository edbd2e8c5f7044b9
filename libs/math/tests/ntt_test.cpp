// The transform's definition, checked against schoolbook arithmetic, for every kernel table.
#include "brainlock/math/ntt.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tables_under_test.hpp"

namespace brainlock::math {
namespace {

using Words = AlignedVector<std::uint32_t>;

Words random_words(std::size_t n, std::uint32_t q, unsigned seed) {
  std::mt19937 rng(seed);
  Words v(n);
  for (auto& x : v) x = std::uniform_int_distribution<std::uint32_t>(0, q - 1)(rng);
  return v;
}

/// a(point) by Horner's rule.
std::uint32_t evaluate(const Words& a, std::uint32_t point, const Modulus& m) {
  std::uint32_t r = 0;
  for (std::size_t i = a.size(); i-- > 0;) r = add_mod(mul_mod(r, point, m), a[i], m);
  return r;
}

int log2_of(std::uint32_t n) {
  int l = 0;
  while ((1u << l) < n) ++l;
  return l;
}

class NttTest : public ::testing::TestWithParam<const Kernels*> {};

TEST_P(NttTest, OutputIIsTheValueAtItsDocumentedPoint) {
  for (const std::uint32_t n : {8u, 16u, 32u, 64u, 128u, 256u, 512u, 1024u}) {
    for (const int bits : {20, 28, 30}) {
      const auto t = make_ntt_tables(n, ntt_primes(bits, 1, n).front());
      const Modulus& m = t->modulus;
      ASSERT_EQ(pow_mod(t->psi, n, m), m.q - 1);
      const Words a = random_words(n, m.q, n);
      Words x = a;
      GetParam()->ntt_forward(*t, x.data());
      for (std::uint32_t i = 0; i < n; ++i) {
        ASSERT_EQ(x[i], evaluate(a, pow_mod(t->psi, 2 * reverse_bits(i, log2_of(n)) + 1, m), m)) << n << " at " << i;
      }
      GetParam()->ntt_inverse(*t, x.data());
      ASSERT_EQ(x, a);
    }
  }
}

TEST_P(NttTest, PointwiseProductIsTheNegacyclicConvolution) {
  constexpr std::uint32_t n = 256;
  for (const int bits : {14, 27, 30}) {
    const auto t = make_ntt_tables(n, ntt_primes(bits, 1, n).front());
    const Modulus& m = t->modulus;
    Words a = random_words(n, m.q, 3);
    Words b = random_words(n, m.q, 4);
    Words expected(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const std::uint32_t p = mul_mod(a[i], b[j], m);
        std::uint32_t& e = expected[(i + j) % n];
        e = i + j < n ? add_mod(e, p, m) : sub_mod(e, p, m);
      }
    }
    GetParam()->ntt_forward(*t, a.data());
    GetParam()->ntt_forward(*t, b.data());
    GetParam()->mul(a.data(), a.data(), b.data(), m, n);
    GetParam()->ntt_inverse(*t, a.data());
    EXPECT_EQ(a, expected);
  }
}

TEST_P(NttTest, LargeRingsAgreeAtSampledPointsAndInvert) {
  for (const std::uint32_t n : {1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15, 1u << 16, 1u << 17}) {
    const auto t = make_ntt_tables(n, ntt_primes(30, 1, n).front());
    const Modulus& m = t->modulus;
    Words a = random_words(n, m.q, n);
    for (std::size_t i = 0; i < n / 2; ++i) a[i] = m.q - 1;  // stretch the lazy ranges
    Words x = a;
    GetParam()->ntt_forward(*t, x.data());
    for (std::uint32_t i = 0; i < n; i += n / 8 + 7) {
      ASSERT_EQ(x[i], evaluate(a, pow_mod(t->psi, 2 * reverse_bits(i, log2_of(n)) + 1, m), m));
    }
    GetParam()->ntt_inverse(*t, x.data());
    ASSERT_EQ(x, a);
  }
}

TEST_P(NttTest, PermuteIsTheAutomorphism) {
  for (const std::uint32_t n : {8u, 16u, 64u, 512u}) {
    const auto t = make_ntt_tables(n, ntt_primes(28, 1, n).front());
    const Modulus& m = t->modulus;
    const Words a = random_words(n, m.q, 5);
    Words x = a;
    GetParam()->ntt_forward(*t, x.data());
    for (std::uint32_t g = 1; g < 2 * n; g += 2) {
      Words mapped(n);  // a(X^g), coefficient by coefficient
      for (std::uint32_t i = 0; i < n; ++i) {
        const std::uint32_t e = i * g % (2 * n);
        mapped[e % n] = e < n ? a[i] : sub_mod(0, a[i], m);
      }
      GetParam()->ntt_forward(*t, mapped.data());
      const auto table = make_automorphism_table(n, g);
      Words y(n);
      GetParam()->permute(y.data(), x.data(), *table, n);
      ASSERT_EQ(y, mapped) << "n " << n << " g " << g;
      for (std::size_t v = 0; v + 1 < n / 8; v += 2) {  // the promise about blocks of 16
        ASSERT_EQ(table->source[v] / 16, table->source[v + 1] / 16);
      }
    }
  }
}

TEST_P(NttTest, MulHalvesMultipliesByXToTheHalfDegree) {
  constexpr std::uint32_t n = 64;
  const auto t = make_ntt_tables(n, ntt_primes(28, 1, n).front());
  const Modulus& m = t->modulus;
  const Words a = random_words(n, m.q, 6);
  Words shifted(n);
  for (std::uint32_t i = 0; i < n; ++i) shifted[(i + n / 2) % n] = i < n / 2 ? a[i] : sub_mod(0, a[i], m);
  Words x = a;
  GetParam()->ntt_forward(*t, x.data());
  GetParam()->mul_halves(x.data(), x.data(), t->w[1], m.q - t->w[1], m, n);
  GetParam()->ntt_inverse(*t, x.data());
  EXPECT_EQ(x, shifted);
}

INSTANTIATE_TEST_SUITE_P(Isa, NttTest, ::testing::ValuesIn(tables_under_test()),
                         [](const auto& instance) { return std::string(instance.param->name); });

}  // namespace
}  // namespace brainlock::math
