// Whether the values of one input stay in the range that a package's parameters were chosen for. A stack of squares can
// make much of an odd input (a checkerboard, noise at full contrast); the client, who knows input and network, finds out
// before it encrypts. What happens beyond the limits: docs/package.md.
//
// Limits say where values go, not what the scheme's errors become: those meet every value on their way, and an odd input within all limits may
// amplify them. So its answer is foretold, too, with weights rounded as they are encoded and errors drawn.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/package/foretold.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

namespace brainlock::package {

struct LayerRange {
  std::string layer;
  double largest = 0;   ///< |value|; of the last layer the outputs', of the others every slot's; of a Raise the coefficients' before it
  double limit = 0;     ///< plan::Linear::limit or plan::Raise::limit; 0: the package states none
  [[nodiscard]] bool inside() const { return limit <= 0 || largest <= limit; }
};

struct ValueRange {
  std::vector<LayerRange> layers;   ///< in the order of the program
  /// The answer's coefficients over half of the modulus that is left, at most: below 1 it cannot wrap around.
  double wrap = 0;
  double error = 0;         ///< of the foretold answer: largest |difference| to the clear one
  double error_bound = 0;   ///< plan::Program::error_bound; 0: the package states none, or nothing was foretold
  /// The answers that `error` is from; empty where nothing was foretold.
  std::vector<double> clear;
  std::optional<Foretold> foretold;

  /// Whether the answer may wrap around. Written so that a value that overflowed to NaN wraps too.
  [[nodiscard]] bool wraps() const { return !(wrap < 1); }
  /// Whether the foretold error leaves room for the errors of another encryption: it is at most half of the bound.
  [[nodiscard]] bool exact() const { return error_bound <= 0 || error <= error_bound / 2; }
  [[nodiscard]] bool inside() const;
  /// The layer that is furthest beyond its limit (or nearest to it); null if no limit is stated.
  [[nodiscard]] const LayerRange* worst() const;
  /// OK, or kInvalidArgument with layer, value and limit, or error and bound.
  [[nodiscard]] Status status() const;
};

/// From a traced run in the clear and its outputs.
ValueRange value_range(const plan::Program& program, const plan::SlotTrace& trace, std::span<const double> outputs);

/// What it takes to foretell the error of an answer; both safe from many threads.
struct Foretelling {
  std::shared_ptr<const Simulator> simulator;                               ///< of the package
  std::function<std::vector<double>(std::span<const float> input)> clear;   ///< the model's own answers; empty: the simulator's without errors stand in for them
  unsigned draws = 1;                                                       ///< simulated runs: more of them tell the errors' size better
};

/// Runs inputs in the clear and judges them. Immutable; safe from many threads. Cost of check(): a run in the clear; where errors are foretold,
/// `draws` more and one of the model.
class RangeChecker {
 public:
  /// Without `foretelling` limits and wrapping alone are judged.
  explicit RangeChecker(std::shared_ptr<const Package> package, Foretelling foretelling = {});
  /// The size of `input` is the caller's promise.
  [[nodiscard]] ValueRange check(std::span<const float> input) const;

 private:
  std::shared_ptr<const Package> package_;
  Foretelling foretelling_;
  plan::SlotInterpreter interpreter_;
};

}  // namespace brainlock::package
