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

/// One node's output from those of its inputs (`other`: the second one's, of sums and products alone), as run_float() computes it. The graph is valid, node `index`
/// not its input, and the inputs have their shapes' sizes. Thread safe.
std::vector<float> run_node(const Graph& graph, int index, const std::vector<float>& x, const std::vector<float>* other = nullptr);

}  // namespace brainlock::compiler
