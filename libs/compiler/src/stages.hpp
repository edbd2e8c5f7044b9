// The network as the packing sees it: linear maps with a pure square between each two.
//
// An activation a x^2 + b x + c after a linear layer is completed to sign * (g x + h)^2 + k: g and h go into the layer
// before it, sign and k into the layer after it. What remains between two layers is x -> x^2.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// One linear layer: optional average pools first (kernel == stride), then a convolution or a dense map.
struct Stage {
  std::string name;
  TensorShape in;                     ///< before the pools
  std::vector<PoolParams> pools;      ///< applied in order to the squares of the previous stage
  TensorShape pooled;                 ///< what the linear map reads
  TensorShape out;
  bool is_dense = false;
  ConvParams conv;                    ///< when !is_dense: weights with gain and pooling factor folded in, bias unused
  DenseParams dense;                  ///< when is_dense
  std::vector<double> bias;           ///< per output element (C, H, W), previous constants folded in
  bool squared = false;               ///< a square follows (all stages but the last)
  std::vector<double> sign;           ///< per output channel: +1 / -1, already folded into the next stage's weights

  [[nodiscard]] bool needs_zero_border() const {
    return !is_dense && (conv.pad_top > 0 || conv.pad_left > 0 || conv.pad_bottom > 0 || conv.pad_right > 0);
  }
};

struct StagePlan {
  TensorShape input;
  std::vector<Stage> stages;
  std::vector<std::string> notes;
};

/// kUnsupported lists every node that has no place in this form.
Result<StagePlan> make_stages(const Graph& graph);

/// Values of every stage's output for one input (before squaring), computed in double.
std::vector<std::vector<double>> run_stages(const StagePlan& plan, std::span<const float> input);

}  // namespace brainlock::compiler
