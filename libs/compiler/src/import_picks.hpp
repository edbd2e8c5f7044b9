// Sums of picked elements as one dense layer over a whole value, with mostly zeros among its weights. What only moves
// or adds up numbers goes into the layer before or behind it (compose_linear.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "import_state.hpp"

namespace brainlock::compiler {

/// One weight of an output: which element of the model's tensor, times what.
struct Pick {
  std::size_t element = 0;
  double weight = 1;
};

/// A dense layer whose output m is the sum of picks(m), called with a function that takes each.
template <typename Picks>
Outcome add_picks(ImportState& state, const std::string& name, Value value, std::size_t outputs, Picks&& picks,
                  int& made) {
  const TensorShape in = state.shape(value.base);
  if (!extents_ok(static_cast<std::int64_t>(outputs), 1, 1) || !state.budget().charge(outputs * in.size()))
    return too_large();
  // An affine map goes into the weights, whatever its coefficients.
  if (value.poly.degree() > 1) {
    if (auto refusal = state.rebase(value)) return refusal;
  }
  DenseParams params{static_cast<int>(outputs), static_cast<int>(in.size()),
                     std::vector<float>(outputs * in.size(), 0.0F), std::vector<float>(outputs, 0.0F)};
  for (std::size_t m = 0; m < outputs; ++m) {
    double bias = 0;
    picks(m, [&](Pick pick) {
      const std::size_t element = value.base_element(pick.element);
      float& weight = params.weights[m * in.size() + element];
      weight = static_cast<float>(static_cast<double>(weight) + pick.weight * value.poly.at(1, element, in));
      bias += pick.weight * value.poly.at(0, element, in);
    });
    params.bias[m] = static_cast<float>(bias);
  }
  const auto finite = [](const std::vector<float>& v) {
    return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
  };
  if (!finite(params.weights) || !finite(params.bias)) return inconsistent("its weights overflow");
  made = state.add_node(OpKind::kDense, name, {value.base}, {static_cast<int>(outputs), 1, 1}, std::move(params));
  return {};
}

}  // namespace brainlock::compiler
