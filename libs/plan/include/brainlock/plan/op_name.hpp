// Names of a plan's operations, for profiles and inspections.
#pragma once

#include <iterator>
#include <variant>

#include "brainlock/plan/program.hpp"

namespace brainlock::plan {

/// "split", "square", "combine", "linear", "drop", "add" or "raise".
inline const char* op_name(const Instruction& instruction) {
  static constexpr const char* kNames[] = {"split", "square", "combine", "linear", "drop", "add", "raise"};   // in the variant's order
  static_assert(std::size(kNames) == std::variant_size_v<decltype(instruction.op)>);
  return kNames[instruction.op.index()];
}

}  // namespace brainlock::plan
