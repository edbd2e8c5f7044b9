#include "weight_rounding.hpp"

#include <cmath>
#include <numbers>
#include <utility>

namespace brainlock::package {

using Complex = std::complex<double>;

std::vector<Complex> slots_of(std::span<const std::int64_t> coefficients) {
  const std::size_t p = coefficients.size() / 2;
  // Coefficient k + p stands for zeta^p = i at every slot.
  std::vector<Complex> x(p);
  for (std::size_t k = 0; k < p; ++k) x[k] = {static_cast<double>(coefficients[k]), static_cast<double>(coefficients[k + p])};
  for (std::size_t i = 1, j = 0; i < p; ++i) {   // bit reversal
    std::size_t bit = p >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (std::size_t half = 1; half < p; half *= 2) {
    std::vector<Complex> roots(half);
    std::size_t power = 1;   // 5^j modulo 8 half: the order of the roots at this size
    for (auto& root : roots) {
      root = std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(power) / static_cast<double>(8 * half));
      power = power * 5 % (8 * half);
    }
    for (std::size_t i = 0; i < p; i += 2 * half)
      for (std::size_t j = 0; j < half; ++j) {
        const Complex a = x[i + j], b = x[i + j + half], r = roots[j];
        const Complex turned(b.real() * r.real() - b.imag() * r.imag(), b.real() * r.imag() + b.imag() * r.real());
        x[i + j] = a + turned;
        x[i + j + half] = a - turned;
      }
  }
  return x;
}

Result<plan::SlotVector> rounded(const plan::SlotVector& vector, const ckks::Encoder& encoder, std::uint32_t slots, double scale) {
  std::vector<Complex> values;
  if (vector.dense()) {
    values.assign(vector.values.begin(), vector.values.end());
  } else {
    values.resize(slots);
    for (std::size_t i = 0; i < vector.slots.size(); ++i) values[vector.slots[i]] = vector.values[i];
  }
  BRAINLOCK_ASSIGN(const auto coefficients, encoder.to_coefficients(values, ckks::Scale::from_value(scale)));
  plan::SlotVector out;
  out.period = static_cast<std::uint32_t>(values.size());
  out.values.reserve(values.size());
  for (const Complex& value : slots_of(coefficients))
    out.values.emplace_back(static_cast<float>(value.real() / scale), static_cast<float>(value.imag() / scale));
  return out;
}

}  // namespace brainlock::package
