// Which registers an instruction reads and writes.
#pragma once

#include <variant>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Calls packed(r) and lifted(r) for every register of either form that an instruction reads, once for each place where
/// it stands. With an instruction that may change they may rename it.
template <typename Instruction, typename Packed, typename Lifted>
void for_reads(Instruction& instruction, Packed&& packed, Lifted&& lifted) {
  if (auto* split = std::get_if<plan::Split>(&instruction.op)) {
    packed(split->in);
  } else if (auto* square = std::get_if<plan::Square>(&instruction.op)) {
    packed(square->in);
  } else if (auto* raise = std::get_if<plan::Raise>(&instruction.op)) {
    packed(raise->in);
  } else if (auto* add = std::get_if<plan::Add>(&instruction.op)) {
    for (auto& term : add->terms) packed(term);
  } else if (auto* combine = std::get_if<plan::Combine>(&instruction.op)) {
    for (auto& term : combine->terms) lifted(term.in);
  } else if (auto* drop = std::get_if<plan::Drop>(&instruction.op)) {
    lifted(drop->in);
  } else if (auto* linear = std::get_if<plan::Linear>(&instruction.op)) {
    for (auto& input : linear->inputs) lifted(input);
  }
}

/// Likewise, for every register that it writes.
template <typename Instruction, typename Packed, typename Lifted>
void for_writes(Instruction& instruction, Packed&& packed, Lifted&& lifted) {
  if (auto* split = std::get_if<plan::Split>(&instruction.op)) {
    for (auto& out : split->out) lifted(out);
  } else if (auto* square = std::get_if<plan::Square>(&instruction.op)) {
    for (auto& out : square->out) lifted(out);
  } else if (auto* raise = std::get_if<plan::Raise>(&instruction.op)) {
    packed(raise->out);
  } else if (auto* add = std::get_if<plan::Add>(&instruction.op)) {
    packed(add->out);
  } else if (auto* combine = std::get_if<plan::Combine>(&instruction.op)) {
    lifted(combine->out);
  } else if (auto* drop = std::get_if<plan::Drop>(&instruction.op)) {
    lifted(drop->out);
  } else if (auto* linear = std::get_if<plan::Linear>(&instruction.op)) {
    for (auto& output : linear->outputs) packed(output.out);
  }
}

}  // namespace brainlock::compiler
