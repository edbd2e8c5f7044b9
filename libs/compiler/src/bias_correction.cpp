#include "bias_correction.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "weight_rounding.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

/// Entry of a bias vector that reaches `slot`, or none.
std::complex<float>* entry(plan::SlotVector& bias, std::uint32_t slot) {
  if (bias.values.empty()) return nullptr;
  if (bias.dense()) return &bias.values[slot % bias.period];
  const auto it = std::lower_bound(bias.slots.begin(), bias.slots.end(), slot);
  return it == bias.slots.end() || *it != slot ? nullptr : &bias.values[static_cast<std::size_t>(it - bias.slots.begin())];
}

/// Subtracts from the biases of one layer the mean of `differences` over
/// the places of each channel in each ciphertext; place by place where weights or masks repeat nowhere (zeros around a map), for each
/// place then has rounding errors of its own.
void subtract_means(plan::Linear& linear, const LoweredStage& stage, std::size_t plane, const RoundingDifferences& differences,
                    double samples, std::uint32_t slots) {
  struct Mean {
    double sum = 0, count = 0;
  };
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::size_t>, Mean> means;   // ciphertext, part, channel
  const std::size_t group = linear.period < slots && linear.masks.empty() ? plane : 1;
  const auto key = [&](const plan::Place& place) { return std::tuple(place.ciphertext, place.part, place.index / group); };
  for (const plan::Place& place : stage.places) {
    const Complex d = differences.at(linear.outputs[place.ciphertext].out)[place.slot];
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
                      std::span<const std::vector<float>> samples, unsigned threads) {
  BRAINLOCK_ASSIGN(const WeightRounding rounding, WeightRounding::create(program.parameters.ring_degree));
  LayerRuns runs(program, samples, threads);
  std::vector<RoundingDifferences> differences;   // of every stage: biases stay as they are until all is run
  while (runs.advance()) {
    BRAINLOCK_ASSIGN(differences.emplace_back(), rounding.differences(program, runs, Rounded::kBoth, threads));
  }
  for (std::size_t l = 0; l < stages.size(); ++l) {
    auto& linear = std::get<plan::Linear>(program.instructions[stages[l].linear].op);
    const auto plane = static_cast<std::size_t>(plan.stages[l].out.height) * static_cast<std::size_t>(plan.stages[l].out.width);
    subtract_means(linear, stages[l], plane, differences[l], static_cast<double>(samples.size()), program.parameters.ring_degree / 2);
  }
  return {};
}

}  // namespace brainlock::compiler
