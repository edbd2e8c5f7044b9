// A stage's linear map and its transpose on several inputs at once, in the clear.
//
// Values are kept [element][lane], kLanes inputs side by side, so that every weight is read once for all of them and the
// inner loop is a vector operation whatever the shape of the map.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "stages.hpp"

namespace brainlock::compiler {

inline constexpr std::size_t kLanes = 8;

template <typename T>
using Lanes = std::array<T, kLanes>;
template <typename T>
using LaneTensor = std::vector<Lanes<T>>;

/// What the stage reads, before its pools: the image, a value, or a sum of signed squares. `values` has what stages before it hold.
template <typename T>
LaneTensor<T> read_values(const StagePlan& plan, const Stage& stage, const LaneTensor<T>& image, const std::vector<LaneTensor<T>>& values);

/// Adds the value of the stage's addend to the last of `values`.
template <typename T>
void add_addend(const Stage& stage, std::vector<LaneTensor<T>>& values);

/// The stage's pools: from the elements of stage.in to those of stage.pooled.
template <typename T>
LaneTensor<T> apply_pools(const Stage& stage, LaneTensor<T> x);

/// The linear map and the bias: from the elements of stage.pooled to those of stage.out. Cost: kLanes * MACs.
template <typename T>
LaneTensor<T> apply_linear(const Stage& stage, const LaneTensor<T>& x);

/// The transpose of pools and linear map: from the elements of stage.out to those of stage.in. Cost as apply_linear.
LaneTensor<float> apply_stage_transposed(const Stage& stage, const LaneTensor<float>& g);

/// Adds to `gradients` (per stage) what a gradient `g` at what the stage reads means for the values that it reads.
void add_gradients(const StagePlan& plan, const Stage& stage, const LaneTensor<float>& g, const std::vector<LaneTensor<float>>& values,
                   std::vector<LaneTensor<float>>& gradients);

/// Per lane, for a gradient `g` at the stage's output: the sum over all weights of the squared gradient of that weight,
/// when the linear map reads `x` (elements of stage.pooled). Cost as apply_linear.
Lanes<double> weight_gradient_energy(const Stage& stage, const LaneTensor<float>& x, const LaneTensor<float>& g);

/// Per lane: the sum of squared gradients of every value that the linear map reads, where each position of a
/// convolution reads its own copy of its window. Cost as apply_linear.
Lanes<double> window_gradient_energy(const Stage& stage, const LaneTensor<float>& g);

}  // namespace brainlock::compiler
