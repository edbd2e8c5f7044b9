// Polynomials fitted to samples: the least error there, and no running away beside them.
#include "polynomial_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace brainlock::compiler {
namespace {

struct Pairs {
  std::vector<double> x, wanted;
};

FitSamples samples_of(const Pairs& pairs) {
  double low = pairs.x[0], high = pairs.x[0];
  for (const double x : pairs.x) low = std::min(low, x), high = std::max(high, x);
  FitSamples out(low, high);
  for (std::size_t i = 0; i < pairs.x.size(); ++i) out.add(pairs.x[i], pairs.wanted[i]);
  return out;
}

Pairs normal(const ScalarFunction& f, std::size_t count, double mean = 0, double deviation = 1, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(mean, deviation);
  Pairs out;
  for (std::size_t i = 0; i < count; ++i) {
    out.x.push_back(draw(random));
    out.wanted.push_back(f(out.x.back()));
  }
  return out;
}

double mean_square_error(const FittedPolynomial& p, const Pairs& pairs) {
  double sum = 0;
  for (std::size_t i = 0; i < pairs.x.size(); ++i) sum += std::pow(p(pairs.x[i]) - pairs.wanted[i], 2);
  return sum / static_cast<double>(pairs.x.size());
}

const ScalarFunction kRelu = ScalarFunction().then(ScalarOp::kLeakyRelu);

TEST(PolynomialFit, FindsAPolynomial) {
  // x^3 / 5 - x + 2 by the function's own operators.
  const ScalarFunction x, cube = x.with(ScalarOp::kMul, x).with(ScalarOp::kMul, x);
  const ScalarFunction f = cube.with(ScalarOp::kDiv, ScalarFunction::constant(5)).with(ScalarOp::kSub, x).with(ScalarOp::kAdd, ScalarFunction::constant(2));
  for (const int degree : {3, 4, 8}) {
    const Pairs pairs = normal(f, 20'000, 1.0, 2.0);
    const FittedPolynomial p = samples_of(pairs).fit(degree, f);
    ASSERT_EQ(p.coefficients.size(), static_cast<std::size_t>(degree) + 1);
    // A part's mean stands for its samples: an error of the second order in its width.
    EXPECT_LT(std::sqrt(mean_square_error(p, pairs)), 2e-3) << degree;
  }
}

TEST(PolynomialFit, NoOtherPolynomialIsNearer) {
  // Of a function that a polynomial follows beside the samples, too: nothing is given up for the edges then.
  const ScalarFunction f = ScalarFunction().then(ScalarOp::kSigmoid);
  Pairs pairs;
  for (int i = 0; i < 50'000; ++i) {
    pairs.x.push_back(-2 + i / 10'000.0);
    pairs.wanted.push_back(f(pairs.x.back()));
  }
  for (const int degree : {3, 5}) {
    const FittedPolynomial p = samples_of(pairs).fit(degree, f);
    const double error = mean_square_error(p, pairs);
    for (std::size_t k = 0; k < p.coefficients.size(); ++k)
      for (const double change : {-0.05, 0.05}) {
        FittedPolynomial other = p;
        other.coefficients[k] += change;
        EXPECT_GT(mean_square_error(other, pairs), error) << "degree " << degree << ", coefficient " << k;
      }
  }
}

TEST(PolynomialFit, HigherDegreesAreNearer) {
  const Pairs pairs = normal(kRelu, 50'000);
  double before = 1e9;
  for (const int degree : {2, 4, 6, 8}) {
    const double error = mean_square_error(samples_of(pairs).fit(degree, kRelu), pairs);
    EXPECT_LT(error, 0.8 * before) << degree;
    before = error;
  }
  EXPECT_LT(std::sqrt(before), 0.071);   // a tenth of a ReLU's rms on normal values
}

TEST(PolynomialFit, DoesNotRunAwayBesideTheSamples) {
  for (const unsigned seed : {1U, 2U, 3U, 4U, 5U})
    for (const int degree : {2, 3, 4, 8}) {
      const Pairs pairs = normal(kRelu, 200, -0.5, 1, seed);
      const FittedPolynomial p = samples_of(pairs).fit(degree, kRelu);
      double low = 1e9, high = -1e9, largest = 0;
      for (std::size_t i = 0; i < pairs.x.size(); ++i) {
        low = std::min(low, pairs.x[i]), high = std::max(high, pairs.x[i]);
        largest = std::max(largest, pairs.wanted[i]);
      }
      const double margin = 0.35 * (high - low);
      for (double x = low - margin; x <= high + margin; x += 0.01) EXPECT_LE(std::fabs(p(x) - kRelu(x)), 1.6 * largest) << "degree " << degree << " at " << x;
    }
}

TEST(PolynomialFit, LearnsWhatIsWantedRatherThanTheFunction) {
  // Somebody wants twice the function: errors made before are taken back like that.
  Pairs pairs = normal(kRelu, 20'000);
  for (double& wanted : pairs.wanted) wanted *= 2;
  const FittedPolynomial p = samples_of(pairs).fit(8, kRelu);
  EXPECT_NEAR(p(1.5), 3.0, 0.15);
}

TEST(PolynomialFit, QuadraticsStayBent) {
  // A ReLU that is always open is a straight line; its square would be completed with a constant beyond all measure.
  const Pairs pairs = normal(kRelu, 10'000, 50, 1);
  const FittedPolynomial p = samples_of(pairs).fit(2, kRelu);
  EXPECT_LE(std::fabs(p.coefficients[1] / (2 * p.coefficients[2])), 12.0001);
  EXPECT_LT(std::sqrt(mean_square_error(p, pairs)), 0.05);   // of 50
}

TEST(PolynomialFit, StaysAwayFromPoles) {
  // 1 / sqrt(x) of values near zero: the margin reaches over the pole and beyond, where the function is not defined.
  const ScalarFunction f = ScalarFunction().then(ScalarOp::kSqrt).then(ScalarOp::kReciprocal);
  Pairs pairs;
  for (int i = 0; i < 20'000; ++i) {
    pairs.x.push_back(0.2 + i / 20'000.0);
    pairs.wanted.push_back(f(pairs.x.back()));
  }
  const FittedPolynomial p = samples_of(pairs).fit(8, f);
  EXPECT_LT(std::sqrt(mean_square_error(p, pairs)), 0.02);
}

TEST(PolynomialFit, OfOneValueIsThatValue) {
  FitSamples samples(3, 3);
  samples.add(3, 3.5);
  for (const int degree : {2, 8}) {
    const FittedPolynomial p = samples.fit(degree, kRelu);
    EXPECT_NEAR(p(3), 3.5, 1e-3);
    for (const double c : p.coefficients) EXPECT_TRUE(std::isfinite(c));
  }
}

TEST(PolynomialFit, PartsAddUp) {
  const Pairs pairs = normal(kRelu, 1000);
  double low = 1e9, high = -1e9;
  for (const double x : pairs.x) low = std::min(low, x), high = std::max(high, x);
  FitSamples whole(low, high), first(low, high), second(low, high);
  for (std::size_t i = 0; i < pairs.x.size(); ++i) {
    whole.add(pairs.x[i], pairs.wanted[i]);
    (i % 3 == 0 ? first : second).add(pairs.x[i], pairs.wanted[i]);
  }
  first.add(second);
  EXPECT_EQ(first.count(), whole.count());
  const auto a = first.fit(4, kRelu).coefficients, b = whole.fit(4, kRelu).coefficients;
  for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], b[k], 1e-9);
}

}  // namespace
}  // namespace brainlock::compiler
