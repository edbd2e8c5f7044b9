// A program without the numbers in it: enough to count what it costs, at a thousandth of its memory.
#pragma once

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// `program` with as many weight vectors, masks and biases as it has, all of them empty, and without places in the maps of its input and output.
plan::Program skeleton_of(const plan::Program& program);

}  // namespace brainlock::compiler
