// The clear reference: what the network computes before anything is approximated or encrypted.
#pragma once

#include <span>
#include <vector>

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// Every node's output, in node order; each in C,H,W order.
struct FloatTrace {
  std::vector<std::vector<float>> values;
};

/// Evaluates a valid graph (see validate()) on one image in C,H,W order, with double accumulation and float storage
/// between nodes. Returns the output node's value. An image of the wrong length or an invalid graph is a bug in the
/// caller and asserts. Thread safe. Cost: multiply_accumulates(graph).
std::vector<float> run_float(const Graph& graph, std::span<const float> image, FloatTrace* trace = nullptr);

}  // namespace brainlock::compiler
