// One linear instruction of one request.
#pragma once

#include <span>
#include <vector>

#include "brainlock/ckks/evaluator.hpp"
#include "brainlock/runtime/executor.hpp"
#include "loaded_program_impl.hpp"

namespace brainlock::runtime {

/// multiply(), then finish(). Between the two, inputs and digits may be freed.
class LinearRun {
 public:
  LinearRun(const ckks::KeySwitcher& switcher, const ckks::LoadedKeys& keys, const plan::Instruction& instruction,
            const plan::Linear& linear, const PreparedLinear& prepared, RunProfile* profile)
      : switcher_(switcher), keys_(keys), instruction_(instruction), linear_(linear), prepared_(prepared), profile_(profile) {}

  /// Hoisted rotations and weights, into one lifted accumulator for each output and giant step.
  Status multiply(std::span<const device::LinearCore::Input> inputs);
  /// Giant steps, rotate-and-add, masks, rescale, bias. Packed outputs, in order.
  Result<std::vector<ckks::DeviceCiphertext>> finish();

 private:
  Status sum_giants();
  /// Makes one of each `fan` neighbouring sums, in place of the first, by Horner's rule.
  Status giant_round(std::uint32_t galois_element, std::size_t fan);
  Status rotate_sums();
  void apply_masks();

  const ckks::KeySwitcher& switcher_;
  const ckks::LoadedKeys& keys_;
  const plan::Instruction& instruction_;
  const plan::Linear& linear_;
  const PreparedLinear& prepared_;
  RunProfile* profile_;
  std::vector<std::vector<ckks::DeviceCiphertext>> accumulators_;  ///< [output][giant]; after sum_giants() only giant 0
};

}  // namespace brainlock::runtime
