#include "giant_fans.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "cost_model.hpp"

namespace brainlock::compiler {
namespace {

constexpr std::uint32_t kFans[] = {0, 2, 4};
// Milliseconds of one core, as in value_of(), that one rotation less in a row is worth: two cores gain nothing, but dozens of them, or a GPU, wait for each.
constexpr double kMsPerStep = 0.3;

/// Linears of one giant step share the keys of their rounds, so they are given one fan.
using Group = std::vector<std::size_t>;   // their instructions

plan::Linear& linear(plan::Program& program, std::size_t i) { return std::get<plan::Linear>(program.instructions[i].op); }

std::vector<Group> groups_of(const plan::Program& program) {
  std::map<std::int32_t, Group> by_step;
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const auto* op = std::get_if<plan::Linear>(&program.instructions[i].op);
    if (op != nullptr && op->giant_step != 0 && !plan::giant_rotations(*op).empty()) by_step[op->giant_step].push_back(i);
  }
  std::vector<Group> out;
  for (auto& [step, group] : by_step) out.push_back(std::move(group));
  return out;
}

/// Where it makes groups, and turns no further than there are slots; else 0.
std::uint32_t usable_fan(const plan::Program& program, const plan::Linear& op, std::uint32_t fan) {
  const bool makes_groups = std::any_of(op.outputs.begin(), op.outputs.end(), [&](const auto& output) { return output.giants > fan; });
  if (fan == 0 || !makes_groups) return 0;
  plan::Linear rounds;
  rounds.giant_step = op.giant_step;
  rounds.giant_fan = fan;
  for (const auto& output : op.outputs) rounds.outputs.push_back({.out = 0, .columns = {}, .giants = output.giants, .weights = {}, .bias = {}});
  const std::int64_t slots = program.parameters.ring_degree / 2;
  for (const std::int64_t rotation : plan::giant_rotations(rounds))
    if (rotation <= -slots || rotation >= slots) return 0;
  return fan;
}

void set_fan(plan::Program& program, const Group& group, std::uint32_t fan) {
  for (const std::size_t i : group) linear(program, i).giant_fan = usable_fan(program, linear(program, i), fan);
}

double cost_of(plan::Program& program) {
  program.keys = plan::collect_keys(program);
  std::uint64_t depth = 0;
  for (const plan::Instruction& instruction : program.instructions)
    if (const auto* op = std::get_if<plan::Linear>(&instruction.op)) depth += plan::giant_depth(*op);
  return key_value_of(program) + kMsPerStep * static_cast<double>(depth);
}

}  // namespace

void choose_giant_fans(plan::Program& program) {
  for (plan::Instruction& instruction : program.instructions)
    if (auto* op = std::get_if<plan::Linear>(&instruction.op)) op->giant_fan = 0;
  for (const Group& group : groups_of(program)) {
    std::uint32_t best = 0;
    double least = 0;
    for (const std::uint32_t fan : kFans) {
      set_fan(program, group, fan);
      const double cost = cost_of(program);
      if (fan != kFans[0] && cost >= least) continue;
      best = fan;
      least = cost;
    }
    set_fan(program, group, best);
  }
  program.keys = plan::collect_keys(program);
}

}  // namespace brainlock::compiler
