#include "brainlock/ckks/encoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "brainlock/math/kernels.hpp"
#include "test_parameters.hpp"

namespace brainlock::ckks {
namespace {

using ::testing::HasSubstr;
using Complex = std::complex<double>;

std::vector<Complex> random_slots(std::size_t count, double magnitude, std::uint32_t seed = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-magnitude, magnitude);
  std::vector<Complex> slots(count);
  for (auto& z : slots) z = {uniform(engine), uniform(engine)};
  return slots;
}

double largest_difference(std::span<const Complex> a, std::span<const Complex> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// The value of an integer polynomial at exp(i pi e / N), term by term.
Complex evaluate(std::span<const std::int64_t> coefficients, std::uint64_t e) {
  const std::size_t n = coefficients.size();
  Complex sum = 0;
  for (std::size_t k = 0; k < n; ++k) {
    sum += static_cast<double>(coefficients[k]) *
           std::polar(1.0, std::numbers::pi * static_cast<double>(e * k % (2 * n)) / static_cast<double>(n));
  }
  return sum;
}

class EncoderRing : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Degrees, EncoderRing, ::testing::Values(8u, 16u, 64u, 256u));

TEST_P(EncoderRing, SlotJIsTheValueAtZetaToFiveToJ) {
  const auto parameters = testing::make_toy(GetParam());
  const Encoder encoder(parameters);
  const auto slots = random_slots(parameters->slots(), 1);
  const double scale = 0x1p30;
  const auto coefficients = encoder.to_coefficients(slots, Scale::from_value(scale));
  ASSERT_TRUE(coefficients.ok());
  std::uint64_t exponent = 1;
  for (const auto& slot : slots) {
    const Complex value = evaluate(*coefficients, exponent) / scale;
    // Rounding each of N coefficients by at most half moves a slot by at most N / 2.
    EXPECT_LE(std::abs(value - slot), 0.5 * GetParam() / scale);
    exponent = exponent * 5 % (2 * GetParam());
  }
}

TEST_P(EncoderRing, PeriodicSlotsEncodeLikeTheirRepetition) {
  const auto parameters = testing::make_toy(GetParam());
  const Encoder encoder(parameters);
  const std::size_t all = parameters->slots(), n = parameters->ring_degree();
  for (std::size_t p = 1; p <= all; p *= 2) {
    const auto slots = random_slots(p, 2, static_cast<std::uint32_t>(p));
    std::vector<Complex> repeated(all);
    for (std::size_t j = 0; j < all; ++j) repeated[j] = slots[j % p];
    const auto scale = Scale::from_log2(24);
    const auto few = encoder.to_coefficients(slots, scale), many = encoder.to_coefficients(repeated, scale);
    ASSERT_TRUE(few.ok() && many.ok());
    ASSERT_EQ(few->size(), 2 * p);
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t stride = n / (2 * p);
      EXPECT_EQ((*many)[k], k % stride == 0 ? (*few)[k / stride] : 0) << "period " << p << " coefficient " << k;
    }
    const auto a = encoder.encode(slots, scale, 3), b = encoder.encode(repeated, scale, 3);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(*a, *b) << "period " << p;
  }
}

TEST_P(EncoderRing, SlotsOfCoefficientsAreTheValuesThatWereRounded) {
  const auto parameters = testing::make_toy(GetParam());
  const Encoder encoder(parameters);
  const auto scale = Scale::from_value(0x1p20);
  for (std::size_t p = 1; p <= parameters->slots(); p *= 2) {
    const auto slots = random_slots(p, 1.0, static_cast<std::uint32_t>(p));
    const auto coefficients = encoder.to_coefficients(slots, scale);
    ASSERT_TRUE(coefficients.ok());
    const auto got = encoder.to_slots(*coefficients, scale);
    std::vector<std::int64_t> whole(parameters->ring_degree());   // the polynomial in X^(N / 2p)
    for (std::size_t k = 0; k < 2 * p; ++k) whole[k * parameters->slots() / p] = (*coefficients)[k];
    for (std::uint64_t j = 0, exponent = 1; j < p; ++j, exponent = exponent * 5 % (2 * parameters->ring_degree()))
      EXPECT_LT(std::abs(evaluate(whole, exponent) / scale.value() - got[j]), 1e-9) << "p " << p << " slot " << j;
    EXPECT_LT(largest_difference(got, slots), 2.0 * static_cast<double>(p) * 0x1p-20);
    // What is integer already comes back exactly.
    const auto again = encoder.to_coefficients(got, scale);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, *coefficients);
  }
}

/// Abreast as one by one, to the last bit: every number of vectors, every period, small and large scales (2^60: beyond the fast rounding).
TEST_P(EncoderRing, RoundTripsAbreastAreThoseOneByOne) {
  using Floats = std::vector<std::complex<float>>;
  const auto parameters = testing::make_toy(GetParam());
  const Encoder encoder(parameters);
  std::uint32_t seed = 1;
  for (const double scale : {100.0, 0x1p13, 3.7e5, 0x1p60}) {
    for (std::size_t period = 1; period <= parameters->slots(); period *= 2) {
      for (std::size_t count = 0; count <= Encoder::kRoundTripLanes; ++count) {
        std::vector<Floats> vectors(count), expected(count);
        std::vector<std::complex<float>*> pointers;
        for (std::size_t v = 0; v < count; ++v) {
          for (const Complex& z : random_slots(period, 1, ++seed)) vectors[v].emplace_back(z);
          const std::vector<Complex> slots(vectors[v].begin(), vectors[v].end());
          for (const Complex& z : encoder.to_slots(encoder.to_coefficients(slots, Scale::from_value(scale)).value(), Scale::from_value(scale)))
            expected[v].emplace_back(z);
          pointers.push_back(vectors[v].data());
        }
        ASSERT_TRUE(encoder.round_trip(pointers, period, Scale::from_value(scale)).ok());
        ASSERT_EQ(vectors, expected) << "scale " << scale << ", period " << period << ", " << count << " vectors";
      }
    }
  }
}

TEST(Encoder, RoundTripsRefuseWhatCannotBeEncoded) {
  const auto parameters = testing::make_toy(16);
  const Encoder encoder(parameters);
  std::vector<std::complex<float>> good(8, 1.0F), bad(8, 1.0F);
  const std::vector<std::complex<float>*> pointers{good.data(), bad.data()};
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(encoder.round_trip(pointers, 8, Scale::from_value(0x1p13)).error().code, ErrorCode::kInvalidArgument);
  bad[3] = 1e30F;
  EXPECT_EQ(encoder.round_trip(pointers, 8, Scale::from_value(0x1p13)).error().code, ErrorCode::kInvalidArgument);
  bad[3] = 1.0F;
  EXPECT_EQ(encoder.round_trip(pointers, 3, Scale::from_value(0x1p13)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(encoder.round_trip(pointers, 16, Scale::from_value(0x1p13)).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(EncoderRing, AutomorphismRotatesSlotsLeft) {
  const auto parameters = testing::make_toy(GetParam());
  const Encoder encoder(parameters);
  const std::uint32_t n = parameters->ring_degree(), limbs = 3;
  const auto slots = random_slots(parameters->slots(), 1);
  const auto scale = Scale::from_log2(40);
  const auto plaintext = encoder.encode(slots, scale, limbs);
  ASSERT_TRUE(plaintext.ok());
  const auto apply = [&](std::uint32_t element) {
    const auto table = math::make_automorphism_table(n, element);
    Words out(plaintext->size());
    for (std::uint32_t l = 0; l < limbs; ++l) {
      math::kernels().permute(out.data() + l * n, plaintext->data() + l * n, *table, n);
    }
    return encoder.decode(out, limbs, scale);
  };
  for (std::int64_t steps = -3; steps <= static_cast<std::int64_t>(parameters->slots()) + 1; ++steps) {
    const auto got = apply(rotation_element(n, steps));
    std::vector<Complex> want(slots.size());
    const auto count = static_cast<std::int64_t>(slots.size());
    for (std::int64_t j = 0; j < count; ++j) want[j] = slots[((j + steps) % count + count) % count];
    EXPECT_LT(largest_difference(got, want), 0x1p-30) << "steps " << steps;
  }
  auto conjugates = slots;
  for (auto& z : conjugates) z = std::conj(z);
  EXPECT_LT(largest_difference(apply(conjugation_element(n)), conjugates), 0x1p-30);
}

TEST(Encoder, ProductsOfPlaintextsMultiplySlots) {
  const auto parameters = testing::make_toy(64);
  const Encoder encoder(parameters);
  const auto a = random_slots(32, 1, 1), b = random_slots(32, 1, 2);
  const auto scale = Scale::from_log2(25);
  const auto x = encoder.encode(a, scale, 2), y = encoder.encode(b, scale, 2);
  ASSERT_TRUE(x.ok() && y.ok());
  Words product(x->size());
  for (std::uint32_t l = 0; l < 2; ++l) {
    math::kernels().mul(product.data() + l * 64, x->data() + l * 64, y->data() + l * 64, parameters->modulus(l), 64);
  }
  std::vector<Complex> want(32);
  for (std::size_t j = 0; j < 32; ++j) want[j] = a[j] * b[j];
  EXPECT_LT(largest_difference(encoder.decode(product, 2, scale * scale), want), 64 * 0x1p-24);
}

class EncoderReal : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Limbs, EncoderReal, ::testing::Values(1u, 2u, 3u, 4u, 5u, 11u));

TEST_P(EncoderReal, RoundTripErrorIsRoundingOnly) {
  static const auto parameters = testing::make_real_14();
  const Encoder encoder(parameters);
  const std::uint32_t limbs = GetParam();
  const auto slots = random_slots(parameters->slots(), 1, limbs);
  const double bits = limbs == 1 ? 20 : 40;
  const auto plaintext = encoder.encode(slots, Scale::from_log2(bits), limbs);
  ASSERT_TRUE(plaintext.ok());
  const auto decoded = encoder.decode(*plaintext, limbs, Scale::from_log2(bits));
  // Rounding errors are uniform in [-1/2, 1/2]: rms per slot sqrt(N / 12) / scale; the maximum of 8192 values stays
  // below six of those, and the transform adds about 2^-48 of its own.
  const double bound = 6 * std::sqrt(parameters->ring_degree() / 12.0) * std::exp2(-bits) + 0x1p-46;
  EXPECT_LT(largest_difference(decoded, slots), bound);
}

TEST(Encoder, DecodeLiftsNegativeAndLargeValues) {
  const auto parameters = testing::make_toy(16, 5);
  const Encoder encoder(parameters);
  for (std::uint32_t limbs = 1; limbs <= 5; ++limbs) {
    // Near half of the modulus that decoding lifts through, on both sides of zero.
    const double bits = 28.0 * std::min(limbs, 2u) - 3;
    std::vector<Complex> slots(8, Complex(-1, 0.0));
    slots[3] = Complex(0.5, -0.25);
    const auto plaintext = encoder.encode(slots, Scale::from_log2(bits), limbs);
    ASSERT_TRUE(plaintext.ok());
    EXPECT_LT(largest_difference(encoder.decode(*plaintext, limbs, Scale::from_log2(bits)), slots), 16 * std::exp2(-bits) + 0x1p-48);
  }
}

TEST(Encoder, RunValuesMatchTheFullTransformOnEveryModulus) {
  const auto parameters = testing::make_real_14();
  const Encoder encoder(parameters);
  const std::size_t n = parameters->ring_degree();
  const std::vector<std::size_t> periods{1, 2, 64, 256, 4096};
  for (const std::size_t p : periods) {
    const auto coefficients = encoder.to_coefficients(random_slots(p, 1), Scale::from_log2(18));
    ASSERT_TRUE(coefficients.ok());
    for (const std::uint32_t m : {0u, 10u, 11u, 14u}) {
      std::vector<std::uint32_t> runs(2 * p);
      encoder.to_run_values(*coefficients, m, runs);
      Words full(n);
      const std::size_t stride = n / (2 * p);
      for (std::size_t k = 0; k < 2 * p; ++k) full[k * stride] = math::reduce_i64((*coefficients)[k], parameters->modulus(m));
      math::kernels().ntt_forward(parameters->ntt(m), full.data());
      for (std::size_t t = 0; t < n; ++t) ASSERT_EQ(full[t], runs[t / stride]) << "period " << p << " word " << t;
    }
  }
}

TEST(Encoder, RefusesWhatItCannotEncode) {
  const auto parameters = testing::make_toy(16);
  const Encoder encoder(parameters);
  const auto scale = Scale::from_log2(20);
  const auto refused = [](const auto& result, const char* text) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(result.error().message, HasSubstr(text));
  };
  refused(encoder.to_coefficients(std::vector<Complex>(3), scale), "3 slots, expected a power of two up to 8");
  refused(encoder.to_coefficients(std::vector<Complex>(16), scale), "16 slots");
  refused(encoder.to_coefficients(std::vector<Complex>(), scale), "0 slots");
  refused(encoder.to_coefficients(std::vector<Complex>(8, 1.0), Scale::from_log2(62)), "not below 2^62");
  refused(encoder.to_coefficients(std::vector<Complex>(8, std::numeric_limits<double>::quiet_NaN()), scale), "2^62");
  refused(encoder.encode(std::vector<Complex>(8, 1.0), scale, 0), "0 limbs, expected 1 to 4");
  refused(encoder.encode(std::vector<Complex>(8, 1.0), scale, 5), "5 limbs");
  refused(encoder.encode(std::vector<Complex>(8, 1.0), Scale::from_log2(28), 1), "half of the modulus");
}

}  // namespace
}  // namespace brainlock::ckks
