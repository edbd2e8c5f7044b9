#include "refreshes.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace brainlock::compiler {
namespace {

// What inputs that are provided for may have more than the calibration inputs have.
constexpr double kLargestMargin = 2;

/// Whether every stage behind `rank` reads that rank or higher ones.
bool is_cut(const StagePlan& plan, int rank) {
  return std::all_of(plan.stages.begin(), plan.stages.end(), [&](const Stage& stage) {
    if (stage.rank <= rank) return true;
    return !stage.reads.empty() && std::all_of(stage.reads.begin(), stage.reads.end(), [&](int read) {
      return plan.stages[static_cast<std::size_t>(read)].rank >= rank;
    });
  });
}

/// A refresh adds its errors to the zeros around a map, too.
double read_share(const StagePlan& plan, int rank) {
  double share = 1;
  for (const Stage& stage : plan.stages) {
    if (!stage.needs_zero_border()) continue;
    const auto of_rank = [&](int read) { return plan.stages[static_cast<std::size_t>(read)].rank == rank; };
    if (std::none_of(stage.reads.begin(), stage.reads.end(), of_rank)) continue;
    const ConvParams& c = stage.conv;
    const double height = stage.pooled.height, width = stage.pooled.width;
    share =
        std::max(share, (height + c.pad_top + c.pad_bottom) * (width + c.pad_left + c.pad_right) / (height * width));
  }
  return share;
}

/// Whether a register's imaginary parts are looked at.
bool reads_both_parts(const plan::Program& program, plan::Register r) {
  return std::any_of(program.instructions.begin(), program.instructions.end(), [r](const plan::Instruction& i) {
    if (const auto* split = std::get_if<plan::Split>(&i.op)) return split->in == r && split->out.size() == 2;
    if (const auto* square = std::get_if<plan::Square>(&i.op)) return square->in == r && square->out.size() == 2;
    return false;
  });
}

void replace_reads(plan::Instruction& instruction, const std::map<plan::Register, plan::Register>& by) {
  const auto replace = [&](plan::Register& r) {
    if (const auto found = by.find(r); found != by.end()) r = found->second;
  };
  if (auto* split = std::get_if<plan::Split>(&instruction.op)) replace(split->in);
  if (auto* square = std::get_if<plan::Square>(&instruction.op)) replace(square->in);
}

}  // namespace

RefreshRanges find_refresh_ranges(const StagePlan& plan, const Lowered& lowered, const Calibration& calibration,
                                  const plan::SlotTrace& trace) {
  RefreshRanges out;
  out.ranks.resize(plan.ranks());
  for (std::size_t l = 0; l < lowered.stages.size(); ++l) {
    const LoweredStage& stage = lowered.stages[l];
    if (stage.rank + 1 == plan.ranks() || !is_cut(plan, static_cast<int>(stage.rank))) continue;
    RefreshRanges::Rank& rank = out.ranks[stage.rank];
    rank.ciphertexts += static_cast<std::uint32_t>(stage.value.size());
    rank.read_share = read_share(plan, static_cast<int>(stage.rank));
    if (!stage.value.empty()) {
      rank.largest = std::max(rank.largest, kLargestMargin * calibration.stages[l].largest);
      rank.rms = std::max(rank.rms, calibration.stages[l].rms);
    }
    for (const plan::Register r : stage.value) rank.real = rank.real && !reads_both_parts(lowered.program, r);
  }
  for (const LoweredStage& stage : lowered.stages)
    for (const plan::Register r : stage.value) {
      RefreshRanges::Rank& rank = out.ranks[stage.rank];
      rank.clean = rank.clean && trace.largest[r] <= rank.largest;
    }
  return out;
}

void write_refreshes(plan::Program& program, const std::vector<LoweredStage>& stages, const LevelChoice& choice,
                     const RefreshRanges& ranges, TransformDepth depth) {
  if (!choice.refresh_chain) return;
  const RefreshChain& chain = *choice.refresh_chain;
  const RefreshTransforms transforms = make_refresh_transforms(chain.parameters.ring_degree, depth);
  std::map<std::size_t, const LoweredStage*> refreshed_behind;  // by instruction
  for (const LoweredStage& stage : stages)
    if (choice.refreshes[stage.rank].limbs != 0 && !stage.value.empty()) refreshed_behind[stage.last] = &stage;

  std::vector<plan::Instruction> instructions;
  std::map<plan::Register, plan::Register> names;  // of a value and of what it is refreshed to
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    replace_reads(program.instructions[i], names);
    instructions.push_back(std::move(program.instructions[i]));
    const auto behind = refreshed_behind.find(i);
    if (behind == refreshed_behind.end()) continue;
    const plan::Instruction& last = instructions.back();
    const std::string layer = last.layer + " (refresh)";
    const LoweredStage& stage = *behind->second;
    const RefreshRanges::Rank& rank = ranges.ranks[stage.rank];
    Refresh refresh;
    refresh.scale_in = last.scale_out;
    refresh.limbs_in = last.limbs_out;
    refresh.limbs = choice.refreshes[stage.rank].limbs;
    refresh.scale = std::exp2(choice.refreshes[stage.rank].scale_log2);
    refresh.largest = rank.largest;
    refresh.rms = rank.rms;
    refresh.real = rank.real;
    // Garbage may be beyond it without harm, but a limit would count it.
    if (rank.clean) refresh.limit = rank.largest / std::sqrt(static_cast<double>(chain.slots()));
    for (const plan::Register r : stage.value) {
      const plan::Register out = program.register_count++;
      names[r] = out;
      for (plan::Instruction& instruction :
           make_refresh(chain, transforms, refresh, r, out, layer, program.register_count))
        instructions.push_back(std::move(instruction));
    }
  }
  program.instructions = std::move(instructions);
}

}  // namespace brainlock::compiler
