#include "brainlock/plan/slot_coefficients.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

namespace brainlock::plan {
namespace {

using Complex = std::complex<double>;
using Slots = std::vector<Complex>;

Slots random_numbers(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Slots out(n);
  for (Complex& z : out) z = {normal(random), normal(random)};
  return out;
}

/// m(zeta^(5^j)) with m_k and m_(n + k) the parts of entry k, power by power.
Slots by_definition(const Slots& coefficients) {
  const std::size_t n = coefficients.size();
  Slots out;
  std::size_t power = 1;
  for (std::size_t j = 0; j < n; ++j) {
    Complex sum;
    for (std::size_t k = 0; k < 2 * n; ++k) {
      const double m = k < n ? coefficients[k].real() : coefficients[k - n].imag();
      sum += m * std::polar(
                     1.0, 2 * std::numbers::pi * static_cast<double>(power * k % (4 * n)) / static_cast<double>(4 * n));
    }
    out.push_back(sum);
    power = power * 5 % (4 * n);
  }
  return out;
}

void expect_near(const Slots& got, const Slots& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t k = 0; k < got.size(); ++k)
    EXPECT_LT(std::abs(got[k] - want[k]), tolerance) << k << " of " << got.size();
}

TEST(SlotCoefficients, SlotsAreTheValuesAtRootsOfUnity) {
  for (std::size_t n = 1; n <= 64; n *= 2) {
    const Slots coefficients = random_numbers(n, n), slots = by_definition(coefficients);
    expect_near(coefficient_slots(coefficients), slots, 1e-12);
    expect_near(slot_coefficients(slots), coefficients, 1e-13);
  }
}

TEST(SlotCoefficients, ConstantsAndTheHighestPower) {
  const Slots one = coefficient_slots(Slots{{3, 0}, {}, {}, {}});
  for (const Complex& z : one) EXPECT_LT(std::abs(z - 3.0), 1e-15);
  const Slots i =
      coefficient_slots(Slots{{0, 1}, {}, {}, {}});  // X^4 at roots of 16th order whose exponents are 1 modulo 4
  for (const Complex& z : i) EXPECT_LT(std::abs(z - Complex(0, 1)), 1e-15);
}

TEST(SlotCoefficients, UndoEachOther) {
  for (const std::size_t n : {std::size_t{2}, std::size_t{512}, std::size_t{32768}}) {
    const Slots numbers = random_numbers(n, 9);
    expect_near(coefficient_slots(slot_coefficients(numbers)), numbers, 1e-13);
    expect_near(slot_coefficients(coefficient_slots(numbers)), numbers, 1e-13);
  }
}

TEST(StageRoot, IsAPowerOfFiveOfARootOfUnity) {
  for (const std::uint32_t half : {1U, 2U, 8U, 1U << 15}) {
    std::uint64_t power = 1;
    for (std::uint32_t j = 0; j < half; ++j) {
      ASSERT_LT(std::abs(stage_root(half, j) -
                         std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(power) / (8.0 * half))),
                1e-15)
          << half << ", " << j;
      power = power * 5 % (8ULL * half);
    }
  }
}

// As the comment of stage_root() has it.
TEST(StageRoot, StagesLeadToSlotsAndBack) {
  constexpr std::uint32_t n = 32;
  const Slots coefficients = random_numbers(n, 4);
  Slots values(n);
  for (std::uint32_t k = 0; k < n; ++k) {
    std::uint32_t place = 0;
    for (std::uint32_t bit = 1; bit < n; bit *= 2) place = 2 * place + ((k & bit) != 0 ? 1 : 0);
    values[place] = coefficients[k];
  }
  const Slots reversed = values;
  for (std::uint32_t half = 1; half < n; half *= 2)
    for (std::uint32_t t = 0; t < n; ++t) {
      if ((t & half) != 0) continue;
      const Complex u = values[t], wv = stage_root(half, t & (half - 1)) * values[t + half];
      values[t] = u + wv;
      values[t + half] = u - wv;
    }
  expect_near(values, by_definition(coefficients), 1e-12);
  for (std::uint32_t half = n / 2; half != 0; half /= 2)
    for (std::uint32_t t = 0; t < n; ++t) {
      if ((t & half) != 0) continue;
      const Complex u = values[t], v = values[t + half];
      values[t] = (u + v) / 2.0;
      values[t + half] = (u - v) / (2.0 * stage_root(half, t & (half - 1)));
    }
  expect_near(values, reversed, 1e-13);
}

}  // namespace
}  // namespace brainlock::plan
