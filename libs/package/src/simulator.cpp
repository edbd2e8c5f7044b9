#include "brainlock/package/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "brainlock/base/parallel.hpp"
#include "weight_rounding.hpp"

namespace brainlock::package {
namespace {

constexpr double kSigma = 3.2;
// Errors of deviations below this are not drawn: far below what rounding to floats does to the weights.
constexpr double kNegligible = 1e-9;
// A lifted register's slots are complex once a key switch has touched them; the interpreter keeps their real part only.
// Complex weights turn real and imaginary errors into each other, so the real one is drawn for both.
constexpr double kBothParts = std::numbers::sqrt2;

double square(double x) { return x * x; }

double mean_norm(const plan::SlotVector& vector) {
  double sum = 0;
  for (const auto& value : vector.values) sum += static_cast<double>(std::norm(value));
  return sum / vector.period;
}

class Gaussian {
 public:
  explicit Gaussian(std::uint64_t seed) : bits_(seed) {}
  double operator()() { return normal_(bits_); }
  void add(std::span<std::complex<double>> slots, double deviation) {
    if (deviation < kNegligible) return;
    for (auto& slot : slots) slot += std::complex<double>(deviation * normal_(bits_), deviation * normal_(bits_));
  }
  void add(std::span<double> slots, double deviation) {
    if (deviation < kNegligible) return;
    for (auto& slot : slots) slot += deviation * normal_(bits_);
  }

 private:
  std::mt19937_64 bits_;
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

double Simulator::linear_deviation(const plan::Instruction& instruction, const plan::Linear& linear, const plan::Linear::Output& output,
                                   const std::vector<bool>& exact) const {
  const double key_switch = square(noise_.key_switch(instruction.limbs_in)), decompose = square(noise_.decompose);
  double variance = 0;   // in units of the message
  for (std::size_t k = 0; k < output.columns.size(); ++k) {
    const auto& column = linear.columns[output.columns[k]];
    if (column.rotation == 0) continue;
    double norm = 0;
    for (std::uint32_t g = 0; g < output.giants; ++g) {
      const std::int32_t w = output.weights[k * output.giants + g];
      if (w >= 0) norm += mean_norm(linear.vectors[static_cast<std::size_t>(w)]);
    }
    const bool divides_exactly = exact[linear.inputs[column.input]];
    variance += norm * (key_switch + (divides_exactly ? 0 : decompose)) / square(instruction.scale_in);
  }
  const double full = (key_switch + decompose) / square(instruction.scale_in * linear.weight_scale);
  if (output.giants > 1) variance += (output.giants - 1) * full;
  for (std::size_t i = 0; i < linear.rotate_sums.size(); ++i) variance = 2 * variance + full;
  return std::sqrt(variance + square(noise_.rescale / instruction.scale_out));
}

Result<std::shared_ptr<const Simulator>> Simulator::make(std::shared_ptr<const Package> package, unsigned threads) {
  std::shared_ptr<Simulator> out(new Simulator(std::move(package)));
  const plan::Program& program = out->package_->program();
  const ckks::Encoder encoder(out->package_->parameters());
  out->deviation_.assign(program.register_count, 0);
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
    for (auto& output : linear->outputs) out->deviation_[output.out] = out->linear_deviation(instruction, *linear, output, exact);
    std::vector<Status> statuses(linear->vectors.size());
    parallel_for(linear->vectors.size(), threads, [&](std::size_t v) {
      auto one = rounded(linear->vectors[v], encoder, linear->weight_scale);
      if (one.ok()) linear->vectors[v] = std::move(*one);
      else statuses[v] = one.error();
    });
    for (const Status& status : statuses) BRAINLOCK_TRY(status);
    for (auto& output : linear->outputs) {
      if (output.bias.values.empty()) continue;
      BRAINLOCK_ASSIGN(output.bias, rounded(output.bias, encoder, instruction.scale_out));
    }
  }
  out->interpreter_ = std::make_unique<const plan::SlotInterpreter>(out->rounded_);
  return std::shared_ptr<const Simulator>(out);
}

std::vector<double> Simulator::run(std::span<const float> input, std::uint64_t seed, plan::SlotTrace* trace) const {
  Gaussian random(seed);
  plan::Noise noise;
  noise.input = [&](std::span<std::complex<double>> slots) { random.add(slots, noise_.fresh / rounded_.input.scale); };
  noise.conjugate = [&](const plan::Instruction& instruction, std::span<std::complex<double>> slots) {
    // Split keeps it lifted; Square divides by P before it squares.
    const double rounding = std::holds_alternative<plan::Square>(instruction.op) ? noise_.rescale : 0;
    random.add(slots, kBothParts * std::hypot(noise_.key_switch(instruction.limbs_in), rounding) / instruction.scale_in);
  };
  noise.lifted = [&](const plan::Instruction& instruction, std::span<double> slots) {
    double switches = 0;
    if (std::holds_alternative<plan::Square>(instruction.op)) switches = 1;
    if (const auto* combine = std::get_if<plan::Combine>(&instruction.op))
      switches = static_cast<double>(std::count_if(combine->terms.begin(), combine->terms.end(), [](const auto& term) { return term.rotation != 0; }));
    const double each = std::hypot(noise_.key_switch(instruction.limbs_in), std::holds_alternative<plan::Combine>(instruction.op) ? noise_.decompose : 0);
    random.add(slots, kBothParts * std::sqrt(switches) * each / instruction.scale_out);
  };
  noise.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<std::complex<double>> slots) {
    random.add(slots, deviation_[output.out]);
  };
  return interpreter_->run(input, trace, &noise);
}

}  // namespace brainlock::package
