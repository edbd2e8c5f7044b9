// Polynomials of channels that keep to one side of zero, or to a narrow part of what others reach.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "brainlock/compiler/float_interpreter.hpp"
#include "net_builder.hpp"
#include "stage_polynomial.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

constexpr std::size_t kChannels = 3;
constexpr int kConv = 1, kActivation = 2;

struct Place {
  double centre, half_width;
};
constexpr Place kPlaces[kChannels] = {{0, 2}, {5, 0.4}, {-0.3, 0.1}};

/// A convolution whose channels lie where kPlaces says, and a polynomial of degree 8 that is of ordinary size there, channel by channel.
struct Net {
  Graph graph;
  std::vector<std::vector<float>> samples;
  std::vector<NodeRange> ranges;
};

void see(Net& net) {
  net.ranges.assign(net.graph.nodes.size(), {{HUGE_VAL, -HUGE_VAL}, {}});
  net.ranges[kConv].channels.assign(kChannels, {HUGE_VAL, -HUGE_VAL});
  for (const auto& sample : net.samples) {
    FloatTrace trace;
    (void)run_float(net.graph, sample, &trace);
    for (std::size_t n = 0; n < net.ranges.size(); ++n)
      for (std::size_t e = 0; e < trace.values[n].size(); ++e) {
        const auto v = static_cast<double>(trace.values[n][e]);
        const auto widen = [&](Interval& i) { i = {std::min(i.low, v), std::max(i.high, v)}; };
        widen(net.ranges[n].all);
        if (!net.ranges[n].channels.empty()) widen(net.ranges[n].channels[e * kChannels / trace.values[n].size()]);
      }
  }
}

Net make_net() {
  NetBuilder builder(70, {2, 8, 8});
  builder.conv(static_cast<int>(kChannels), 3).polynomial(8).dense(4);
  Net net{builder.graph(), {}, {}};
  for (int i = 0; i < 20; ++i) net.samples.push_back(builder.sample());
  see(net);
  // From where the channels lie to where they shall.
  auto& conv = std::get<ConvParams>(net.graph.nodes[kConv].params);
  auto& p = std::get<PolynomialParams>(net.graph.nodes[kActivation].params);
  const std::size_t taps = conv.weights.size() / kChannels;
  std::vector<std::vector<double>> coefficients(9, std::vector<double>(kChannels));
  for (std::size_t c = 0; c < kChannels; ++c) {
    const Interval now = net.ranges[kConv].channels[c];
    const double scale = kPlaces[c].half_width / now.half_width();
    for (std::size_t k = 0; k < taps; ++k) conv.weights[c * taps + k] = static_cast<float>(conv.weights[c * taps + k] * scale);
    conv.bias[c] = static_cast<float>((conv.bias[c] - now.centre()) * scale + kPlaces[c].centre);
    Coefficients ordinary;
    for (int k = 0; k < 9; ++k) ordinary.push_back(std::cos(static_cast<double>(k) * 1.7 + static_cast<double>(c)));
    const Coefficients there = substitute(ordinary, 1 / kPlaces[c].half_width, -kPlaces[c].centre / kPlaces[c].half_width);
    for (std::size_t k = 0; k < 9; ++k) coefficients[k][c] = there[k];
  }
  p.coefficients = coefficients;
  see(net);
  return net;
}

TEST(FittedStages, ComputeTheSameWithNumbersOfOrdinarySize) {
  const Net net = make_net();
  const auto stages = make_stages(net.graph, net.ranges);
  ASSERT_TRUE(stages.ok()) << stages.error().to_string();
  for (const auto& sample : net.samples) {
    const auto want = run_float(net.graph, sample);
    const auto values = run_stages(*stages, sample);
    double size = 0;
    for (const float v : want) size = std::max(size, std::fabs(static_cast<double>(v)));
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(values.back()[i], static_cast<double>(want[i]), 2e-3 * size);
    for (std::size_t l = 0; l + 1 < values.size(); ++l)
      for (const double v : values[l]) EXPECT_LE(std::fabs(v), 60) << stages->stages[l].name << ' ' << l;
  }
}

TEST(FittedStages, HaveRoomForWhatNoSampleReaches) {
  const Net net = make_net();
  const auto stages = make_stages(net.graph, net.ranges);
  ASSERT_TRUE(stages.ok());
  const Stage& value = stages->stages.front();
  EXPECT_NEAR(value.reach, 1, 1e-6);
  for (const auto& sample : net.samples) {
    const auto values = run_stages(*stages, sample);
    for (const double v : values.front()) EXPECT_LE(std::fabs(v), 1 / 1.4);
  }
  // All parts of the polynomial, too; an addend is no value of its own.
  for (std::size_t l = 1; l + 1 < stages->stages.size(); ++l) {
    if (stages->is_addend(l)) continue;
    EXPECT_GT(stages->stages[l].reach, 0) << l;
  }
}

TEST(FittedStages, SquaresOfLargeValuesAreNotTakenForLines) {
  // A shift of 3,000 is much for values of a few units, and little for those of a thousand.
  NetBuilder builder(72, {2, 8, 8});
  builder.conv(static_cast<int>(kChannels), 3).quadratic().dense(4);
  Net net{builder.graph(), {}, {}};
  auto& conv = std::get<ConvParams>(net.graph.nodes[kConv].params);
  for (auto* numbers : {&conv.weights, &conv.bias})
    for (float& v : *numbers) v *= 1000;
  net.graph.nodes[kActivation].params = QuadraticParams{std::vector<float>(kChannels, 1e-6F), std::vector<float>(kChannels, 6e-3F), std::vector<float>(kChannels, 0.5F)};
  for (int i = 0; i < 10; ++i) net.samples.push_back(builder.sample());
  see(net);
  const auto stages = make_stages(net.graph, net.ranges);
  ASSERT_TRUE(stages.ok());
  EXPECT_TRUE(stages->notes.empty());
  for (const auto& sample : net.samples) {
    const auto want = run_float(net.graph, sample);
    const auto values = run_stages(*stages, sample);
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(values.back()[i], static_cast<double>(want[i]), 1e-3 * (1 + std::fabs(want[i])));
  }
}

TEST(FittedStages, OthersAreTakenApartAsTheyAre) {
  NetBuilder builder(71, {2, 8, 8});
  builder.conv(3, 3).polynomial(8).dense(4);
  const Graph graph = builder.graph();
  const std::vector<NodeRange> ranges(graph.nodes.size(), NodeRange::around_zero(2));
  const auto stages = make_stages(graph, ranges);
  ASSERT_TRUE(stages.ok());
  for (const Stage& stage : stages->stages) EXPECT_EQ(stage.reach, 0);
  const auto& conv = std::get<ConvParams>(graph.nodes[kConv].params);
  EXPECT_EQ(stages->stages.front().conv.weights, conv.weights);
}

}  // namespace
}  // namespace brainlock::compiler
