#include "brainlock/package/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "brainlock/base/parallel.hpp"
#include "weight_rounding.hpp"

namespace brainlock::package {
namespace {

constexpr double kSigma = 3.2;
// Errors of deviations below this are not drawn: far below what rounding to floats does to the weights.
constexpr double kNegligible = 1e-9;
constexpr double kNegligibleOfRefreshes = 1e-14;   // the sine behind a Raise makes 10^8 times as much of an error
// Key switches whose variance is below this share of the rescale's behind them are drawn with it, as if all slots were alike.
constexpr double kLittle = 0.01;

double square(double x) { return x * x; }

/// Turned so that slot t takes slot t + rotation.
template <typename T>
void add_rotated(std::span<T> out, std::span<const T> in, std::int64_t rotation) {
  const auto n = static_cast<std::int64_t>(in.size());
  const auto shift = static_cast<std::size_t>(((rotation % n) + n) % n);
  for (std::size_t t = 0; t < in.size(); ++t) out[t] += in[(t + shift) & (in.size() - 1)];
}

class Gaussian {
 public:
  Gaussian(std::uint64_t seed, double negligible) : bits_(seed), negligible_(negligible) {}
  double operator()() { return normal_(bits_); }
  void add(std::span<std::complex<double>> slots, double deviation) {
    if (deviation < negligible_) return;
    for (auto& slot : slots) slot += std::complex<double>(deviation * normal_(bits_), deviation * normal_(bits_));
  }
  /// Deviations by slot modulo their number, a power of two.
  template <typename T>
  void add(std::span<std::complex<double>> slots, std::span<const T> deviations, double factor) {
    for (std::size_t t = 0; t < slots.size(); ++t) {
      const double deviation = factor * static_cast<double>(deviations[t & (deviations.size() - 1)]);
      slots[t] += std::complex<double>(deviation * normal_(bits_), deviation * normal_(bits_));
    }
  }
  void add(std::span<double> slots, double deviation) {
    if (deviation < negligible_) return;
    for (auto& slot : slots) slot += deviation * normal_(bits_);
  }
  /// sqrt(x), x distributed as exp(-x).
  double rayleigh() { return std::sqrt((square(normal_(bits_)) + square(normal_(bits_))) / 2); }

 private:
  std::mt19937_64 bits_;
  double negligible_;
  std::normal_distribution<double> normal_;
};

}  // namespace

SchemeNoise::SchemeNoise(const plan::ParameterChoice& parameters) {
  const double n = parameters.ring_degree;
  fresh = std::sqrt(n / 2 * (square(kSigma) + 1.0 / 12));
  rescale = std::sqrt(n / 2 * (1 + 2 * n / 3) / 12);
  decompose = std::sqrt(n / 2 * (2 * n / 3) / 12);
  double log_p = 0;
  for (const std::uint32_t p : parameters.p) log_p += std::log2(p);
  key_switch_.push_back(0);
  for (std::size_t limbs = 1; limbs <= parameters.q.size(); ++limbs) {
    double variance = 0;
    for (std::size_t first = 0; first < limbs; first += parameters.digit_limbs) {
      double log_digit = -log_p;
      for (std::size_t l = first; l < std::min<std::size_t>(limbs, first + parameters.digit_limbs); ++l) log_digit += std::log2(parameters.q[l]);
      variance += n / 12 * square(kSigma) * std::exp2(2 * log_digit);
    }
    key_switch_.push_back(std::sqrt(n / 2 * variance));
  }
}

double SchemeNoise::key_switch(std::uint32_t limbs) const { return key_switch_[std::min<std::size_t>(limbs, key_switch_.size() - 1)]; }

Simulator::Switches Simulator::switches(const plan::Instruction& instruction, const plan::Linear& linear, const plan::Linear::Output& output,
                                        const std::vector<bool>& exact) const {
  const double key_switch = square(noise_.key_switch(instruction.limbs_in)), decompose = square(noise_.decompose);
  // Rotated columns have the errors of their key switches before weights multiply them: where weights are zero there are none.
  std::vector<double> variance(linear.period), giant(linear.period);
  for (std::uint32_t g = 0; g < output.giants; ++g) {
    std::fill(giant.begin(), giant.end(), 0.0);
    for (std::size_t k = 0; k < output.columns.size(); ++k) {
      const auto& column = linear.columns[output.columns[k]];
      const std::int32_t w = output.weights[k * output.giants + g];
      if (column.rotation == 0 || w < 0) continue;
      const double own = (key_switch + (exact[linear.inputs[column.input]] ? 0 : decompose)) / square(instruction.scale_in);
      const auto& values = linear.vectors[static_cast<std::size_t>(w)].values;   // rounded ones are dense
      for (std::size_t t = 0; t < values.size(); ++t) giant[t] += own * static_cast<double>(std::norm(values[t]));
    }
    add_rotated<double>(variance, giant, std::int64_t{g} * linear.giant_step);
  }
  const double full = (key_switch + decompose) / square(instruction.scale_in * linear.weight_scale);
  double mean = 0;
  for (double& v : variance) {
    if (output.giants > 1) v += (output.giants - 1) * full;
    mean += v / linear.period;
  }
  for (std::size_t i = 0; i < linear.rotate_sums.size(); ++i) mean = 2 * mean + full;
  if (mean < kLittle * square(noise_.rescale / instruction.scale_out)) return {{}, 0, std::sqrt(mean), &linear, nullptr};
  Switches out{{}, std::sqrt(full), 0, &linear, nullptr};
  for (const double v : variance) out.columns.push_back(static_cast<float>(std::sqrt(v)));
  return out;
}

Result<std::shared_ptr<const Simulator>> Simulator::make(std::shared_ptr<const Package> package, unsigned threads) {
  std::shared_ptr<Simulator> out(new Simulator(std::move(package)));
  const plan::Program& program = out->package_->program();
  const ckks::Encoder encoder(out->package_->parameters());
  out->switches_.resize(program.register_count);
  // Of these registers c1 is a multiple of P: nothing is rounded when they are decomposed.
  std::vector<bool> exact(program.register_count, false);
  out->rounded_ = program;
  for (plan::Instruction& instruction : out->rounded_.instructions) {
    if (const auto* split = std::get_if<plan::Split>(&instruction.op)) {
      if (split->out.size() == 1) exact[split->out[0]] = true;
      continue;
    }
    if (const auto* drop = std::get_if<plan::Drop>(&instruction.op)) exact[drop->out] = exact[drop->in];
    auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    std::vector<Status> statuses(linear->vectors.size());
    parallel_for(linear->vectors.size(), threads, [&](std::size_t v) {
      auto one = rounded(linear->vectors[v], encoder, linear->weight_scale);
      if (one.ok()) linear->vectors[v] = std::move(*one);
      else statuses[v] = one.error();
    });
    for (const Status& status : statuses) BRAINLOCK_TRY(status);
    parallel_for(linear->outputs.size(), threads, [&](std::size_t o) {
      const auto& output = linear->outputs[o];
      out->switches_[output.out] = out->switches(instruction, *linear, output, exact);
      out->switches_[output.out].mask = linear->mask(o);
    });
    for (plan::SlotVector& mask : linear->masks) {
      BRAINLOCK_ASSIGN(mask, rounded(mask, encoder, linear->mask_scale));
    }
    for (auto& output : linear->outputs) {
      if (output.bias.values.empty()) continue;
      BRAINLOCK_ASSIGN(output.bias, rounded(output.bias, encoder, instruction.scale_out));
    }
  }
  out->interpreter_ = std::make_unique<const plan::SlotInterpreter>(out->rounded_);
  return std::shared_ptr<const Simulator>(out);
}

std::vector<double> Simulator::run(std::span<const float> input, std::uint64_t seed, plan::SlotTrace* trace) const {
  using Slots = std::span<std::complex<double>>;
  const bool refreshes = std::any_of(rounded_.instructions.begin(), rounded_.instructions.end(),
                                     [](const plan::Instruction& i) { return std::holds_alternative<plan::Raise>(i.op); });
  Gaussian random(seed, refreshes ? kNegligibleOfRefreshes : kNegligible);
  // Of this run's key, by slot.
  std::vector<double> rescale(rounded_.parameters.ring_degree / 2);
  for (double& slot : rescale) slot = std::sqrt(square(noise_.rescale) - square(noise_.decompose) + square(noise_.decompose * random.rayleigh()));
  plan::Noise noise;
  noise.multiples_seed = seed;
  noise.input = [&](Slots slots) { random.add(slots, noise_.fresh / rounded_.input.scale); };
  noise.conjugate = [&](const plan::Instruction& instruction, Slots slots) {
    // Split keeps it lifted; Square divides by P before it squares.
    random.add(slots, noise_.key_switch(instruction.limbs_in) / instruction.scale_in);
    if (std::holds_alternative<plan::Square>(instruction.op)) random.add<double>(slots, rescale, 1 / instruction.scale_in);
  };
  noise.lifted = [&](const plan::Instruction& instruction, std::span<double> re, std::span<double> im) {
    double switches = 0;
    if (std::holds_alternative<plan::Square>(instruction.op)) switches = 1;
    if (const auto* combine = std::get_if<plan::Combine>(&instruction.op))
      switches = static_cast<double>(std::count_if(combine->terms.begin(), combine->terms.end(), [](const auto& term) { return term.rotation != 0; }));
    const double each = std::hypot(noise_.key_switch(instruction.limbs_in), std::holds_alternative<plan::Combine>(instruction.op) ? noise_.decompose : 0);
    random.add(re, std::sqrt(switches) * each / instruction.scale_out);
    random.add(im, std::sqrt(switches) * each / instruction.scale_out);
  };
  std::vector<std::complex<double>> sums, turned, clear;
  noise.after_linear = [&](const plan::Instruction& instruction, const plan::Linear::Output& output, Slots slots) {
    const Switches& switches = switches_[output.out];
    if (switches.mask != nullptr) clear.assign(slots.begin(), slots.end());
    if (!switches.columns.empty()) {
      // Sums of rotated slots have the errors of all of them: where they repeat, so do their errors.
      sums.assign(slots.size(), 0.0);
      random.add<float>(sums, switches.columns, 1);
      for (const std::int32_t rotation : switches.linear->rotate_sums) {
        turned = sums;
        add_rotated<std::complex<double>>(sums, turned, rotation);
        random.add(sums, switches.each_sum);
      }
      for (std::size_t t = 0; t < slots.size(); ++t) slots[t] += sums[t];
    }
    random.add(slots, switches.even);
    if (switches.mask != nullptr) {
      // These errors were there before the mask, which the slots without them have already met.
      const auto& factors = switches.mask->values;   // rounded ones are dense
      for (std::size_t t = 0; t < slots.size(); ++t)
        slots[t] = clear[t] + (slots[t] - clear[t]) * std::complex<double>(factors[t & (factors.size() - 1)]);
    }
    random.add<double>(slots, rescale, 1 / instruction.scale_out);
  };
  return interpreter_->run(input, trace, &noise);
}

std::vector<double> Simulator::run_without_errors(std::span<const float> input) const { return interpreter_->run(input); }

}  // namespace brainlock::package
