#include "batches.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace brainlock::runtime {
namespace {

// These bound the memory of a batch; combinations keep digits, which are several times as large as what they are made of.
constexpr std::size_t kMost = 16, kMostCombinations = 4;

std::size_t end_of_parts(const plan::Program& program, std::size_t begin) {
  // What the instructions of a batch have in common.
  const auto parts = [](const plan::Instruction& i) -> std::pair<std::size_t, bool> {
    if (const auto* split = std::get_if<plan::Split>(&i.op)) return {split->out.size(), false};
    if (const auto* square = std::get_if<plan::Square>(&i.op)) return {square->out.size(), square->real_part};
    return {};
  };
  const plan::Instruction& first = program.instructions[begin];
  std::size_t end = begin + 1;
  while (end < program.instructions.size() && parts(first).first != 0 && end - begin < kMost) {
    const plan::Instruction& next = program.instructions[end];
    if (next.op.index() != first.op.index() || parts(next) != parts(first) || next.limbs_in != first.limbs_in) break;
    ++end;
  }
  return end;
}

std::size_t end_of_combinations(const plan::Program& program, std::size_t begin) {
  std::vector<plan::Register> made;
  std::size_t end = begin;
  while (end < program.instructions.size() && end - begin < kMostCombinations) {
    const plan::Instruction& next = program.instructions[end];
    const auto* combine = std::get_if<plan::Combine>(&next.op);
    if (combine == nullptr || next.limbs_in != program.instructions[begin].limbs_in) break;
    const bool uses_made = std::any_of(combine->terms.begin(), combine->terms.end(),
                                       [&](const auto& term) { return std::find(made.begin(), made.end(), term.in) != made.end(); });
    if (uses_made) break;
    made.push_back(combine->out);
    ++end;
  }
  return end;
}

}  // namespace

std::size_t batch_end(const plan::Program& program, std::size_t begin) {
  return std::holds_alternative<plan::Combine>(program.instructions[begin].op) ? end_of_combinations(program, begin) : end_of_parts(program, begin);
}

}  // namespace brainlock::runtime
