#include "weight_rounding.hpp"

#include <complex>
#include <vector>

namespace brainlock::package {

using Complex = std::complex<double>;

Result<plan::SlotVector> rounded(const plan::SlotVector& vector, const ckks::Encoder& encoder, double scale) {
  const std::vector<Complex> values = vector.expanded();
  BRAINLOCK_ASSIGN(const auto coefficients, encoder.to_coefficients(values, ckks::Scale::from_value(scale)));
  if (!vector.rest.empty()) return plan::SlotVector::precise(encoder.to_slots(coefficients, ckks::Scale::from_value(scale)));
  plan::SlotVector out;
  out.period = static_cast<std::uint32_t>(values.size());
  out.values.reserve(values.size());
  for (const Complex& value : encoder.to_slots(coefficients, ckks::Scale::from_value(scale)))
    out.values.emplace_back(static_cast<float>(value.real()), static_cast<float>(value.imag()));
  return out;
}

}  // namespace brainlock::package
