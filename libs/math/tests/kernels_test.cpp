// Every kernel of every table against the plain definition, word by word, with random and with extreme words.
#include "brainlock/math/kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>

#include "tables_under_test.hpp"

namespace brainlock::math {
namespace {

using U32 = std::uint32_t;
using U64 = std::uint64_t;
using Words = AlignedVector<U32>;

enum class Fill { kRandom, kLargest, kZero };

struct Case {
  U32 q;
  Fill fill;
};

const Case kCases[] = {
    {17, Fill::kRandom},          {12289, Fill::kRandom},     {134176769, Fill::kRandom}, {268369921, Fill::kLargest},
    {536903681, Fill::kRandom},   {1073479681, Fill::kRandom}, {1073479681, Fill::kLargest},
    {1073741789, Fill::kLargest},  // the largest prime below 2^30
    {1073741789, Fill::kZero},
};

class KernelsTest : public ::testing::TestWithParam<std::tuple<const Kernels*, Case>> {
 protected:
  const Kernels& kernels_ = *std::get<0>(GetParam());
  const Fill fill_ = std::get<1>(GetParam()).fill;
  const Modulus m_ = make_modulus(std::get<1>(GetParam()).q);
  std::mt19937 rng_{7};

  Words words(std::size_t n) { return words(n, m_.q); }
  Words words(std::size_t n, U32 q) {
    Words v(n, fill_ == Fill::kLargest ? q - 1 : 0);
    if (fill_ == Fill::kRandom) {
      for (auto& x : v) x = std::uniform_int_distribution<U32>(0, q - 1)(rng_);
    }
    return v;
  }
  std::vector<Words> rows(std::size_t count, std::size_t n) {
    std::vector<Words> v;
    for (std::size_t i = 0; i < count; ++i) v.push_back(words(n));
    return v;
  }
  U32 product(U64 a, U64 b) const { return static_cast<U32>(a * b % m_.q); }
  /// a * b * 2^-32: a plain word times a word in Montgomery form.
  U32 mont_product(U64 a, U64 b) const { return product(product(a, b), inv_mod(m_.r1, m_)); }
};

std::vector<const U32*> pointers(const std::vector<Words>& v) {
  std::vector<const U32*> p;
  for (const auto& x : v) p.push_back(x.data());
  return p;
}

constexpr std::size_t kSizes[] = {8, 16, 24, 56, 64};

TEST_P(KernelsTest, PointwiseKernelsMatchTheirDefinition) {
  for (const std::size_t n : kSizes) {
    const Words a = words(n);
    const Words b = words(n);
    const U32 s = words(1)[0];
    const auto s_shoup = static_cast<U32>((U64{s} << 32) / m_.q);
    Words sum(n), difference(n), negated(n), times(n), fused = words(n), scaled(n), sub_scaled(n);
    const Words before = fused;
    kernels_.add(sum.data(), a.data(), b.data(), m_, n);
    kernels_.sub(difference.data(), a.data(), b.data(), m_, n);
    kernels_.negate(negated.data(), a.data(), m_, n);
    kernels_.mul(times.data(), a.data(), b.data(), m_, n);
    kernels_.mul_add(fused.data(), a.data(), b.data(), m_, n);
    kernels_.mul_scalar(scaled.data(), a.data(), s, s_shoup, m_, n);
    kernels_.sub_mul_scalar(sub_scaled.data(), a.data(), b.data(), s, s_shoup, m_, n);
    for (std::size_t j = 0; j < n; ++j) {
      const U32 d = (a[j] + m_.q - b[j]) % m_.q;
      ASSERT_EQ(sum[j], (a[j] + b[j]) % m_.q);
      ASSERT_EQ(difference[j], d);
      ASSERT_EQ(negated[j], (m_.q - a[j]) % m_.q);
      ASSERT_EQ(times[j], product(a[j], b[j]));
      ASSERT_EQ(fused[j], (U64{before[j]} + product(a[j], b[j])) % m_.q);
      ASSERT_EQ(scaled[j], product(a[j], s));
      ASSERT_EQ(sub_scaled[j], product(d, s));
    }
    Words in_place = a;
    kernels_.mul(in_place.data(), in_place.data(), b.data(), m_, n);
    ASSERT_EQ(in_place, times);
    in_place = b;
    kernels_.sub_mul_scalar(in_place.data(), a.data(), in_place.data(), s, s_shoup, m_, n);
    ASSERT_EQ(in_place, sub_scaled);
  }
}

TEST_P(KernelsTest, MulHalves) {
  for (const std::size_t n : {16u, 48u, 64u}) {
    const Words a = words(n);
    const U32 s0 = words(1)[0];
    const U32 s1 = m_.q - 1;
    Words out(n);
    kernels_.mul_halves(out.data(), a.data(), s0, s1, m_, n);
    for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(out[j], product(a[j], j < n / 2 ? s0 : s1));
  }
}

TEST_P(KernelsTest, Square) {
  for (const std::size_t n : kSizes) {
    const Words a = words(n);
    const Words b = words(n);
    Words d0(n), d1(n), d2(n);
    kernels_.square(d0.data(), d1.data(), d2.data(), a.data(), b.data(), m_, n);
    for (std::size_t j = 0; j < n; ++j) {
      ASSERT_EQ(d0[j], product(a[j], a[j]));
      ASSERT_EQ(d1[j], product(2 * U64{a[j]} % m_.q, b[j]));
      ASSERT_EQ(d2[j], product(b[j], b[j]));
    }
  }
}

TEST_P(KernelsTest, ReduceCentredReadsResiduesAsSigned) {
  for (const U32 q_src : {17u, 12289u, 134176769u, 1073479681u, 1073741789u}) {
    for (const std::size_t n : kSizes) {
      Words x = words(n, q_src);
      x[0] = q_src / 2;  // the largest positive value
      x[1] = q_src / 2 + 1;
      Words out(n);
      kernels_.reduce_centred(out.data(), x.data(), q_src, m_, n);
      for (std::size_t j = 0; j < n; ++j) {
        const std::int64_t centred = std::int64_t{x[j]} - (x[j] > q_src / 2 ? std::int64_t{q_src} : 0);
        ASSERT_EQ(out[j], ((centred % m_.q) + m_.q) % m_.q) << x[j] << " from " << q_src << " to " << m_.q;
      }
    }
  }
}

TEST_P(KernelsTest, ConvertBasisMatchesItsFormula) {
  // Sources: the largest words the formula allows. The target under test stands last.
  const std::vector<U32> primes = ntt_primes(30, 15, 1 << 10);
  ASSERT_EQ(primes.size(), 15u);
  for (std::size_t k = 1; k <= 15; ++k) {
    for (const std::size_t n : {8u, 24u, 32u}) {
      std::vector<Words> y;
      std::vector<float> inv_q;
      for (std::size_t i = 0; i < k; ++i) {
        y.push_back(words(n, primes[i]));
        inv_q.push_back(static_cast<float>(1.0 / primes[i]));
      }
      const std::vector<Modulus> moduli = {make_modulus(12289), m_};
      std::vector<Words> factors, outs(2, Words(n));
      std::vector<ConversionTarget> targets;
      for (std::size_t t = 0; t < 2; ++t) {
        factors.push_back(words(k, moduli[t].q));
        targets.push_back({&moduli[t], factors[t].data(), words(1, moduli[t].q)[0], outs[t].data()});
      }
      kernels_.convert_basis(pointers(y).data(), inv_q.data(), k, targets.data(), targets.size(), n);
      for (std::size_t j = 0; j < n; ++j) {
        float sum = 0;
        for (std::size_t i = 0; i < k; ++i) sum = std::fma(static_cast<float>(y[i][j]), inv_q[i], sum);
        const auto v = static_cast<U64>(std::nearbyint(sum));
        for (std::size_t t = 0; t < 2; ++t) {
          const U64 p = moduli[t].q;
          U64 expected = v * targets[t].neg_q_src % p;
          for (std::size_t i = 0; i < k; ++i) expected = (expected + U64{y[i][j]} * factors[t][i]) % p;
          expected = expected * inv_mod(moduli[t].r1, moduli[t]) % p;
          ASSERT_EQ(outs[t][j], expected) << "k " << k << " word " << j << " target " << t;
        }
      }
    }
  }
}

TEST_P(KernelsTest, ConvertBasisGivesTheCentredResidue) {
  // A known integer x, |x| < Q/2, through its residues: the result is x mod p, not x + something * Q.
  const std::vector<U32> primes = ntt_primes(28, 3, 1 << 10);
  constexpr std::size_t n = 64;
  __int128 big_q = 1;
  for (const U32 q : primes) big_q *= q;
  std::vector<__int128> xs;
  std::vector<Words> y(primes.size(), Words(n));
  for (std::size_t j = 0; j < n; ++j) {
    __int128 x = ((static_cast<__int128>(rng_()) << 64) | (static_cast<__int128>(rng_()) << 32) | rng_()) % (big_q / 2);
    xs.push_back(j % 2 == 0 ? x : -x);
  }
  std::vector<float> inv_q;
  Words factors;
  for (std::size_t i = 0; i < primes.size(); ++i) {
    const Modulus qi = make_modulus(primes[i]);
    const __int128 hat = big_q / primes[i];
    const U32 hat_inv = inv_mod(static_cast<U32>(hat % primes[i]), qi);
    for (std::size_t j = 0; j < n; ++j) {
      const auto residue = static_cast<U32>(((xs[j] % primes[i]) + primes[i]) % primes[i]);
      y[i][j] = mul_mod(residue, hat_inv, qi);
    }
    inv_q.push_back(static_cast<float>(1.0 / primes[i]));
    factors.push_back(to_montgomery(static_cast<U32>(hat % m_.q), m_));
  }
  Words out(n);
  const U32 q_mod_p = static_cast<U32>(big_q % m_.q);
  const ConversionTarget target = {&m_, factors.data(), to_montgomery(sub_mod(0, q_mod_p, m_), m_), out.data()};
  kernels_.convert_basis(pointers(y).data(), inv_q.data(), primes.size(), &target, 1, n);
  for (std::size_t j = 0; j < n; ++j) {
    ASSERT_EQ(out[j], static_cast<U32>(((xs[j] % m_.q) + m_.q) % m_.q)) << j;
  }
}

TEST_P(KernelsTest, InnerProductWithAndWithoutAutomorphism) {
  constexpr std::size_t kDegree = 128;
  for (const std::size_t digits : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 11u, 12u, 13u, 32u}) {
    const std::vector<Words> x = rows(digits, kDegree), k0 = rows(digits, kDegree), k1 = rows(digits, kDegree);
    const Words addend = words(kDegree);
    for (const bool with_addend : {false, true}) {
      Words expected0(kDegree), expected1(kDegree);
      for (std::size_t j = 0; j < kDegree; ++j) {
        U64 s0 = with_addend ? addend[j] : 0;
        U64 s1 = 0;
        for (std::size_t d = 0; d < digits; ++d) {
          s0 += mont_product(x[d][j], k0[d][j]);
          s1 += mont_product(x[d][j], k1[d][j]);
        }
        expected0[j] = static_cast<U32>(s0 % m_.q);
        expected1[j] = static_cast<U32>(s1 % m_.q);
      }
      for (const std::size_t n : kSizes) {
        Words out0(n), out1(n);
        kernels_.inner_product(out0.data(), out1.data(), pointers(x).data(), pointers(k0).data(), pointers(k1).data(),
                               digits, with_addend ? addend.data() : nullptr, m_, n);
        for (std::size_t j = 0; j < n; ++j) {
          ASSERT_EQ(out0[j], expected0[j]) << "digits " << digits;
          ASSERT_EQ(out1[j], expected1[j]) << "digits " << digits;
        }
      }
      for (const U32 g : {1u, 5u, 77u, 2 * static_cast<U32>(kDegree) - 1}) {
        const auto table = make_automorphism_table(kDegree, g);
        Words permuted0(kDegree), permuted1(kDegree);
        kernels_.permute(permuted0.data(), expected0.data(), *table, kDegree);
        kernels_.permute(permuted1.data(), expected1.data(), *table, kDegree);
        std::vector<Words> turned0(digits, Words(kDegree)), turned1(digits, Words(kDegree));
        for (std::size_t d = 0; d < digits; ++d) {
          kernels_.permute(turned0[d].data(), k0[d].data(), *table, kDegree);
          kernels_.permute(turned1[d].data(), k1[d].data(), *table, kDegree);
        }
        const Words base0 = words(kDegree), base1 = words(kDegree);
        Words strided(digits * (kDegree + 24));   // the digits' limbs, at a distance of their own
        for (std::size_t d = 0; d < digits; ++d) std::copy_n(x[d].begin(), kDegree, strided.begin() + d * (kDegree + 24));
        for (std::size_t begin = 0; begin < kDegree; begin += kUnitWords) {
          Words keys(2 * digits * kUnitWords), out0(kUnitWords), out1(kUnitWords);
          for (std::size_t d = 0; d < digits; ++d) {
            std::copy_n(turned0[d].begin() + begin, kUnitWords, keys.begin() + 2 * d * kUnitWords);
            std::copy_n(turned1[d].begin() + begin, kUnitWords, keys.begin() + (2 * d + 1) * kUnitWords);
          }
          const auto name = [&] { return std::to_string(digits) + " digits, element " + std::to_string(g) + ", unit at " + std::to_string(begin); };
          const U32* const added = with_addend ? addend.data() : nullptr;
          kernels_.inner_product_gathered(out0.data(), out1.data(), strided.data(), kDegree + 24, keys.data(), digits, added, nullptr, nullptr,
                                          *table, begin, m_);
          for (std::size_t j = 0; j < kUnitWords; ++j) {
            ASSERT_EQ(out0[j], permuted0[begin + j]) << name();
            ASSERT_EQ(out1[j], permuted1[begin + j]) << name();
          }
          // On top of a base, in its place.
          std::copy_n(base0.begin() + begin, kUnitWords, out0.begin());
          std::copy_n(base1.begin() + begin, kUnitWords, out1.begin());
          kernels_.inner_product_gathered(out0.data(), out1.data(), strided.data(), kDegree + 24, keys.data(), digits, added, out0.data(),
                                          out1.data(), *table, begin, m_);
          for (std::size_t j = 0; j < kUnitWords; ++j) {
            ASSERT_EQ(out0[j], (U64{permuted0[begin + j]} + base0[begin + j]) % m_.q) << name();
            ASSERT_EQ(out1[j], (U64{permuted1[begin + j]} + base1[begin + j]) % m_.q) << name();
          }
          // From a unit kept close: the digits and the addend.
          if (!with_addend) continue;
          const std::size_t source = table->source[begin / 8] / kUnitWords * kUnitWords;
          Words pieces((digits + 1) * kUnitWords);
          for (std::size_t d = 0; d < digits; ++d) std::copy_n(x[d].begin() + source, kUnitWords, pieces.begin() + d * kUnitWords);
          std::copy_n(addend.begin() + source, kUnitWords, pieces.begin() + digits * kUnitWords);
          kernels_.inner_product_unit(out0.data(), out1.data(), pieces.data() - source, keys.data(), digits, *table, begin, m_);
          for (std::size_t j = 0; j < kUnitWords; ++j) {
            ASSERT_EQ(out0[j], permuted0[begin + j]) << name();
            ASSERT_EQ(out1[j], permuted1[begin + j]) << name();
          }
        }
      }
    }
  }
}

struct GemmCase {
  std::size_t outputs, inputs, run_length, n, padding;
};

TEST_P(KernelsTest, GemmPeriodicMatchesTheTripleLoop) {
  std::vector<GemmCase> cases;
  for (std::size_t outputs = 1; outputs <= 16; ++outputs) cases.push_back({outputs, 20 + outputs, 16, 48, outputs % 3});
  for (const std::size_t inputs : {1u, 11u, 12u, 13u, 24u, 25u, 239u, 300u, 4096u}) {
    cases.push_back({3, inputs, 8, 24, 1});
  }
  cases.push_back({5, 30, 64, 64, 0});
  cases.push_back({5, 30, 24, 24, 0});
  cases.push_back({5, 30, 24, 72, 4});
  // What tiles are for: one block of inputs and several, whole and not; outputs of one tile and several; 16 to 80 words a run.
  for (const std::size_t inputs : {16u, 17u, 47u, 256u, 257u, 530u}) cases.push_back({9, inputs, 64, 128, 2});
  for (std::size_t outputs = 1; outputs <= 17; ++outputs) cases.push_back({outputs, 40, 80, 80, 0});
  cases.push_back({12, 33, 48, 144, 0});
  cases.push_back({4, 20, 128, 176, 3});   // a last run that is shorter
  for (const GemmCase& c : cases) {
    constexpr std::size_t kSets = 2;
    std::vector<Words> apart = rows(kSets * c.inputs, c.n);
    // Half of the second set at even distances, as the columns of a linear layer lie, the rest wherever.
    const std::size_t distance = c.n + 16;
    Words panel = words(c.inputs * distance);
    std::vector<const U32*> x = pointers(apart);
    for (std::size_t k = 0; k < c.inputs / 2; ++k) x[c.inputs + k] = panel.data() + k * distance;
    const std::size_t row_stride = c.outputs + c.padding;
    const std::size_t run_stride = c.inputs * row_stride + c.padding;
    const Words w = words((c.n + c.run_length - 1) / c.run_length * run_stride);
    std::vector<Words> out = rows(kSets * c.outputs, c.n);
    for (const bool accumulate : {false, true}) {
      std::vector<Words> expected(kSets * c.outputs, Words(c.n));
      const U64 out_of_montgomery = inv_mod(m_.r1, m_);
      for (std::size_t o = 0; o < kSets * c.outputs; ++o) {
        const U32* const* const set = x.data() + o / c.outputs * c.inputs;
        for (std::size_t t = 0; t < c.n; ++t) {
          U64 sum = 0;  // reduced products, so that no bound is at stake
          for (std::size_t k = 0; k < c.inputs; ++k) {
            sum += U64{set[k][t]} * w[t / c.run_length * run_stride + k * row_stride + o % c.outputs] % m_.q;
          }
          expected[o][t] = static_cast<U32>((product(sum % m_.q, out_of_montgomery) + (accumulate ? U64{out[o][t]} : 0)) % m_.q);
        }
      }
      std::vector<U32*> out_pointers;
      for (auto& o : out) out_pointers.push_back(o.data());
      const std::size_t n = std::min(c.run_length, c.n) / 16 * 16;   // of the first run
      const std::size_t prepared_words = !accumulate && n != 0 && kernels_.prepared_words != nullptr ? kernels_.prepared_words(c.outputs, c.inputs, m_) : 0;
      if (prepared_words != 0) {
        Words prepared(prepared_words + 1, 7);
        kernels_.prepare_weights(prepared.data(), c.outputs, c.inputs, w.data(), row_stride, m_);
        EXPECT_EQ(prepared.back(), 7u) << "more words than were said";
        for (int again = 0; again < 2; ++again) {
          for (auto& o : out) std::fill(o.begin(), o.end(), 1u);
          kernels_.gemm_prepared(out_pointers.data(), c.outputs, x.data(), c.inputs, kSets, prepared.data(), m_, n);
          for (std::size_t o = 0; o < out.size(); ++o) {
            ASSERT_TRUE(std::equal(out[o].begin(), out[o].begin() + static_cast<std::ptrdiff_t>(n), expected[o].begin())) << c.outputs << " outputs, " << c.inputs << " inputs, prepared";
          }
        }
      }
      kernels_.gemm_periodic(out_pointers.data(), c.outputs, x.data(), c.inputs, kSets, w.data(), run_stride,
                             row_stride, c.run_length, accumulate, m_, c.n);
      ASSERT_EQ(out, expected) << c.outputs << " outputs, " << c.inputs << " inputs, runs of " << c.run_length;
    }
  }
}

TEST_P(KernelsTest, MacFullMatchesTheDoubleLoop) {
  for (const auto& [inputs, run] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 1}, {1, 1}, {2, 1}, {12, 1}, {13, 1}, {100, 1}, {4096, 1}, {1, 2}, {13, 2}, {100, 2}, {4096, 2}, {1, 4}, {13, 4}, {100, 4}, {4096, 4}}) {
    constexpr std::size_t n = 24;
    const std::vector<Words> x[2] = {rows(inputs, n), rows(inputs, n)}, w = rows(inputs, n / run);   // nothing lies behind the weights
    Words out[2] = {Words(n), Words(n)};
    kernels_.mac_full(out[0].data(), out[1].data(), pointers(w).data(), pointers(x[0]).data(), pointers(x[1]).data(), inputs, m_, n, run);
    for (int group = 0; group < 2; ++group) {
      Words expected(n);
      for (std::size_t t = 0; t < n; ++t) {
        U64 sum = 0;
        for (std::size_t k = 0; k < inputs; ++k) sum += mont_product(x[group][k][t], w[k][t / run]);
        expected[t] = static_cast<U32>(sum % m_.q);
      }
      ASSERT_EQ(out[group], expected) << inputs << " inputs, runs of " << run;
    }
  }
}

std::string fill_name(Fill fill) {
  return fill == Fill::kRandom ? "random" : fill == Fill::kLargest ? "largest" : "zero";
}

INSTANTIATE_TEST_SUITE_P(Isa, KernelsTest,
                         ::testing::Combine(::testing::ValuesIn(tables_under_test()), ::testing::ValuesIn(kCases)),
                         [](const auto& instance) {
                           const Case& c = std::get<1>(instance.param);
                           return std::string(std::get<0>(instance.param)->name) + "_" + std::to_string(c.q) + "_" +
                                  fill_name(c.fill);
                         });

class TransformTablesTest : public ::testing::TestWithParam<const Kernels*> {};

TEST_P(TransformTablesTest, EqualsScalarBitForBitOnEveryDegreeAndWidth) {
  const Kernels& scalar = *available_kernels().front();
  std::mt19937 rng(11);
  for (U32 n = 8; n <= (1u << 17); n *= 2) {
    for (const int bits : {20, 27, 28, 29, 30}) {
      const auto primes = ntt_primes(bits, 1, n);
      if (primes.empty()) continue;
      const auto t = make_ntt_tables(n, primes.front());
      for (const bool extreme : {false, true}) {
        Words a(n, t->modulus.q - 1);
        if (!extreme) {
          for (auto& x : a) x = std::uniform_int_distribution<U32>(0, t->modulus.q - 1)(rng);
        }
        Words expected = a;
        Words actual = a;
        scalar.ntt_forward(*t, expected.data());
        GetParam()->ntt_forward(*t, actual.data());
        ASSERT_EQ(actual, expected) << "forward, N " << n << ", " << bits << " bits";
        expected = a;
        actual = a;
        scalar.ntt_inverse(*t, expected.data());
        GetParam()->ntt_inverse(*t, actual.data());
        ASSERT_EQ(actual, expected) << "inverse, N " << n << ", " << bits << " bits";
        // With a factor, from elsewhere.
        const U32 factor = t->modulus.q - 5;
        for (auto& x : expected) x = mul_mod(x, factor, t->modulus);
        Words scaled(n, ~0u);
        GetParam()->ntt_inverse_scaled(*t, scaled.data(), a.data(), factor);
        ASSERT_EQ(scaled, expected) << "scaled inverse, N " << n << ", " << bits << " bits";
        // Unit by unit, in any order and with gaps.
        if (n < kUnitWords) continue;
        const std::size_t units = n / kUnitWords, stride = 3 * kUnitWords;
        std::vector<U32> rank(units);
        for (std::size_t u = 0; u < units; ++u) rank[u] = static_cast<U32>((u * 5 + 3) % units);
        Words x = a, out(units * stride, 7), wanted = out;
        expected = a;
        scalar.ntt_forward(*t, expected.data());
        for (std::size_t u = 0; u < units; ++u) std::copy_n(expected.begin() + u * kUnitWords, kUnitWords, wanted.begin() + rank[u] * stride);
        GetParam()->ntt_forward_units(*t, x.data(), out.data(), rank.data(), stride);
        ASSERT_EQ(out, wanted) << "units, N " << n << ", " << bits << " bits";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, TransformTablesTest, ::testing::ValuesIn(tables_under_test()),
                         [](const auto& instance) { return std::string(instance.param->name); });

TEST(Dispatch, OffersScalarFirstAndChoosesFromTheOffer) {
  const auto tables = available_kernels();
  ASSERT_FALSE(tables.empty());
  EXPECT_EQ(tables.front()->name, "scalar");
  bool found = false;
  for (const Kernels* table : tables) found = found || table == &kernels();
  EXPECT_TRUE(found);
}

#if GTEST_HAS_DEATH_TEST
TEST(DispatchDeathTest, RefusesAnUnknownName) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        setenv("BRAINLOCK_ISA", "mmx", 1);
        kernels();
      },
      "BRAINLOCK_ISA=mmx");
}
#endif

}  // namespace
}  // namespace brainlock::math
