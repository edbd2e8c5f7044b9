#include "layer_runs.hpp"

#include <algorithm>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "register_uses.hpp"

namespace brainlock::compiler {
namespace {

/// All but the weights and masks.
plan::Linear without_weights(const plan::Linear& linear) {
  return {linear.name, linear.inputs, linear.columns, linear.giant_step, linear.giant_fan, linear.outputs, linear.rotate_sums, {}, {},
          linear.period, linear.weight_scale, linear.mask_scale, linear.limit};
}

}  // namespace

LayerRuns::LayerRuns(plan::Program& program, std::span<const std::vector<float>> samples, unsigned threads,
                     plan::SlotTrace* trace)
    : program_(program), threads_(threads), trace_(trace), states_(samples.size()) {
  find_last_reads();
  for (std::size_t s = 0; s < samples.size(); ++s) {
    auto packed = plan::pack(program.input, program.parameters.ring_degree / 2, samples[s]);
    for (std::size_t i = 0; i < packed.size(); ++i)
      states_[s].values.packed[static_cast<plan::Register>(i)] = std::move(packed[i]);
  }
  if (trace_ == nullptr) return;
  trace_->largest.assign(program.register_count, 0);
  trace_->mean_square.assign(program.register_count, 0);
}

void LayerRuns::find_last_reads() {
  last_read_.assign(program_.register_count, 0);
  for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
    const auto touch = [&](plan::Register r) { last_read_[r] = i; };
    for_reads(std::as_const(program_.instructions[i]), touch, touch);
  }
}

void LayerRuns::forget(State& state) const {
  const auto is_read = [&](const auto& value) { return last_read_[value.first] >= next_; };
  std::erase_if(state.values.packed, [&](const auto& value) { return !is_read(value); });
  std::erase_if(state.values.lifted, [&](const auto& value) { return !is_read(value); });
  state.made.clear();
}

bool LayerRuns::advance() {
  for (State& state : states_) forget(state);
  std::vector<plan::Instruction> instructions;
  plan::Linear* linear = nullptr;
  for (; linear == nullptr && next_ < program_.instructions.size(); ++next_) {
    plan::Instruction& instruction = program_.instructions[next_];
    linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) {
      instructions.push_back(instruction);
    } else {
      instructions.push_back({without_weights(*linear), {}, 0, 0, 0, 0});
      auto& copy = std::get<plan::Linear>(instructions.back().op);
      copy.vectors.swap(linear->vectors);
      copy.masks.swap(linear->masks);
      at_ = next_;
    }
  }
  if (instructions.empty()) return false;
  Fragment fragment(program_.parameters.ring_degree, program_.register_count, std::move(instructions));
  const auto left = std::max(1U, threads_ / static_cast<unsigned>(states_.size()));  // for each where samples are few
  parallel_for(states_.size(), threads_, [&](std::size_t s) { run(fragment, s, left); });
  if (linear != nullptr) fragment.swap_weights(*linear);
  return linear != nullptr;
}

void LayerRuns::run(const Fragment& fragment, std::size_t sample, unsigned threads) {
  State& state = states_[sample];
  RegisterValues written;             // apart from what is read while the fragment runs
  const std::size_t end = next_ - 1;  // the Linear
  Fragment::Watch watch;
  watch.packed = [&](plan::Register r, std::span<const std::complex<double>> slots) {
    if (sample == 0 && trace_ != nullptr && trace_->packed) trace_->packed(r, slots);
    if (last_read_[r] >= end) written.packed[r].assign(slots.begin(), slots.end());
  };
  watch.lifted = [&](plan::Register r, std::span<const double> slots) {
    if (sample == 0 && trace_ != nullptr && trace_->lifted) trace_->lifted(r, slots);
    if (last_read_[r] >= end) written.lifted[r].assign(slots.begin(), slots.end());
  };
  watch.made = [&](plan::Register r, std::span<const std::complex<double>> slots) {
    state.made[r].assign(slots.begin(), slots.end());
  };
  if (sample == 0) watch.statistics = trace_;
  fragment.run(state.values, watch, threads);
  state.values.packed.merge(written.packed);
  state.values.lifted.merge(written.lifted);
}

}  // namespace brainlock::compiler
