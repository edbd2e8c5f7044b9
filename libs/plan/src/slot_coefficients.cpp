#include "brainlock/plan/slot_coefficients.hpp"

#include <cassert>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace brainlock::plan {
namespace {

using Complex = std::complex<double>;

void reverse_bits(std::vector<Complex>& values) {
  const std::size_t n = values.size();
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(values[i], values[j]);
  }
}

std::vector<Complex> stage_roots(std::uint32_t half) {
  std::vector<Complex> roots(half);
  std::uint32_t power = 1;   // 5^j mod 8 half
  for (Complex& root : roots) {
    root = std::polar(1.0, 2 * std::numbers::pi * power / (8.0 * half));
    power = static_cast<std::uint32_t>(std::uint64_t{power} * 5 % (8 * half));
  }
  return roots;
}

}  // namespace

std::vector<Complex> slot_coefficients(std::span<const Complex> slots) {
  std::vector<Complex> values(slots.begin(), slots.end());
  for (auto half = static_cast<std::uint32_t>(values.size() / 2); half != 0; half /= 2) {
    const std::vector<Complex> roots = stage_roots(half);
    for (std::size_t block = 0; block < values.size(); block += 2 * half)
      for (std::size_t j = 0; j < half; ++j) {
        const Complex u = values[block + j], v = values[block + half + j];
        values[block + j] = (u + v) / 2.0;
        values[block + half + j] = (u - v) / 2.0 * std::conj(roots[j]);
      }
  }
  reverse_bits(values);
  return values;
}

std::vector<Complex> coefficient_slots(std::span<const Complex> coefficients) {
  std::vector<Complex> values(coefficients.begin(), coefficients.end());
  reverse_bits(values);
  for (std::uint32_t half = 1; half < values.size(); half *= 2) {
    const std::vector<Complex> roots = stage_roots(half);
    for (std::size_t block = 0; block < values.size(); block += 2 * half)
      for (std::size_t j = 0; j < half; ++j) {
        const Complex u = values[block + j], v = values[block + half + j] * roots[j];
        values[block + j] = u + v;
        values[block + half + j] = u - v;
      }
  }
  return values;
}

std::complex<double> stage_root(std::uint32_t half, std::uint32_t j) {
  std::uint64_t power = 1;
  for (std::uint64_t square = 5; j != 0; j >>= 1) {
    if ((j & 1) != 0) power = power * square % (8ULL * half);
    square = square * square % (8ULL * half);
  }
  return std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(power) / (8.0 * half));
}

}  // namespace brainlock::plan
