#include "brainlock/package/value_range.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace brainlock::package {
bool ValueRange::inside() const {
  return !wraps() && exact() && std::all_of(layers.begin(), layers.end(), [](const LayerRange& layer) { return layer.inside(); });
}

const LayerRange* ValueRange::worst() const {
  const LayerRange* worst = nullptr;
  double ratio = -1;
  for (const LayerRange& layer : layers) {
    if (layer.limit <= 0) continue;
    const double own = std::isfinite(layer.largest) ? layer.largest / layer.limit : HUGE_VAL;
    if (own > ratio) worst = &layer, ratio = own;
  }
  return worst;
}

Status ValueRange::status() const {
  if (inside()) return {};
  char text[160];
  const LayerRange* layer = worst();
  if (layer != nullptr && !layer->inside()) {
    std::snprintf(text, sizeof text, ": a value of %.4g in the clear run, the package's limit is %.4g", layer->largest, layer->limit);
    return {ErrorCode::kInvalidArgument, "the input leaves the range that the parameters were chosen for: layer " + layer->layer + text};
  }
  if (!wraps()) {
    std::snprintf(text, sizeof text, "the input makes much of the scheme's errors: the answer would be off by about %.3g, the package promises %.3g", error, error_bound);
    return {ErrorCode::kInvalidArgument, text};
  }
  std::snprintf(text, sizeof text, "the input leaves the range that the parameters were chosen for: the answer would wrap around (%.3g times the room there is)", wrap);
  return {ErrorCode::kInvalidArgument, text};
}

ValueRange value_range(const plan::Program& program, const plan::SlotTrace& trace, std::span<const double> outputs) {
  ValueRange out;
  double modulus = 1;
  for (std::uint32_t l = 0; l < program.output.limbs; ++l) modulus *= program.parameters.q[l];
  for (const plan::Register r : program.output_registers) {
    // A coefficient is a mean over the slots times numbers of absolute value 1: at most the mean |slot|, at most its rms.
    const double share = std::sqrt(trace.mean_square[r]) * program.output.scale / (modulus / 2);
    out.wrap = share > out.wrap || std::isnan(share) ? share : out.wrap;
  }
  // What the answer is made of: the output registers, and the terms where they are sums.
  std::vector<bool> answers(program.register_count, false);
  for (const plan::Register r : program.output_registers) answers[r] = true;
  for (std::size_t i = program.instructions.size(); i-- > 0;)
    if (const auto* add = std::get_if<plan::Add>(&program.instructions[i].op); add != nullptr && answers[add->out])
      for (const plan::Register r : add->terms) answers[r] = true;
  for (const plan::Instruction& instruction : program.instructions) {
    if (const auto* raise = std::get_if<plan::Raise>(&instruction.op)) out.layers.push_back({instruction.layer, trace.largest_coefficient[raise->in], raise->limit});
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    LayerRange layer{instruction.layer, 0, linear->limit};
    const bool last = std::any_of(linear->outputs.begin(), linear->outputs.end(), [&](const auto& output) { return answers[output.out]; });
    const auto see = [&](double value) { layer.largest = value > layer.largest || std::isnan(value) ? value : layer.largest; };
    if (last) {
      for (const double value : outputs) see(std::fabs(value));
    } else {
      for (const auto& output : linear->outputs) see(trace.largest[output.out]);
    }
    out.layers.push_back(std::move(layer));
  }
  return out;
}

RangeChecker::RangeChecker(std::shared_ptr<const Package> package, Foretelling foretelling)
    : package_(std::move(package)), foretelling_(std::move(foretelling)), interpreter_(package_->program()) {}

ValueRange RangeChecker::check(std::span<const float> input) const {
  plan::SlotTrace trace;
  const auto outputs = interpreter_.run(input, &trace);
  ValueRange range = value_range(package_->program(), trace, outputs);
  if (foretelling_.simulator != nullptr) {
    // Not the outputs above: the package's biases make up for the mean error of rounded weights, which that run does not have.
    range.clear = foretelling_.clear ? foretelling_.clear(input) : foretelling_.simulator->run_without_errors(input);
    range.foretold = foretell(*foretelling_.simulator, package_->program().error_estimate, input, foretelling_.draws);
    for (const auto& run : range.foretold->runs) {
      for (std::size_t i = 0; i < run.size(); ++i) {
        const double error = i < range.clear.size() ? std::fabs(run[i] - range.clear[i]) : HUGE_VAL;
        range.error = error > range.error || std::isnan(error) ? error : range.error;
      }
    }
    range.error_bound = package_->program().error_bound;
  }
  return range;
}

}  // namespace brainlock::package
