// What the compiler says of networks that it cannot serve.
#include "brainlock/compiler/compile.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <variant>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "net_builder.hpp"

namespace brainlock::compiler {
namespace {

Result<plan::Program> compiled(NetBuilder& net, Graph graph) {
  auto normal = normalise(std::move(graph));
  if (!normal.ok()) return normal.error();
  CompileOptions options;
  options.profile = *find_profile("fast");
  for (int i = 0; i < 3; ++i) options.calibration.push_back(net.sample());
  return compile(*normal, options);
}

/// Weights of every convolution times `factor`.
Graph larger(Graph graph, float factor) {
  for (Node& node : graph.nodes)
    if (auto* conv = std::get_if<ConvParams>(&node.params))
      for (float& w : conv->weights) w *= factor;
  return graph;
}

// As random weights do where every block squares what the one before left.
TEST(Compile, ValuesThatGrowBeyondAllBoundsAreRefusedByName) {
  NetBuilder net(80, {2, 6, 6});
  net.conv(3, 3, 1, 1).quadratic();
  for (int block = 0; block < 2; ++block) {
    const int skip = net.here();
    net.conv(3, 3, 1, 1).quadratic().conv(3, 3, 1, 1).add(skip).quadratic();
  }
  net.pool(2).dense(3);
  const auto program = compiled(net, larger(net.graph(), 3e4F));
  ASSERT_FALSE(program.ok());
  EXPECT_EQ(program.error().code, ErrorCode::kUnsupported) << program.error().to_string();
  EXPECT_NE(program.error().message.find("n8: values grow beyond all bounds"), std::string::npos) << program.error().message;
}

// What a shortcut over two ranks is to leave out is so large that no encoder takes weights as fine as that asks for.
TEST(Compile, NoScaleIsTooFineForTheEncoder) {
  for (const float wide : {1e9F, 1e10F, 1e12F}) {
    SCOPED_TRACE(wide);
    NetBuilder net(81, {2, 6, 6});
    const int skip = net.conv(4, 3, 1, 1).quadratic().here();
    const int branch = net.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).here();
    net.from(skip).conv(4, 1).add(branch).quadratic().pool(2).dense(3);
    Graph graph = net.graph();
    auto& first = std::get<ConvParams>(graph.nodes[1].params).weights;
    for (std::size_t k = first.size() / 4 * 3; k < first.size(); ++k) first[k] *= wide;   // the last channel
    for (Node& node : graph.nodes) {
      if (node.kind != OpKind::kConv || node.inputs[0] != skip) continue;
      auto& conv = std::get<ConvParams>(node.params);
      const std::size_t taps = static_cast<std::size_t>(conv.kernel_h) * static_cast<std::size_t>(conv.kernel_w);
      for (std::size_t k = 0; k < conv.weights.size(); ++k)
        if (k / taps % 4 == 3) conv.weights[k] = 1e-20F;
    }
    const auto program = compiled(net, graph);
    if (!program.ok()) {
      EXPECT_EQ(program.error().code, ErrorCode::kResource) << program.error().to_string();
    }
  }
}

// A single weight may come out right at the scale at which its rounding is measured, as in these two nets. At others it does not.
TEST(Compile, FewWeightsAreNotTakenForExact) {
  for (const std::uint64_t seed : {249U, 254U}) {
    SCOPED_TRACE(seed);
    NetBuilder net(seed, {1, 6, 6});
    net.conv(2, 3).quadratic().dense(1).quadratic().dense(1);
    const Graph graph = net.graph();
    const auto program = compiled(net, graph);
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    plan::Program rounded = *program;
    auto& last = std::get<plan::Linear>(rounded.instructions.back().op);
    ASSERT_EQ(last.period, 1U);   // so that the weight is rounded by itself
    const auto round = [&](float w) { return static_cast<float>(std::round(static_cast<double>(w) * last.weight_scale) / last.weight_scale); };
    for (plan::SlotVector& vector : last.vectors) vector.values = {{round(vector.values.front().real()), round(vector.values.front().imag())}};
    double sum = 0;
    constexpr int kInputs = 16;
    for (int i = 0; i < kInputs; ++i) {
      const auto x = net.sample();
      const double error = plan::run_slots(rounded, x).front() - static_cast<double>(run_float(graph, x).front());
      sum += error * error / kInputs;
    }
    EXPECT_LT(std::sqrt(sum), 1.2 * program->error_estimate) << "weight scale " << last.weight_scale;
  }
}

TEST(Compile, LargeValuesThatNoChainHoldsAreRefused) {
  NetBuilder net(80, {2, 6, 6});
  net.conv(3, 3, 1, 1).quadratic();
  const int skip = net.here();
  net.conv(3, 3, 1, 1).quadratic().conv(3, 3, 1, 1).add(skip).quadratic().pool(2).dense(3);
  const auto program = compiled(net, larger(net.graph(), 1000.0F));
  ASSERT_FALSE(program.ok());
  EXPECT_EQ(program.error().code, ErrorCode::kResource) << program.error().to_string();
}

// Answers of some 10^6, which a single prime does not hold.
TEST(Compile, LargeAnswersTakeMorePrimes) {
  NetBuilder net(80, {2, 6, 6});
  net.conv(3, 3, 1, 1).quadratic().conv(3, 3, 1, 1).quadratic().pool(2).dense(3);
  const Graph graph = larger(net.graph(), 30.0F);
  const auto program = compiled(net, graph);
  ASSERT_TRUE(program.ok()) << program.error().to_string();
  EXPECT_GT(program->instructions.back().limbs_out, 1U);
  const auto x = net.sample();
  const auto want = run_float(graph, x);
  const std::vector<double> got = plan::run_slots(*program, x);
  for (std::size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(got[k], static_cast<double>(want[k]), program->error_bound);
}

}  // namespace
}  // namespace brainlock::compiler
