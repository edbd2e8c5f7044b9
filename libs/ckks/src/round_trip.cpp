// Encoding and decoding of many short vectors, several abreast: what a compiler asks to know how weights are rounded.
#include <algorithm>
#include <cassert>
#include <cmath>

#include "brainlock/base/vector_clones.hpp"
#include "brainlock/ckks/encoder.hpp"

namespace brainlock::ckks {
namespace {

using Complex = std::complex<double>;

// Neighbours in memory: the same slot of this many vectors.
constexpr std::size_t kLanes = Encoder::kRoundTripLanes;

// Adding and taking away this number rounds a double below 2^51 to the nearest integer, ties to even, as llrint does.
constexpr double kRounder = 0x1.8p52;
constexpr double kLargestRounded = 0x1p51;

/// Coefficients times p in bit-reversed order, from slots. The arithmetic of Encoder::to_coefficients.
BRAINLOCK_VECTOR_CLONES void slots_to_coefficients(double* re, double* im, std::size_t p, const Complex* roots) {
  for (std::size_t half = p / 2; half >= 1; half /= 2) {
    for (std::size_t i = 0; i < p; i += 2 * half) {
      for (std::size_t j = 0; j < half; ++j) {
        const double c = roots[half + j].real(), s = roots[half + j].imag();
        double* ar = re + (i + j) * kLanes;
        double* ai = im + (i + j) * kLanes;
        double* br = ar + half * kLanes;
        double* bi = ai + half * kLanes;
        for (std::size_t l = 0; l < kLanes; ++l) {
          const double dr = ar[l] - br[l], di = ai[l] - bi[l];
          ar[l] += br[l];
          ai[l] += bi[l];
          br[l] = dr * c + di * s;
          bi[l] = di * c - dr * s;
        }
      }
    }
  }
}

/// The way back. The arithmetic of Encoder::to_slots.
BRAINLOCK_VECTOR_CLONES void coefficients_to_slots(double* re, double* im, std::size_t p, const Complex* roots) {
  for (std::size_t half = 1; half < p; half *= 2) {
    for (std::size_t i = 0; i < p; i += 2 * half) {
      for (std::size_t j = 0; j < half; ++j) {
        const double c = roots[half + j].real(), s = roots[half + j].imag();
        double* ar = re + (i + j) * kLanes;
        double* ai = im + (i + j) * kLanes;
        double* br = ar + half * kLanes;
        double* bi = ai + half * kLanes;
        for (std::size_t l = 0; l < kLanes; ++l) {
          const double xr = br[l] * c - bi[l] * s, xi = br[l] * s + bi[l] * c;
          br[l] = ar[l] - xr;
          bi[l] = ai[l] - xi;
          ar[l] += xr;
          ai[l] += xi;
        }
      }
    }
  }
}

/// values = round(values * factor) / scale; the largest magnitude before rounding (NaN counts as too large).
BRAINLOCK_VECTOR_CLONES double round_all(double* values, std::size_t count, double factor, double scale) {
  double largest[kLanes] = {};
  bool sound = true;
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      const double x = values[i + l] * factor, size = std::fabs(x);
      largest[l] = size > largest[l] ? size : largest[l];
      sound &= size == size;
      values[i + l] = ((x + kRounder) - kRounder) / scale;
    }
  }
  return sound ? *std::max_element(largest, largest + kLanes) : HUGE_VAL;
}

}  // namespace

Status Encoder::round_trip(std::span<std::complex<float>* const> vectors, std::size_t period, Scale scale) const {
  assert(vectors.size() <= kLanes);
  BRAINLOCK_TRY(check_period(period));
  std::vector<double> values(2 * period * kLanes);
  double* re = values.data();
  double* im = re + period * kLanes;
  for (std::size_t l = 0; l < vectors.size(); ++l) {
    for (std::size_t t = 0; t < period; ++t) {
      re[t * kLanes + l] = static_cast<double>(vectors[l][t].real());
      im[t * kLanes + l] = static_cast<double>(vectors[l][t].imag());
    }
  }
  slots_to_coefficients(re, im, period, roots_.data());
  if (round_all(values.data(), values.size(), scale.value() / static_cast<double>(period), scale.value()) < kLargestRounded) {
    coefficients_to_slots(re, im, period, roots_.data());
    for (std::size_t l = 0; l < vectors.size(); ++l)
      for (std::size_t t = 0; t < period; ++t) vectors[l][t] = {static_cast<float>(re[t * kLanes + l]), static_cast<float>(im[t * kLanes + l])};
    return {};
  }
  for (std::complex<float>* vector : vectors) {   // one by one: coefficients too large for the fast rounding, or for any
    const std::vector<Complex> slots(vector, vector + period);
    BRAINLOCK_ASSIGN(const auto coefficients, to_coefficients(slots, scale));
    const auto rounded = to_slots(coefficients, scale);
    std::transform(rounded.begin(), rounded.end(), vector, [](const Complex& v) { return std::complex<float>(v); });
  }
  return {};
}

}  // namespace brainlock::ckks
