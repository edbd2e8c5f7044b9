// Linear layers in a row as one.
#pragma once

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// Makes dense layers that follow a dense layer, a convolution or a sum of those into one with it, where that costs no
/// more work than it saves: a product with no more weights than both have, or one that saves a level of a layer which
/// only moves or adds up numbers (as around products of matrices). The graph stays valid; nodes that nobody reads any
/// more are left behind. Cost: linear in the weights.
void compose_linear(Graph& graph);

}  // namespace brainlock::compiler
