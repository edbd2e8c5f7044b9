// Rewrites that leave the function of a graph as it is and bring it to the form that the packing expects.
#pragma once

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// Canonical form: dead nodes and identities are gone; every affine activation (batch normalisation, scale, shift) is
/// folded into the convolution, dense layer or polynomial before or behind it; two dense layers in a row are one where
/// that is no more work. What is left of a sequential network alternates linear layers (kConv, kDense, kAveragePool,
/// kAdd) with kQuadratic (some a != 0) and kPolynomial. An affine map that no neighbour can take exactly (a shift
/// before zero padding, say) becomes a 1x1 convolution.
///
/// The result computes the same function up to rounding of the folded float weights.
/// Errors: those of validate(). Thread safe. Cost: linear in the weights for each fold.
Result<Graph> normalise(Graph graph);

}  // namespace brainlock::compiler
