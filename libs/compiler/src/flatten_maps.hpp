// Maps of tokens as vectors.
#pragma once

#include <vector>

#include "brainlock/compiler/graph.hpp"
#include "node_range.hpp"

namespace brainlock::compiler {

/// Puts a layer that only moves numbers behind each map which nothing but dense layers read, some of them with far more
/// outputs than it has elements (as before products of matrices). A vector repeats within its ciphertext, so that such
/// a layer has at most as many diagonals as the vector has elements, instead of as many as outputs, at the price of a
/// level. The vector goes position by position, as the slots of a map do, so that few weights and rotations bring it
/// there. `ranges`: of the nodes; empty, or kept in step.
void flatten_maps(Graph& graph, std::vector<NodeRange>& ranges);

}  // namespace brainlock::compiler
