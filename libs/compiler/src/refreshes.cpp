#include "refreshes.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <optional>

#include "brainlock/plan/slot_coefficients.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;
using Slots = std::vector<Complex>;

// With fewer samples the mean is too much of each of them.
constexpr std::size_t kLeastForCentres = 4, kMostSamples = 8;
// Values that hardly vary over the samples have room for this share of what their coefficients would be if all were
// alike.
constexpr double kLeastVariation = 0.25;

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

/// Registers that sums are made of, by the register of the sum.
std::map<plan::Register, std::vector<plan::Register>> sums_of(const plan::Program& program) {
  std::map<plan::Register, std::vector<plan::Register>> out;
  for (const plan::Instruction& instruction : program.instructions)
    if (const auto* add = std::get_if<plan::Add>(&instruction.op)) out[add->out] = add->terms;
  return out;
}

std::size_t count_reads(const plan::Program& program, plan::Register r) {
  std::size_t count = 0;
  for (const plan::Instruction& instruction : program.instructions) {
    if (const auto* add = std::get_if<plan::Add>(&instruction.op))
      count += static_cast<std::size_t>(std::count(add->terms.begin(), add->terms.end(), r));
    if (const auto* split = std::get_if<plan::Split>(&instruction.op)) count += split->in == r ? 1 : 0;
    if (const auto* square = std::get_if<plan::Square>(&instruction.op)) count += square->in == r ? 1 : 0;
  }
  return count;
}

/// An output of a Linear.
struct OutputPlace {
  std::size_t instruction = 0, output = 0;
};

std::optional<OutputPlace> output_that_writes(const plan::Program& program, plan::Register r) {
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const auto* linear = std::get_if<plan::Linear>(&program.instructions[i].op);
    for (std::size_t o = 0; linear != nullptr && o < linear->outputs.size(); ++o)
      if (linear->outputs[o].out == r) return OutputPlace{i, o};
  }
  return std::nullopt;
}

/// The output of a Linear whose bias moves register r and nothing else, if there is one.
std::optional<OutputPlace> mover_of(const plan::Program& program, plan::Register r) {
  if (const auto place = output_that_writes(program, r)) return place;
  const auto sums = sums_of(program);
  const auto sum = sums.find(r);
  if (sum == sums.end()) return std::nullopt;
  for (const plan::Register term : sum->second)
    if (count_reads(program, term) == 1)
      if (const auto place = output_that_writes(program, term)) return place;
  return std::nullopt;
}

/// bias - centre, over all slots.
plan::SlotVector less(const plan::SlotVector& bias, const plan::SlotVector& centre) {
  plan::SlotVector out = centre;
  const std::vector<Complex> constants = bias.values.empty() ? std::vector<Complex>{0.0} : bias.expanded();
  for (std::size_t t = 0; t < out.values.size(); ++t) {
    const Complex value = constants[t % constants.size()] - Complex(centre.values[t]);
    out.values[t] = {static_cast<float>(value.real()), static_cast<float>(value.imag())};
  }
  return out;
}

plan::SlotVector mean_of(const std::vector<Slots>& runs) {
  plan::SlotVector out{static_cast<std::uint32_t>(runs.front().size()), {}, {}, {}};
  for (std::size_t t = 0; t < runs.front().size(); ++t) {
    Complex sum = 0;
    for (const Slots& slots : runs) sum += slots[t];
    sum /= static_cast<double>(runs.size());
    out.values.emplace_back(static_cast<float>(sum.real()), static_cast<float>(sum.imag()));
  }
  return out;
}

void replace_reads(plan::Instruction& instruction, const std::map<plan::Register, plan::Register>& by) {
  const auto replace = [&](plan::Register& r) {
    if (const auto found = by.find(r); found != by.end()) r = found->second;
  };
  if (auto* split = std::get_if<plan::Split>(&instruction.op)) replace(split->in);
  if (auto* square = std::get_if<plan::Square>(&instruction.op)) replace(square->in);
}

}  // namespace

RefreshRanges measure_refresh_ranges(const StagePlan& plan, const Lowered& lowered,
                                     std::span<const std::vector<float>> samples, unsigned threads) {
  RefreshRanges out;
  out.ranks.resize(plan.ranks());
  out.centres.resize(lowered.program.register_count);
  std::map<plan::Register, std::vector<Slots>> runs;
  std::map<plan::Register, std::size_t> rank_of;
  for (std::size_t rank = 0; rank + 1 < plan.ranks(); ++rank) {
    if (!is_cut(plan, static_cast<int>(rank))) continue;
    for (const LoweredStage& stage : lowered.stages)
      if (stage.rank == rank)
        for (const plan::Register r : stage.value) rank_of[r] = rank;
  }
  for (const auto& [r, rank] : rank_of) ++out.ranks[rank].ciphertexts;

  plan::SlotTrace trace;
  trace.packed = [&](plan::Register r, std::span<const Complex> slots) {
    if (rank_of.contains(r)) runs[r].emplace_back(slots.begin(), slots.end());
  };
  const plan::SlotInterpreter interpreter(lowered.program);
  const std::size_t count = std::min(samples.size(), kMostSamples);
  for (std::size_t s = 0; s < count; ++s) (void)interpreter.run(samples[s], &trace, nullptr, threads);

  std::vector<double> squares(plan.ranks()), numbers(plan.ranks());
  for (auto& [r, all] : runs) {
    if (count >= kLeastForCentres && mover_of(lowered.program, r)) out.centres[r] = mean_of(all);
    RefreshRanges::Rank& rank = out.ranks[rank_of[r]];
    for (Slots& slots : all) {
      double energy = 0;
      for (const Complex& z : slots) energy += std::norm(z);
      const auto n = static_cast<double>(slots.size());
      rank.largest_coefficient = std::max(rank.largest_coefficient, kLeastVariation * std::sqrt(energy / n / (2 * n)));
      if (!out.centres[r].values.empty())
        for (std::size_t t = 0; t < slots.size(); ++t) slots[t] -= Complex(out.centres[r].values[t]);
      for (const Complex& c : plan::slot_coefficients(slots)) {
        rank.largest_coefficient = std::max({rank.largest_coefficient, std::fabs(c.real()), std::fabs(c.imag())});
        squares[rank_of[r]] += std::norm(c);
        numbers[rank_of[r]] += 2;
      }
    }
    all.clear();
  }
  for (std::size_t rank = 0; rank < out.ranks.size(); ++rank) {
    if (numbers[rank] > 0) out.ranks[rank].coefficient_rms = std::sqrt(squares[rank] / numbers[rank]);
    out.ranks[rank].read_share = read_share(plan, static_cast<int>(rank));
  }
  return out;
}

void write_refreshes(plan::Program& program, const std::vector<LoweredStage>& stages, const LevelChoice& choice,
                     const RefreshRanges& ranges, TransformDepth depth) {
  if (!choice.refresh_chain) return;
  const RefreshChain& chain = *choice.refresh_chain;
  const RefreshTransforms transforms = make_refresh_transforms(chain.parameters.ring_degree, depth);
  std::map<std::size_t, std::vector<plan::Register>> refreshed_behind;  // by instruction
  for (const LoweredStage& stage : stages)
    if (choice.refreshes[stage.rank].limbs != 0 && !stage.value.empty()) refreshed_behind[stage.last] = stage.value;

  for (const auto& [i, registers] : refreshed_behind)
    for (const plan::Register r : registers) {
      if (ranges.centres[r].values.empty() || depth == TransformDepth::kStructure) continue;
      const auto place = mover_of(program, r);  // there is one, or there were no centre
      plan::SlotVector& bias =
          std::get<plan::Linear>(program.instructions[place->instruction].op).outputs[place->output].bias;
      bias = less(bias, ranges.centres[r]);
    }

  std::vector<plan::Instruction> instructions;
  std::map<plan::Register, plan::Register> names;  // of a value and of what it is refreshed to
  std::map<plan::Register, std::size_t> rank_of;
  for (const LoweredStage& stage : stages)
    for (const plan::Register r : stage.value) rank_of[r] = stage.rank;
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    replace_reads(program.instructions[i], names);
    instructions.push_back(std::move(program.instructions[i]));
    const auto behind = refreshed_behind.find(i);
    if (behind == refreshed_behind.end()) continue;
    const std::string layer = instructions.back().layer + " (refresh)";
    const double scale_in = instructions.back().scale_out;
    for (const plan::Register r : behind->second) {
      const RefreshedRank& to = choice.refreshes[rank_of[r]];
      Refresh refresh;
      refresh.scale_in = scale_in;
      refresh.limbs = to.limbs;
      refresh.scale = std::exp2(to.scale_log2);
      refresh.limit = kCoefficientMargin * ranges.ranks[rank_of[r]].largest_coefficient;
      if (depth == TransformDepth::kWeights) refresh.centre = ranges.centres[r];
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
