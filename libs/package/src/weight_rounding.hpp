// Weights as a ciphertext meets them: encoded, rounded to integer coefficients, decoded.
#pragma once

#include <cstdint>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::package {

/// `vector` rounded at `scale`; the result is dense.
Result<plan::SlotVector> rounded(const plan::SlotVector& vector, const ckks::Encoder& encoder, double scale);

}  // namespace brainlock::package
