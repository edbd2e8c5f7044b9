// Limbs and scales for every instruction of a lowered program.
#include <algorithm>
#include <cmath>

#include "giant_fans.hpp"
#include "level_search.hpp"
#include "levels.hpp"

namespace brainlock::compiler {
namespace {

/// Scales of the ranks for the actual primes.
struct Chain {
  std::vector<double> factor;  // scale of the weights, times that of the masks
  std::vector<double> mask_scale, scale_out;
  std::vector<std::uint32_t> limbs_out;
};

Chain follow(const Lowered& lowered, const LevelChoice& choice) {
  Chain chain;
  double scale = std::exp2(choice.input_scale_log2);  // of what the rank reads
  for (std::size_t r = 0; r < choice.drop.size(); ++r) {
    const std::uint32_t limbs = choice.limbs_in[r];
    chain.limbs_out.push_back(limbs - choice.drop[r]);
    double dropped = 1;
    for (std::uint32_t i = chain.limbs_out.back(); i < limbs; ++i) dropped *= lowered.program.parameters.q[i];
    // Primes are a little below 2^q_bits and every square doubles the drift of the scale: the weights take it back.
    const double mask_log2 = choice.mask_scale_log2.empty() ? 0 : choice.mask_scale_log2[r];
    chain.mask_scale.push_back(std::exp2(mask_log2));
    chain.factor.push_back(choice.scale_log2.empty() ? std::exp2(choice.weight_scale_log2[r] + mask_log2)
                                                     : std::exp2(choice.scale_log2[r]) * dropped / scale);
    scale = scale * chain.factor.back() / dropped;
    chain.scale_out.push_back(scale);
    if (!choice.refreshes.empty() && choice.refreshes[r].limbs != 0) scale = std::exp2(choice.refreshes[r].scale_log2);
    if (r + 1 < choice.drop.size() && !lowered.plain_ranks[r + 1]) scale *= scale;
  }
  return chain;
}

/// Limbs of a register, scale of its message.
struct Held {
  std::uint32_t limbs = 0;
  double scale = 0;
};

/// Writes limbs and scales into the instructions, in order: what a register holds follows from the one that made it.
class Assigner {
 public:
  Assigner(Lowered& lowered, const LevelChoice& choice, const Chain& chain)
      : program_(lowered.program), choice_(choice), chain_(chain), held_(program_.register_count) {
    for (std::uint32_t i = 0; i < program_.input.ciphertexts; ++i)
      held_[i] = {program_.input.limbs, program_.input.scale};
  }

  void step(plan::Instruction& instruction, const LoweredStage& stage) {
    std::visit([&](auto& op) { assign(instruction, op, stage); }, instruction.op);
  }

  /// From here on the value of a stage is what its refresh will make of it.
  void refresh(const LoweredStage& stage) {
    if (choice_.refreshes.empty() || choice_.refreshes[stage.rank].limbs == 0) return;
    for (const plan::Register r : stage.value)
      held_[r] = {choice_.refreshes[stage.rank].limbs, std::exp2(choice_.refreshes[stage.rank].scale_log2)};
  }

 private:
  Held held(plan::Register r) const { return held_[r]; }
  void write(plan::Instruction& i, Held in, Held out, const std::vector<plan::Register>& registers) {
    i.limbs_in = in.limbs;
    i.limbs_out = out.limbs;
    i.scale_in = in.scale;
    i.scale_out = out.scale;
    for (plan::Register r : registers) held_[r] = out;
  }
  double primes(std::uint32_t first, std::uint32_t last) const {
    double product = 1;
    for (std::uint32_t i = first; i < last; ++i) product *= program_.parameters.q[i];
    return product;
  }

  void assign(plan::Instruction& i, plan::Split& op, const LoweredStage&) {
    write(i, held(op.in), held(op.in), op.out);
  }
  void assign(plan::Instruction& i, plan::Square& op, const LoweredStage&) {
    const Held in = held(op.in);
    write(i, in, {in.limbs, in.scale * in.scale}, op.out);
  }
  void assign(plan::Instruction& i, plan::Combine& op, const LoweredStage&) {
    write(i, held(op.terms[0].in), held(op.terms[0].in), {op.out});
  }
  void assign(plan::Instruction& i, plan::Add& op, const LoweredStage&) {
    write(i, held(op.terms[0]), held(op.terms[0]), {op.out});
  }
  // Refreshes are written out later.
  void assign(plan::Instruction&, plan::Raise&, const LoweredStage&) {}
  // As few limbs as leave the weights of the rescale behind it large enough, and not so many that no encoder takes
  // them.
  void assign(plan::Instruction& i, plan::Drop& op, const LoweredStage& stage) {
    const Held in = held(op.in);
    const std::uint32_t end = chain_.limbs_out[stage.rank];
    std::uint32_t limbs = std::min(end, in.limbs);
    const auto weight_log2 = [&](std::uint32_t l) {
      return std::log2(chain_.scale_out[stage.rank] * primes(end, l) / in.scale) - stage.mask_log2;
    };
    while (limbs < in.limbs && weight_log2(limbs) < stage.min_weight_log2 && weight_log2(limbs + 1) <= kHighestScale)
      ++limbs;
    write(i, in, {limbs, in.scale}, {op.out});
  }
  void assign(plan::Instruction& i, plan::Linear& op, const LoweredStage& stage) {
    const Held in = held(op.inputs[0]);
    const Held out{chain_.limbs_out[stage.rank], chain_.scale_out[stage.rank]};
    op.weight_scale = stage.carried ? out.scale * primes(out.limbs, in.limbs) / in.scale : chain_.factor[stage.rank];
    if (!op.masks.empty()) {
      op.mask_scale = stage.carried ? std::exp2(stage.mask_log2) : chain_.mask_scale[stage.rank];
      op.weight_scale /= op.mask_scale;
    }
    std::vector<plan::Register> registers;
    for (const auto& output : op.outputs) registers.push_back(output.out);
    write(i, in, out, registers);
  }

  plan::Program& program_;
  const LevelChoice& choice_;
  const Chain& chain_;
  std::vector<Held> held_;
};

}  // namespace

void assign_levels(Lowered& lowered, const LevelChoice& choice) {
  plan::Program& program = lowered.program;
  program.parameters = choice.parameters;
  program.input.scale = std::exp2(choice.input_scale_log2);
  program.input.limbs = choice.limbs_in.front();
  const Chain chain = follow(lowered, choice);
  Assigner assigner(lowered, choice, chain);
  for (std::size_t l = 0; l < lowered.stages.size(); ++l) {
    const std::size_t end = l + 1 < lowered.stages.size() ? lowered.stages[l + 1].first : program.instructions.size();
    for (std::size_t i = lowered.stages[l].first; i < end; ++i) {
      assigner.step(program.instructions[i], lowered.stages[l]);
      if (i == lowered.stages[l].last) assigner.refresh(lowered.stages[l]);
    }
  }
  program.output.scale = chain.scale_out.back();
  program.output.limbs = chain.limbs_out.back();
  choose_giant_fans(program);
}

}  // namespace brainlock::compiler
