// A linear map of a tensor as one stage: pools joined or kept, factors and constants of what it reads folded in.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "stage_arithmetic.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

using PerChannel = std::vector<double>;

/// factor (per channel) times the sum of the squares of some values, or times one value.
struct Reading {
  std::vector<int> stages;   ///< none: the image
  bool squares = false;
  PerChannel factor;
};

/// What a layer can read: readings and a constant per channel, through pools.
struct Tensor {
  TensorShape shape;   ///< before the pools
  std::vector<Reading> readings;
  PerChannel constant;
  std::vector<PoolParams> pools;
};

/// A linear map of a tensor, not yet a stage. Neither conv nor dense: the identity.
struct Term {
  std::string name;
  Tensor from;
  std::optional<ConvParams> conv;
  std::optional<DenseParams> dense;
};

class StageMaker {
 public:
  /// The stage of one map and one reading of its tensor, without rank, addend and sign. The constants of the tensor and of the
  /// map come with one of the readings only. kUnsupported says what is wrong and what to do instead.
  Result<Stage> make(const Term& term, const Reading& reading, bool with_constant);

 private:
  std::size_t identity_weights_ = 0;   // written out as matrices so far
};

/// stage becomes gain * (stage + shift), per channel.
void scale_outputs(Stage& stage, const PerChannel& gain, const PerChannel& shift);

LaneTensor<double> to_lanes(std::span<const double> x);
std::vector<double> first_lane(const LaneTensor<double>& x);

}  // namespace brainlock::compiler
