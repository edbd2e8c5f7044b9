// Weights as a ciphertext meets them: encoded, rounded to integer coefficients, decoded.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::package {

/// Slots of the polynomial with these 2p coefficients: slot j is its value at zeta^(5^j), zeta = exp(i pi / 2p). p a power
/// of two. The inverse of ckks::Encoder::to_coefficients at scale 1.
std::vector<std::complex<double>> slots_of(std::span<const std::int64_t> coefficients);

/// `vector` (of `slots` slots if sparse) rounded at `scale`; the result is dense.
Result<plan::SlotVector> rounded(const plan::SlotVector& vector, const ckks::Encoder& encoder, std::uint32_t slots, double scale);

}  // namespace brainlock::package
