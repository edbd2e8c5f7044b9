#include "calibration.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "brainlock/base/parallel.hpp"
#include "stage_arithmetic.hpp"

namespace brainlock::compiler {
namespace {

constexpr int kProbes = 2;

/// Sums over elements, lane by lane.
Lanes<double> energy(const LaneTensor<float>& x) {
  Lanes<double> sum{};
  for (const Lanes<float>& v : x)
    for (std::size_t k = 0; k < kLanes; ++k) sum[k] += static_cast<double>(v[k]) * static_cast<double>(v[k]);
  return sum;
}

/// Values of a channel, over which one bias takes back the mean error.
std::size_t plane_of(const Stage& stage) {
  return static_cast<std::size_t>(stage.is_dense ? 1 : stage.pooled.height * stage.pooled.width);
}

/// `x` less the mean of every `plane` neighbours over the first `inputs` lanes: what rounded weights meet once biases
/// are corrected. Lengthened by what a mean of so few inputs misses. One input alone says nothing of a mean.
LaneTensor<float> centred(LaneTensor<float> x, std::size_t plane, std::size_t inputs) {
  if (inputs == 1) return x;
  const double n = static_cast<double>(inputs), positions = static_cast<double>(plane);
  const auto longer = static_cast<float>(std::sqrt(n / (n - 1) * (1 + 1 / n)));
  for (std::size_t first = 0; first < x.size(); first += plane) {
    double mean = 0;
    for (std::size_t e = first; e < first + plane; ++e)
      for (std::size_t k = 0; k < inputs; ++k) mean += static_cast<double>(x[e][k]) / (positions * n);
    for (std::size_t e = first; e < first + plane; ++e)
      for (float& v : x[e]) v = longer * (v - static_cast<float>(mean));
  }
  return x;
}

/// Products that make up one output of the stage.
double terms_per_output(const Stage& stage) {
  if (!stage.diagonal.empty()) return 1;
  const double products = static_cast<double>(stage.is_dense ? stage.dense.weights.size() : stage.conv.weights.size());
  return products / static_cast<double>(stage.out.channels * (stage.is_dense ? stage.out.height * stage.out.width : 1));
}

/// Gains of up to kLanes inputs.
struct LaneGains {
  std::vector<Lanes<double>> noise, weights, placed_weights, masks;   ///< per stage
  Lanes<double> input{};
};

/// What a stage's map makes, before bias and addend.
struct Made {
  LaneTensor<float> centred;   ///< without the mean of every place
  double mean_square = 0;      ///< for the first input of all
};

/// The sum of squares of products, lane by lane.
Lanes<double> energy(const LaneTensor<float>& x, const LaneTensor<float>& y) {
  Lanes<double> sum{};
  for (std::size_t e = 0; e < x.size(); ++e)
    for (std::size_t k = 0; k < kLanes; ++k) {
      const double product = static_cast<double>(x[e][k]) * static_cast<double>(y[e][k]);
      sum[k] += product * product;
    }
  return sum;
}

LaneTensor<float> without_bias(LaneTensor<float> x, const std::vector<double>& bias) {
  for (std::size_t e = 0; e < x.size(); ++e)
    for (float& v : x[e]) v -= static_cast<float>(bias[e]);
  return x;
}

/// `reads`, `values`: of every stage, after its pools and with its addend. `mean_square`: of what every stage reads, for the
/// first input of all. `inputs`: lanes in use.
LaneGains lane_gains(const StagePlan& plan, const std::vector<LaneTensor<float>>& reads, const std::vector<LaneTensor<float>>& values,
                     const std::vector<double>& mean_square, const std::vector<Made>& made, std::size_t inputs, unsigned threads,
                     std::mt19937_64& random) {
  const std::size_t count = plan.stages.size();
  const std::vector<Lanes<double>> none(count, Lanes<double>{});
  LaneGains gains{none, none, none, none};
  const double share = 1.0 / (kProbes * static_cast<double>(plan.stages.back().out.size()));
  const auto add = [&](Lanes<double>& to, const Lanes<double>& energy, double factor) {
    for (std::size_t k = 0; k < kLanes; ++k) to[k] += energy[k] * factor * share;
  };
  for (int probe = 0; probe < kProbes; ++probe) {
    std::vector<LaneTensor<float>> at(count);   // gradients at the values
    at.back().resize(plan.stages.back().out.size());
    for (auto& lanes : at.back())
      for (float& v : lanes) v = random() >> 63 != 0 ? 1.0F : -1.0F;
    std::vector<LaneTensor<float>> outputs(count);   // the same behind each stage's addend
    for (std::size_t l = count; l-- > 0;) {
      const Stage& stage = plan.stages[l];
      LaneTensor<float>& g = outputs[l] = std::move(at[l]);
      if (g.empty()) g.resize(stage.out.size());
      if (!stage.reads.empty()) add_gradients(plan, stage, apply_stage_transposed(stage, g), values, at);
      if (stage.addend >= 0) at[static_cast<std::size_t>(stage.addend)] = g;
    }
    parallel_for(count, threads, [&](std::size_t l) {
      const Stage& stage = plan.stages[l];
      const LaneTensor<float>& g = outputs[l];
      add(gains.noise[l], energy(g), 1);
      // Errors of variance 1 on every weight cause a variance of terms * mean square at an output.
      const double square = std::max(1e-30, mean_square[l]);
      add(gains.weights[l], weight_gradient_energy(stage, centred(reads[l], plane_of(stage), inputs), g), 1 / (terms_per_output(stage) * square));
      Lanes<double> placed = energy(g);
      const Lanes<double> left = energy(centred(reads[l], 1, inputs));
      for (std::size_t k = 0; k < kLanes; ++k) placed[k] *= left[k];
      add(gains.placed_weights[l], placed, 1 / (static_cast<double>(reads[l].size()) * square));
      add(gains.masks[l], energy(g, made[l].centred), 1 / std::max(1e-30, made[l].mean_square));
    });
    for (std::size_t l = count; l-- > 0;)
      if (plan.stages[l].reads.empty()) add(gains.input, window_gradient_energy(plan.stages[l], outputs[l]), 1);
  }
  return gains;
}

}  // namespace

Calibration calibrate(const StagePlan& plan, std::span<const std::vector<float>> samples, unsigned threads) {
  const std::size_t count = plan.stages.size();
  Calibration out;
  out.stages.resize(count);
  std::vector<std::vector<double>> noise(count), weights(count), placed_weights(count), masks(count);   // [stage][input]
  std::vector<Made> made(count);
  std::vector<double> input, mean_square;
  std::mt19937_64 random(1);
  for (std::size_t first = 0; first < samples.size(); first += kLanes) {
    const std::size_t lanes = std::min(kLanes, samples.size() - first);
    LaneTensor<float> x(plan.input.size());
    for (std::size_t k = 0; k < kLanes; ++k)   // unused lanes repeat the last input
      for (std::size_t e = 0; e < x.size(); ++e) x[e][k] = samples[first + std::min(k, lanes - 1)][e];
    std::vector<LaneTensor<float>> reads, values;
    for (std::size_t l = 0; l < count; ++l) {
      const Stage& stage = plan.stages[l];
      reads.push_back(apply_pools(stage, read_values(plan, stage, x, values)));
      if (first == 0) mean_square.push_back(energy(reads[l])[0] / static_cast<double>(reads[l].size()));
      values.push_back(apply_linear(stage, reads.back()));
      LaneTensor<float> map = without_bias(values.back(), stage.bias);
      if (first == 0) made[l].mean_square = energy(map)[0] / static_cast<double>(map.size());
      made[l].centred = centred(std::move(map), 1, lanes);
      StageStats& stats = out.stages[l];
      const auto see_largest = [&] {
        for (const auto& v : values.back())
          for (std::size_t k = 0; k < lanes; ++k) stats.largest = std::max(stats.largest, std::fabs(static_cast<double>(v[k])));
      };
      see_largest();
      if (stage.addend >= 0) {
        add_addend(stage, values);
        see_largest();
      }
      for (const auto& v : values.back())
        for (std::size_t k = 0; k < lanes; ++k) {
          const double value = static_cast<double>(v[k]);
          stats.rms += value * value / (static_cast<double>(values.back().size()) * static_cast<double>(samples.size()));
        }
    }
    const LaneGains gains = lane_gains(plan, reads, values, mean_square, made, lanes, threads, random);
    const auto append = [&](std::vector<double>& to, const Lanes<double>& from) {
      to.insert(to.end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(lanes));
    };
    for (std::size_t l = 0; l < count; ++l) {
      append(noise[l], gains.noise[l]);
      append(weights[l], gains.weights[l]);
      append(placed_weights[l], gains.placed_weights[l]);
      append(masks[l], gains.masks[l]);
    }
    append(input, gains.input);
  }
  const auto summarise = [&](const std::vector<double>& values) {
    double mean = 0, worst = 0;
    for (double v : values) {
      mean += v / static_cast<double>(values.size());
      worst = std::max(worst, v);
    }
    if (mean > 0) out.worst_gain_ratio = std::max(out.worst_gain_ratio, worst / mean);
    return mean;
  };
  out.input_gain = summarise(input);
  for (std::size_t l = 0; l < count; ++l) {
    out.stages[l].gain = summarise(noise[l]);
    out.stages[l].weight_gain = summarise(weights[l]);
    out.stages[l].placed_weight_gain = summarise(placed_weights[l]);
    out.stages[l].mask_gain = std::accumulate(masks[l].begin(), masks[l].end(), 0.0) / static_cast<double>(masks[l].size());
    out.stages[l].rms = std::sqrt(out.stages[l].rms);
    out.stages[l].largest = std::max(out.stages[l].largest, plan.stages[l].reach);
  }
  return out;
}

}  // namespace brainlock::compiler
