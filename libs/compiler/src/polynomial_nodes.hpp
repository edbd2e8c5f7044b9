// Fitted polynomials as ONNX operators.
#pragma once

#include <vector>

#include "onnx_model.hpp"
#include "brainlock/compiler/graph.hpp"
#include "polynomial_fit.hpp"

namespace brainlock::compiler {

/// Puts `polynomials` (one, or one a channel; of one degree) in place of the node of `function`: first x into the interval, then Horner's rule, with Mul and Add. Constants of
/// single precision are exact enough that way: powers are taken of numbers around one.
void write_polynomials(OnnxModel& model, const FunctionParams& function, const std::vector<FittedPolynomial>& polynomials);

}  // namespace brainlock::compiler
