// Polynomials taken apart into squares, put together again.
#include "stage_polynomial.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace brainlock::compiler {
namespace {

Coefficients random_polynomial(std::mt19937_64& random, std::size_t degree, double range) {
  std::normal_distribution<double> normal;
  Coefficients p;
  for (std::size_t k = 0; k <= degree; ++k) p.push_back(normal(random) / std::pow(range, static_cast<double>(k)));
  return p;
}

double square_difference(const SquareDifference& s, double x) {
  return std::pow(evaluate(s.first, x), 2) - std::pow(evaluate(s.second, x), 2);
}

double largest(const Coefficients& p, double range) {
  double out = 0;
  for (int i = -50; i <= 50; ++i) out = std::max(out, std::fabs(evaluate(p, range * i / 50)));
  return out;
}

TEST(StagePolynomial, QuarticsAreDifferencesOfSquares) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 400; ++round) {
    const double range = std::exp2(static_cast<double>(round % 7) - 3);
    Coefficients p = random_polynomial(random, 1 + static_cast<std::size_t>(round) % 4, range);
    if (round % 5 == 0 && p.size() == 5) p[3] = 0;           // no cubic term
    if (round % 10 == 0 && p.size() == 5) p[1] = 0;          // even
    if (round % 3 == 0) p.back() *= 1e-4;                    // nearly of lower degree
    const SquareDifference s = split_quartic(p, range);
    const double size = largest(p, range);
    for (int i = -20; i <= 20; ++i) {
      const double x = range * i / 20;
      // Squares may cancel, but not by more than a few digits: that is what the free parameter is for.
      EXPECT_LT(std::pow(evaluate(s.first, x), 2), 200 * size) << round;
      EXPECT_NEAR(square_difference(s, x) + s.constant, evaluate(p, x), 1e-9 * size) << round;
    }
  }
}

TEST(StagePolynomial, OcticsAreSumsOfSquares) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const double range = std::exp2(static_cast<double>(round % 7) - 3);
    Coefficients p = random_polynomial(random, 5 + static_cast<std::size_t>(round) % 4, range);
    if (round % 3 == 0) p.back() *= 1e-5;
    const OcticSplit s = split_octic(p, range);
    const double size = largest(p, range);
    for (int i = -20; i <= 20; ++i) {
      const double x = range * i / 20;
      const double q = square_difference(s.q, x) + s.q.constant, m = std::pow(evaluate(s.m, x), 2) + s.m_constant;
      EXPECT_LT(q * q, 2000 * size) << round;
      EXPECT_NEAR(q * q - m * m + square_difference(s.r, x) + s.r.constant, evaluate(p, x), 1e-8 * size) << round;
    }
  }
}

TEST(StagePolynomial, SubstitutionIsComposition) {
  const Coefficients p{1, -2, 0.5, 3};
  const Coefficients q = substitute(p, -1.5, 0.25);
  for (double x : {-2.0, 0.0, 0.7}) EXPECT_NEAR(evaluate(q, x), evaluate(p, -1.5 * x + 0.25), 1e-12);
}

}  // namespace
}  // namespace brainlock::compiler
