#include "bias_correction.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;
using Slots = std::vector<Complex>;

/// The program with its weights as encryption meets them.
Result<plan::Program> with_rounded_weights(const plan::Program& program) {
  const plan::ParameterChoice& choice = program.parameters;
  BRAINLOCK_ASSIGN(const auto parameters, ckks::Parameters::create({choice.ring_degree, choice.q, choice.p, choice.digit_limbs}));
  const ckks::Encoder encoder(parameters);
  plan::Program out = program;
  for (plan::Instruction& instruction : out.instructions) {
    auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    const auto scale = ckks::Scale::from_value(linear->weight_scale);
    for (plan::SlotVector& vector : linear->vectors) {
      BRAINLOCK_ASSIGN(const auto coefficients, encoder.to_coefficients(vector.expanded(), scale));
      vector.slots.clear();
      vector.values.clear();
      for (const Complex& v : encoder.to_slots(coefficients, scale))
        vector.values.emplace_back(static_cast<float>(v.real()), static_cast<float>(v.imag()));
    }
  }
  return out;
}

/// Entry of a bias vector that reaches `slot`, or none.
std::complex<float>* entry(plan::SlotVector& bias, std::uint32_t slot) {
  if (bias.values.empty()) return nullptr;
  if (bias.dense()) return &bias.values[slot % bias.period];
  const auto it = std::lower_bound(bias.slots.begin(), bias.slots.end(), slot);
  return it == bias.slots.end() || *it != slot ? nullptr : &bias.values[static_cast<std::size_t>(it - bias.slots.begin())];
}

/// Subtracts from the biases of one layer the mean of `difference` (per output register, summed over the samples) over
/// the places of each channel in each ciphertext; place by place where weights repeat nowhere (zeros around a map), for each
/// place then has rounding errors of its own.
void subtract_means(plan::Linear& linear, const LoweredStage& stage, std::size_t plane, const std::map<plan::Register, Slots>& difference,
                    double samples, std::uint32_t slots) {
  struct Mean {
    double sum = 0, count = 0;
  };
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::size_t>, Mean> means;   // ciphertext, part, channel
  const std::size_t group = linear.period < slots ? plane : 1;
  const auto key = [&](const plan::Place& place) { return std::tuple(place.ciphertext, place.part, place.index / group); };
  for (const plan::Place& place : stage.places) {
    const Complex d = difference.at(linear.outputs[place.ciphertext].out)[place.slot];
    Mean& mean = means[key(place)];
    mean.sum += place.part == 0 ? d.real() : d.imag();
    mean.count += samples;
  }
  std::set<std::pair<std::complex<float>*, std::uint32_t>> done;   // a periodic bias serves many places
  for (const plan::Place& place : stage.places) {
    std::complex<float>* const bias = entry(linear.outputs[place.ciphertext].bias, place.slot);
    if (bias == nullptr || !done.emplace(bias, place.part).second) continue;
    const Mean& mean = means.at(key(place));
    const auto shift = static_cast<float>(mean.sum / mean.count);
    if (place.part == 0) bias->real(bias->real() - shift);
    else bias->imag(bias->imag() - shift);
  }
}

}  // namespace

Status correct_biases(plan::Program& program, const std::vector<LoweredStage>& stages, const StagePlan& plan,
                      std::span<const std::vector<float>> samples) {
  BRAINLOCK_ASSIGN(const plan::Program rounded, with_rounded_weights(program));
  std::map<plan::Register, Slots> exact, difference;   // of every Linear's outputs
  plan::Noise record, compare;
  record.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<Complex> slots) {
    exact[output.out].assign(slots.begin(), slots.end());
  };
  compare.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<Complex> slots) {
    const Slots& want = exact.at(output.out);
    Slots& sum = difference[output.out];
    sum.resize(slots.size());
    for (std::size_t t = 0; t < slots.size(); ++t) sum[t] += slots[t] - want[t];
    std::copy(want.begin(), want.end(), slots.begin());   // the next layer reads what is exact
  };
  const plan::SlotInterpreter clear(program), off(rounded);
  for (const auto& sample : samples) {
    (void)clear.run(sample, nullptr, &record);
    (void)off.run(sample, nullptr, &compare);
  }
  for (std::size_t l = 0; l < stages.size(); ++l) {
    auto& linear = std::get<plan::Linear>(program.instructions[stages[l].linear].op);
    const auto plane = static_cast<std::size_t>(plan.stages[l].out.height) * static_cast<std::size_t>(plan.stages[l].out.width);
    subtract_means(linear, stages[l], plane, difference, static_cast<double>(samples.size()), program.parameters.ring_degree / 2);
  }
  return {};
}

}  // namespace brainlock::compiler
