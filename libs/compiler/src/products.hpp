// Products of two values as squares, which are the only products of ciphertexts that a plan has:
//
//     u v = ((s u + v / s) / 2)^2 - ((s u - v / s) / 2)^2
//
// for any s; the squares are least where s makes both summands equally large. Sum and difference are one linear layer
// of twice as many outputs (or one on each branch, added up), since they lie side by side in the real and the imaginary
// part of the same slots; the difference of the squares goes into the layer that reads it.
#pragma once

#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"
#include "node_range.hpp"

namespace brainlock::compiler {

struct WithoutProducts {
  Graph graph;
  std::vector<NodeRange> ranges;  ///< of its nodes, as far as they were given; empty if none were
};

/// The same function without kProduct. `ranges`: of each node's output, or empty. kUnsupported names a
/// product that takes more numbers than any ciphertext holds. Cost: linear in the weights that are made.
Result<WithoutProducts> without_products(const Graph& graph, std::span<const NodeRange> ranges);

/// Whether there is anything to take apart.
bool has_products(const Graph& graph);

}  // namespace brainlock::compiler
