// The error that the compiler predicts for a network's answers, against the scheme's errors drawn at random.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "brainlock/base/file.hpp"
#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/package/value_range.hpp"
#include "net_builder.hpp"
#include "samples.hpp"

namespace brainlock {
namespace {

constexpr std::uint64_t kOthers = 24;
constexpr std::uint64_t kRuns = 3;    // of every calibration input, with errors of their own
constexpr std::size_t kDraws = 5;   // of the weights: one net's rounding errors are but one draw

/// Measured over predicted deviation of an answer, over the inputs that the prediction is about; 0 if something failed. Among others, errors
/// grow with an input's answers, whose tail in nets of random weights is heavy; what is promised of those is a bound, wherever a checker
/// lets them pass, and that is checked here too, with errors other than the checker's.
double measured_over_predicted(compiler::Graph graph, const compiler::Profile& profile) {
  auto normal = compiler::normalise(std::move(graph));
  if (!normal.ok()) return ADD_FAILURE() << normal.error().to_string(), 0;
  const compiler::TensorShape shape = normal->nodes[0].shape;
  compiler::CompileOptions options;
  options.profile = profile;
  options.calibration = calibration(shape);
  const auto program = compiler::compile(*normal, options);
  if (!program.ok()) return ADD_FAILURE() << program.error().to_string(), 0;
  const auto package = package::Package::from_bytes(package::encode_program(*program), {});
  if (!package.ok()) return ADD_FAILURE() << package.error().to_string(), 0;
  const auto simulator = package::Simulator::make(*package);
  if (!simulator.ok()) return ADD_FAILURE() << simulator.error().to_string(), 0;
  double sum = 0, count = 0;
  for (const auto& input : options.calibration) {
    const auto clear = compiler::run_float(*normal, input);
    for (std::uint64_t run = 1; run <= kRuns; ++run) {
      const auto noisy = (*simulator)->run(input, run);
      for (std::size_t i = 0; i < clear.size(); ++i, ++count) sum += std::pow(noisy[i] - static_cast<double>(clear[i]), 2);
    }
  }
  const package::RangeChecker checker(*package, {*simulator, [&](std::span<const float> input) {
    const auto clear = compiler::run_float(*normal, input);
    return std::vector<double>(clear.begin(), clear.end());
  }});
  std::uint64_t judged = 0;
  for (std::uint64_t seed = 1; seed <= kOthers; ++seed) {
    const auto input = sample(seed, shape);
    if (!checker.check(input).inside()) continue;
    ++judged;
    const auto clear = compiler::run_float(*normal, input);
    const auto noisy = (*simulator)->run(input, kRuns + seed);
    for (std::size_t i = 0; i < clear.size(); ++i)
      EXPECT_LE(std::fabs(noisy[i] - static_cast<double>(clear[i])), program->error_bound) << "input " << seed << ", answer " << i;
  }
  EXPECT_GE(judged, kOthers / 2);
  return std::sqrt(sum / count) / program->error_estimate;
}

/// Never much lower than what happens, and not so high that it says nothing.
void expect_prediction(const std::string& name, double ratio, double most) {
  std::printf("%-26s measured / predicted %.2f\n", name.c_str(), ratio);
  EXPECT_LT(ratio, most) << name;
  EXPECT_GT(ratio, 0.25) << name;
}

class ModelPrediction : public testing::TestWithParam<const char*> {};

TEST_P(ModelPrediction, HoldsForTheSimulatedScheme) {
  const auto bytes = read_file(std::string(BRAINLOCK_SOURCE_DIR) + "/models/" + GetParam(), package::kMaxModelBytes);
  ASSERT_TRUE(bytes.ok()) << bytes.error().to_string();
  for (const char* profile : {"precise", "fast"}) {
    auto graph = compiler::import_onnx(std::as_bytes(std::span(*bytes)));
    ASSERT_TRUE(graph.ok()) << graph.error().to_string();
    expect_prediction(std::string(GetParam()) + " " + profile, measured_over_predicted(std::move(*graph), *compiler::find_profile(profile)), 1.5);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ModelPrediction, testing::Values("test/mlp.onnx", "test/lenet.onnx", "test/strided.onnx", "test/residual.onnx",
                                                                "tiny-cnn/tiny.onnx"));

/// Networks of random weights that fill little of their ring, or whose maps shrink far below it. Squares of squares make their noise
/// heavy-tailed: the limit is wider.
TEST(SparsePrediction, HoldsForTheSimulatedScheme) {
  using compiler::NetBuilder;
  struct Net {
    const char* name;
    std::function<void(NetBuilder&)> build;
    compiler::TensorShape input;
  };
  const std::vector<Net> nets = {
      {"small map, padded", [](NetBuilder& n) { n.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).quadratic().dense(5); }, {1, 8, 8}},
      {"strides", [](NetBuilder& n) { n.conv(4, 3, 2, 1).quadratic().conv(8, 3, 2, 1).quadratic().conv(8, 3, 2, 1).quadratic().dense(5); }, {1, 16, 16}},
      {"deep", [](NetBuilder& n) { n.conv(4, 3).quadratic().conv(4, 3).quadratic().conv(4, 3).quadratic().conv(4, 3).quadratic().dense(5); }, {1, 12, 12}},
      {"few channels", [](NetBuilder& n) { n.conv(1, 3).quadratic().conv(1, 3).quadratic().dense(3); }, {1, 16, 16}},
  };
  for (std::size_t i = 0; i < nets.size(); ++i) {
    double squares = 0;
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      NetBuilder builder(static_cast<unsigned>(200 + 10 * i + draw), nets[i].input);
      nets[i].build(builder);
      squares += std::pow(measured_over_predicted(builder.graph(), {"small", 1U << 14, 0.02}), 2) / kDraws;
    }
    expect_prediction(nets[i].name, std::sqrt(squares), 2.0);
  }
}

}  // namespace
}  // namespace brainlock
