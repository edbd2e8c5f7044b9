// The network as the packing sees it: linear maps between values, whose squares are all that happens between two maps.
//
// An activation a x^2 + b x + c after a linear layer is completed to sign * (g x + h)^2 + k: g and h go into the layer
// before it, sign and k into the layers that read it. What remains is x -> x^2.
//
//     stage:  value = map(read) + bias (+ the value of its addend)
//     read:   the image, one earlier value as it is, or a sum of +- squares of earlier values
//
// A chain of layers is a chain of stages. A sum of branches is a chain of addends: every branch is a stage of its own and
// the last of them holds the sum. A polynomial of higher degree is a few more stages, whose squares add up to it
// (stage_polynomial.hpp).
//
// Ranks order the values by depth: a value's rank is one more than the largest rank that its stages read, so each rank
// costs one rescale. All values of one rank share limb count and scale. A stage that reads what lies further back than
// the others of its rank (or is no square where theirs are) is `carried`: it brings that to the rank's scale by itself.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"
#include "node_range.hpp"

namespace brainlock::compiler {

/// One linear layer: optional average pools first (kernel == stride), then a convolution, a dense map, or one factor a
/// channel.
struct Stage {
  std::string name;
  std::vector<int> reads;             ///< stages whose values are read; none: the image
  bool reads_squares = false;         ///< the sum of their squares (less those that are `negated`), else the one value
  int addend = -1;                    ///< stage just before whose value is added to the map's output; -1: none
  int rank = 0;
  bool carried = false;
  bool negated = false;               ///< kept times the imaginary unit: its square counts as negative
  TensorShape in;                     ///< before the pools
  std::vector<PoolParams> pools;      ///< applied in order to what is read
  TensorShape pooled;                 ///< what the linear map reads
  TensorShape out;
  bool is_dense = false;
  std::vector<float> diagonal;        ///< not empty: a factor for each channel, and neither conv nor dense is used
  ConvParams conv;                    ///< when !is_dense: weights with gain and pooling factor folded in, bias unused
  DenseParams dense;                  ///< when is_dense
  std::vector<double> bias;           ///< per output element (C, H, W), previous constants folded in
  double reach = 0;                   ///< values as large as this have room, even if no calibration input makes them

  [[nodiscard]] bool needs_zero_border() const {
    return !is_dense && diagonal.empty() && (conv.pad_top > 0 || conv.pad_left > 0 || conv.pad_bottom > 0 || conv.pad_right > 0);
  }
};

struct StagePlan {
  TensorShape input;
  std::vector<Stage> stages;          ///< in an order in which they can be computed; the last holds the answer
  std::vector<bool> plain_ranks;      ///< per rank: what it reads of the rank before are values, not squares
  std::vector<std::string> notes;

  [[nodiscard]] std::size_t ranks() const { return plain_ranks.size(); }
  /// Whether some stage reads the square of stage i's value, or the value itself.
  [[nodiscard]] bool is_read(std::size_t i, bool as_square) const;
  /// Whether stage i's value is only a part of the sum that another stage holds.
  [[nodiscard]] bool is_addend(std::size_t i) const { return i + 1 < stages.size() && stages[i + 1].addend == static_cast<int>(i); }
};

/// `ranges`: expected of each node's output; polynomials are taken apart so that they are well
/// conditioned there. Empty: a few units everywhere. kUnsupported lists every node that has no place in this form, with
/// reason and rewrite.
Result<StagePlan> make_stages(const Graph& graph, std::span<const NodeRange> ranges = {});

/// Values of all stages for one input, computed in double.
std::vector<std::vector<double>> run_stages(const StagePlan& plan, std::span<const float> input);

}  // namespace brainlock::compiler
