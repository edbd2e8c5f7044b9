// Operators that divide by what depends on the input, written as operators that have polynomials in their place.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "onnx_model.hpp"

namespace brainlock::compiler {

/// a / b                  a * Reciprocal(b), where b depends on the input
/// Softmax(x)             e / sum(e) with e = exp(x - mean of x): the mean in place of the largest, which is no polynomial; the quotient is the same.
///                        With h halvings, exp((x - mean) / 2^h), and h times y = y^2 / sum(y^2) after that: exponentials and sums of a narrow range (Cho, Hanrot,
///                        Kim, Lee and Stehle, "Fast and accurate homomorphic softmax evaluation", 2024). An error of a reciprocal is one of a whole row, and the next sum takes it back
/// LayerNormalization(x)  (x - mean) / sqrt(variance + epsilon) * scale + bias
///
/// along the last axis. `dims`: of tensors by name; a Softmax or LayerNormalization of unknown dimensions, or along other axes, stays and is refused later. `halvings`: of a Softmax by the
/// name of its node; none where it has none.
struct Expanded {
  OnnxModel model;
  std::unordered_map<std::string, std::string> exponentials;   ///< the node that makes e -> the Softmax's
};
Expanded expand_operators(OnnxModel model, const std::unordered_map<std::string, std::vector<std::int64_t>>& dims, const std::unordered_map<std::string, int>& halvings = {});

/// Whether the answer is a Softmax, LogSoftmax or Sigmoid of something: its name then stands for that something, and the operator is returned ("" otherwise). All of
/// them keep the order of the answers, and can be computed after decryption.
std::string drop_last_operator(OnnxModel& model);

}  // namespace brainlock::compiler
