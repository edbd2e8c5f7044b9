#include "level_needs.hpp"

#include <algorithm>
#include <cmath>

#include "brainlock/ckks/parameters.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "layer_runs.hpp"
#include "machine_limits.hpp"
#include "unread.hpp"
#include "weight_rounding.hpp"

namespace brainlock::compiler {
namespace {

// Positions that no later layer reads hold whatever the layers before made of the borders: they reach further and vary
// more. Their limit is this many times what one calibration input shows there. Of 8,000 photographs one reaches 25
// times that in VGG9, half of them once. Up to 40 times changes neither the prime count nor the predicted time of
// either profile by more than 2 per cent.
constexpr double kUnreadMargin = 32.0;
// Where weights repeat nowhere, their rounding errors are spread over all slots and reach the values, too, that they
// leave out. In odd inputs those are far larger than in the calibration inputs: in VGG9's profile `fast` they are, in
// rms, 10 times the median in one photograph in twenty, 50 times in one in fifty, 130 times at most. Such weights are
// rounded this much finer than the calibration inputs alone ask for.
constexpr double kUnreadErrorMargin = 16.0;
// A carried stage chooses its weight scale freely: its rounded weights are to be off by no more than this share of what
// it adds to.
constexpr double kCarriedError = 1.0 / 8192;
// Weights are rounded to about this share of the values that they make, to measure what rounding does.
constexpr double kProbeError = 1.0 / 512;
// Times the largest of them: the floats that rounded ones are kept in are no finer.
constexpr double kFinestProbe = 0x1p24;
constexpr double kLeastShare = 1.0 / 64;  // of the plain estimate that a measured one is taken for
// Where so few coefficients are rounded all of them may come out right by chance, at the scale that is measured. A
// single weight makes coefficients that are all alike: their errors add up to sqrt(period) times those of independent
// ones.
constexpr std::uint64_t kFewCoefficients = 64;
constexpr double kLeastShareOfFew = 0.5;  // times that

// Standard deviation, per real part, of a Linear's outputs for weights rounded at scale 1, if every vector were off by
// a polynomial with independent, uniform rounding errors (2 * period coefficients) and all slots were alike.
double plain_weight_noise(const plan::Linear& linear, const plan::SlotTrace& trace) {
  double worst = 0;
  for (const auto& output : linear.outputs) {
    double sum = 0;
    for (std::size_t k = 0; k < output.columns.size(); ++k)
      for (std::uint32_t g = 0; g < output.giants; ++g)
        if (output.weights[k * output.giants + g] >= 0)
          sum += trace.mean_square[linear.inputs[linear.columns[output.columns[k]].input]];
    worst = std::max(worst, sum);
  }
  return std::sqrt(worst * linear.period / 12.0 * std::exp2(static_cast<double>(linear.rotate_sums.size())));
}

// The same for masks rounded at scale 1: they have errors in all coefficients.
double plain_mask_noise(const plan::Linear& linear, const plan::SlotTrace& trace) {
  double worst = 0;
  for (const auto& output : linear.outputs) worst = std::max(worst, trace.mean_square[output.out]);
  return std::sqrt(worst * linear.masks.front().period / 12.0);
}

// What rounding does in the slots of the stage's values. Vectors with a pattern (zeros around a map, every other slot
// empty) have rounding errors with that pattern, so that the slots that count are off by more than the mean.
double measured_noise(const LoweredStage& stage, const plan::Linear& linear, const RoundingDifferences& differences) {
  double sum = 0;
  for (const plan::Place& place : stage.places) {
    const std::complex<double> d = differences.at(linear.outputs[place.ciphertext].out)[place.slot];
    const double part = place.part == 0 ? d.real() : d.imag();
    sum += part * part;
  }
  return std::sqrt(sum / static_cast<double>(stage.places.size()));
}

struct RoundingNoise {
  double weights = 0, masks = 0;
};

class Measurement {
 public:
  Measurement(const StagePlan& stages, Lowered& lowered, const Calibration& calibration, const Profile& profile,
              std::span<const std::vector<float>> samples, unsigned threads)
      : stages_(stages),
        lowered_(lowered),
        calibration_(calibration),
        profile_(profile),
        samples_(samples),
        threads_(threads),
        unread_(lowered.program) {}

  Result<LevelNeeds> run() {
    BRAINLOCK_TRY(measure_rounding());
    LevelNeeds needs;
    LevelRequest& request = needs.request;
    request.ring_degree = profile_.ring_degree;
    request.max_log_qp = most_log_qp(profile_);
    request.target_error = profile_.target_error;
    request.input_gain = calibration_.input_gain;
    request.split_input = lowered_.program.input.parts == 2;
    request.stages.resize(stages_.ranks());
    for (StageNeeds& stage : request.stages) stage.later_gain = 0;
    for (std::size_t r = 0; r < request.stages.size(); ++r) request.stages[r].plain = r > 0 && stages_.plain_ranks[r];
    for (std::size_t l = 0; l < stages_.stages.size(); ++l) add_needs(l, request.stages[lowered_.stages[l].rank]);
    for (std::size_t l = 0; l < stages_.stages.size(); ++l) {
      LoweredStage& stage = lowered_.stages[l];
      if (!stage.carried) continue;
      needs.carried.push_back(
          {l, noises_[l].weights, weight_gain(l), noises_[l].masks, calibration_.stages[l].mask_gain});
      const double error = kCarriedError * request.stages[stage.rank].out_rms;
      stage.min_weight_log2 = std::log2(std::max(noises_[l].weights, 1e-30) / error);
      if (noises_[l].masks > 0) stage.mask_log2 = std::log2(noises_[l].masks / error);
    }
    needs.ranges = find_refresh_ranges(stages_, lowered_, calibration_, trace_);
    for (std::size_t r = 0; r < request.stages.size(); ++r) {
      const RefreshRanges::Rank& rank = needs.ranges.ranks[r];
      request.stages[r].refresh_ciphertexts = rank.ciphertexts;
      request.stages[r].refresh_real = rank.real;
      request.stages[r].refresh_largest = rank.largest;
      request.stages[r].read_share = rank.read_share;
    }
    return needs;
  }

 private:
  [[nodiscard]] plan::Linear& linear(std::size_t l) const {
    return std::get<plan::Linear>(lowered_.program.instructions[lowered_.stages[l].linear].op);
  }

  [[nodiscard]] double weight_gain(std::size_t l) const {
    const StageStats& stats = calibration_.stages[l];
    return 2 * linear(l).period < profile_.ring_degree ? stats.weight_gain : stats.placed_weight_gain;
  }

  /// Fills trace_ and, of each stage, what rounding does for the first calibration input.
  Status measure_rounding() {
    BRAINLOCK_ASSIGN(const WeightRounding rounding, WeightRounding::create(profile_.ring_degree));
    trace_.lifted = [&](plan::Register r, std::span<const double> slots) { unread_.see(r, slots); };
    LayerRuns runs(lowered_.program, samples_.first(1), threads_, &trace_);
    noises_.resize(lowered_.stages.size());
    for (std::size_t l = 0; runs.advance(); ++l) {
      BRAINLOCK_ASSIGN(noises_[l], rounding_noise(rounding, runs, l));
    }
    return {};
  }

  /// measured_noise() with weights rounded so that they are off by about kProbeError. Weights that happen to be exact
  /// at one scale are not at another: never far below the plain estimate.
  Result<RoundingNoise> rounding_noise(const WeightRounding& rounding, const LayerRuns& runs, std::size_t l) {
    plan::Linear& linear = this->linear(l);
    const LoweredStage& stage = lowered_.stages[l];
    const double wanted = kProbeError * std::max(1e-30, calibration_.stages[l].rms);
    const auto finest = [](const std::vector<plan::SlotVector>& vectors) {
      return kFinestProbe / std::max(1e-30, largest_slot(vectors));
    };
    RoundingNoise noise{plain_weight_noise(linear, trace_),
                        linear.masks.empty() ? 0 : plain_mask_noise(linear, trace_)};
    linear.weight_scale = std::min(std::max(1.0, noise.weights / wanted), finest(linear.vectors));
    BRAINLOCK_ASSIGN(const RoundingDifferences differences,
                     rounding.differences(lowered_.program, runs, Rounded::kWeights, threads_));
    const bool few = linear.vectors.size() * 2ULL * linear.period <= kFewCoefficients;
    const double least = few ? kLeastShareOfFew * std::sqrt(static_cast<double>(linear.period)) : kLeastShare;
    noise.weights = std::max(least * noise.weights, measured_noise(stage, linear, differences) * linear.weight_scale);
    noise.weights *= std::sqrt(1 + unread_.share(stage.linear) * (kUnreadErrorMargin * kUnreadErrorMargin - 1));
    if (linear.masks.empty()) return noise;
    linear.mask_scale = std::min(std::max(1.0, noise.masks / wanted), finest(linear.masks));
    BRAINLOCK_ASSIGN(const RoundingDifferences of_masks,
                     rounding.differences(lowered_.program, runs, Rounded::kMasks, threads_));
    noise.masks = std::max(kLeastShare * noise.masks, measured_noise(stage, linear, of_masks) * linear.mask_scale);
    return noise;
  }

  /// Adds stage l to what its rank needs. Of stages side by side the noises add up (each with its own gain), the
  /// largest value and the largest rms count.
  void add_needs(std::size_t l, StageNeeds& needs) const {
    const plan::Program& program = lowered_.program;
    const LoweredStage& lowered = lowered_.stages[l];
    const plan::Linear& linear = this->linear(l);
    const StageStats& stats = calibration_.stages[l];
    needs.later_gain += stats.gain;
    const bool whole = !stages_.is_addend(l);  // of parts of a sum only the sum's size says how much noise matters
    if (whole) needs.out_rms = std::max(needs.out_rms, stats.rms);
    double largest = kRangeMargin * stats.largest;
    for (const auto& output : linear.outputs)
      largest = std::max(largest, largest_slot(output.bias));  // may be far above what is left of it
    if (lowered.rank + 1 < stages_.ranks()) {
      for (const auto& output : linear.outputs) largest = std::max(largest, kUnreadMargin * trace_.largest[output.out]);
      for (std::size_t i = lowered.linear + 1; i <= lowered.last; ++i)
        largest =
            std::max(largest, kUnreadMargin * trace_.largest[std::get<plan::Add>(program.instructions[i].op).out]);
    }
    needs.out_max = std::max(needs.out_max, largest);
    if (!lowered.carried) {
      add_noise(noises_[l].weights, weight_gain(l), needs.weight_noise, needs.weight_gain);
      add_noise(noises_[l].masks, stats.mask_gain, needs.mask_noise, needs.mask_gain);
    }
    for (std::size_t i = lowered.first; i <= lowered.linear; ++i) {
      const plan::Cost cost = plan::count_cost(program, program.instructions[i]);
      needs.macs += static_cast<double>(cost.plaintext_macs);
      needs.key_switches += static_cast<double>(cost.key_switches);
      needs.hoisted += static_cast<double>(cost.hoisted_rotations);
    }
  }

  /// Adds noise with a gain of its own to that of stages side by side.
  static void add_noise(double noise, double gain, double& sum, double& sum_gain) {
    if (noise == 0) return;
    if (sum == 0) {
      sum = noise;
      sum_gain = gain;
      return;
    }
    const double variance = sum * sum * sum_gain + noise * noise * gain;
    sum = std::max(sum, noise);
    sum_gain = variance / (sum * sum);
  }

  const StagePlan& stages_;
  Lowered& lowered_;
  const Calibration& calibration_;
  const Profile& profile_;
  std::span<const std::vector<float>> samples_;
  unsigned threads_;
  UnreadEnergy unread_;
  plan::SlotTrace trace_;
  std::vector<RoundingNoise> noises_;  // per stage
};

}  // namespace

double most_log_qp(const Profile& profile) {
  return profile.max_log_qp > 0 ? profile.max_log_qp : ckks::max_log_qp_128(profile.ring_degree);
}

Result<LevelNeeds> measure_needs(const StagePlan& stages, Lowered& lowered, const Calibration& calibration,
                                 const Profile& profile, std::span<const std::vector<float>> samples,
                                 unsigned threads) {
  return Measurement(stages, lowered, calibration, profile, samples, threads).run();
}

void add_carried_noise(const Lowered& lowered, const std::vector<CarriedNoise>& carried, const Calibration& calibration,
                       LevelChoice& levels) {
  if (carried.empty()) return;
  double variance = levels.relative_error * levels.relative_error;
  for (const CarriedNoise& noise : carried) {
    const auto& linear = std::get<plan::Linear>(lowered.program.instructions[lowered.stages[noise.stage].linear].op);
    const auto add = [&](double deviation, double gain) {
      const double error = deviation / calibration.stages.back().rms;
      variance += error * error * gain;
    };
    add(noise.weight_noise / linear.weight_scale, noise.weight_gain);
    if (noise.mask_noise > 0) add(noise.mask_noise / linear.mask_scale, noise.mask_gain);
  }
  levels.relative_error = std::sqrt(variance);
}

}  // namespace brainlock::compiler
