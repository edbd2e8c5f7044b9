// Which instructions run together.
#pragma once

#include <cstddef>

#include "brainlock/plan/program.hpp"

namespace brainlock::runtime {

/// Where the batch that begins at instruction `begin` ends. Neighbouring splits or squares of one shape are one batch, and neighbouring
/// combinations at one level that use none of each other: more parallel work, keys read once, and on a GPU fewer, larger launches.
std::size_t batch_end(const plan::Program& program, std::size_t begin);

}  // namespace brainlock::runtime
