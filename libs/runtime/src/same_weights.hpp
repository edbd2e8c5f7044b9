// Linear instructions whose encoded weights are the same words: those of refreshes, which come up again and again.
#pragma once

#include <cstddef>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::runtime {

/// For each instruction the first one whose encoded weights and masks it can use: itself, for one, and for all that is
/// no Linear. Biases and registers do not matter. Cost: linear in the weights.
std::vector<std::size_t> find_same_weights(const plan::Program& program);

}  // namespace brainlock::runtime
