// Files from PyTorch's own exporter (vectors/onnx-pytorch): each computes what PyTorch computed, or is refused with all
// of its nodes that cannot be run. What exporters write, as against what the other tests think that they write.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "lowering.hpp"
#include "onnx_builder.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

namespace fs = std::filesystem;

fs::path folder() { return fs::path(BRAINLOCK_SOURCE_DIR) / "vectors" / "onnx-pytorch"; }

/// An entry of answers.txt (the folder's README has its form).
struct Network {
  enum class Kind { kGraph, kPlan, kRefused };
  Kind kind = Kind::kGraph;
  std::string name;
  std::vector<std::vector<double>> answers;           // one of each sample
  std::set<std::pair<std::string, std::string>> bad;  // operator, node
};

void PrintTo(const Network& net, std::ostream* out) { *out << net.name; }

std::vector<Network> read_networks() {
  std::ifstream file(folder() / "answers.txt");
  std::vector<Network> out;
  for (std::string kind; file >> kind;) {
    Network net;
    std::size_t count = 0, samples = 0;
    file >> net.name >> count;
    if (kind == "refused") {
      net.kind = Network::Kind::kRefused;
      for (std::size_t k = 0; k < count; ++k) {
        std::string op, node;
        file >> op >> node;
        net.bad.emplace(op, node);
      }
    } else {
      net.kind = kind == "plan" ? Network::Kind::kPlan : Network::Kind::kGraph;
      file >> samples;
      net.answers.assign(samples, std::vector<double>(count));
      for (auto& answer : net.answers)
        for (double& v : answer) file >> v;
    }
    out.push_back(std::move(net));
  }
  return out;
}

std::vector<Network> networks(bool refused) {
  std::vector<Network> out;
  for (Network& net : read_networks())
    if ((net.kind == Network::Kind::kRefused) == refused) out.push_back(std::move(net));
  return out;
}

/// The input that the answers of sample `number` are of (1 for the first).
std::vector<float> sample(std::uint64_t number, std::size_t count) {
  std::vector<float> out;
  for (std::uint64_t state = number; out.size() < count;) {
    state = (1103515245 * state + 12345) % (std::uint64_t{1} << 31);
    out.push_back(static_cast<float>(state >> 16 & 255) / 256.0F);
  }
  return out;
}

template <typename Number>
void expect_answer(const std::vector<Number>& got, const std::vector<double>& expected, double tolerance,
                   const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double size = 0;
  for (const double v : expected) size = std::max(size, std::abs(v));
  for (std::size_t k = 0; k < got.size(); ++k)
    ASSERT_NEAR(static_cast<double>(got[k]), expected[k], tolerance * size) << what << ", element " << k;
}

std::string test_name(const testing::TestParamInfo<Network>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// Slot by slot: in a layout, and in the program that is shipped. Its biases hold what the rounding of its weights does
// on average, and here weights are not rounded; in a small net that is some hundredths of an answer.
void expect_plan(const Network& net, const Graph& graph) {
  const std::size_t inputs = graph.nodes[0].shape.size();
  const auto stages = make_stages(graph);
  ASSERT_TRUE(stages.ok()) << stages.error().to_string();
  bool packed = false;
  for (const LayoutChoice& choice : enumerate_choices(*stages, 4096)) {
    const auto lowered = lower(*stages, 4096, choice);
    if (!lowered.ok()) continue;
    packed = true;
    expect_answer(plan::run_slots(lowered->program, sample(1, inputs)), net.answers[0], 1e-3, choice.describe());
    break;
  }
  EXPECT_TRUE(packed);
  CompileOptions options;
  options.profile = *find_profile("precise");
  for (std::uint64_t number = 11; number < 14; ++number) options.calibration.push_back(sample(number, inputs));
  const auto program = compile(graph, options);
  ASSERT_TRUE(program.ok()) << program.error().to_string();
  for (std::size_t k = 0; k < net.answers.size(); ++k)
    expect_answer(plan::run_slots(*program, sample(k + 1, inputs)), net.answers[k], 0.1, "program");
}

class OnnxPytorch : public testing::TestWithParam<Network> {};

TEST_P(OnnxPytorch, ComputesWhatPytorchComputes) {
  const Network& net = GetParam();
  const auto graph = import_onnx_file(folder() / (net.name + ".onnx"));
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  const auto normal = normalise(*graph);
  ASSERT_TRUE(normal.ok()) << normal.error().to_string();
  const std::size_t inputs = graph->nodes[0].shape.size();
  for (std::size_t k = 0; k < net.answers.size(); ++k) {
    const std::vector<float> x = sample(k + 1, inputs);
    expect_answer(run_float(*graph, x), net.answers[k], 1e-5, "imported\n" + to_string(*graph));
    expect_answer(run_float(*normal, x), net.answers[k], 1e-4, "normalised\n" + to_string(*normal));
  }
  if (net.kind == Network::Kind::kPlan) expect_plan(net, *normal);
}

INSTANTIATE_TEST_SUITE_P(Files, OnnxPytorch, testing::ValuesIn(networks(false)), test_name);

class OnnxPytorchRefused : public testing::TestWithParam<Network> {};

TEST_P(OnnxPytorchRefused, NamesAllThatCannotBeRun) {
  const Network& net = GetParam();
  std::vector<ImportIssue> issues;
  ImportOptions options;
  options.issues = &issues;
  const auto graph = import_onnx_file(folder() / (net.name + ".onnx"), options);
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().code, ErrorCode::kUnsupported) << graph.error().to_string();
  std::set<std::pair<std::string, std::string>> named;
  for (const ImportIssue& issue : issues) {
    named.emplace(issue.op, issue.node);
    EXPECT_FALSE(issue.reason.empty() || issue.rewrite.empty()) << issue.node;
  }
  EXPECT_EQ(named, net.bad) << graph.error().to_string();
}

INSTANTIATE_TEST_SUITE_P(Files, OnnxPytorchRefused, testing::ValuesIn(networks(true)), test_name);

// What computes constants and looks for blocks in maps reads what others wrote.
TEST(OnnxPytorchFiles, AFlippedBitIsAnErrorOrAValidGraph) {
  Rng rng(31);
  int errors = 0, graphs = 0;
  for (const Network& net : read_networks()) {
    std::ifstream file(folder() / (net.name + ".onnx"), std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(file), {}};
    ASSERT_FALSE(whole.empty()) << net.name;
    for (int round = 0; round < 60; ++round) {
      std::string flipped = whole;
      flipped[static_cast<std::size_t>(random_int(rng, 0, static_cast<int>(whole.size()) - 1))] ^=
          static_cast<char>(1 << random_int(rng, 0, 7));
      auto graph = import_onnx(std::as_bytes(std::span(flipped)));
      ++(graph.ok() ? graphs : errors);
      if (!graph.ok()) continue;
      EXPECT_TRUE(validate(*graph).ok());
      const auto normal = normalise(std::move(graph).value());
      EXPECT_TRUE(!normal.ok() || validate(*normal).ok());
    }
  }
  EXPECT_GT(errors, 500);
  EXPECT_GT(graphs, 500);
}

TEST(OnnxPytorchFiles, ConstantsThatCannotBeComputedSayWhy) {
  struct Bad {
    const char* what;
    void (*write)(OnnxBuilder&);
    const char* says;
  };
  using Ints = std::vector<std::int64_t>;
  const Bad cases[] = {
      {"long range",
       [](OnnxBuilder& m) {
         m.reals("a", {}, {0}).reals("b", {}, {1e30F}).reals("c", {}, {1}).node("Range", {"a", "b", "c"}, {"k"});
       },
       "out of proportion"},
      {"range of no steps",
       [](OnnxBuilder& m) {
         m.integers("a", {}, {0}).integers("c", {}, {0}).node("Range", {"a", "a", "c"}, {"k"});
       },
       "bounds"},
      {"many tiles",
       [](OnnxBuilder& m) {
         m.reals("a", {2, 2}, {1, 2, 3, 4}).integers("n", {2}, {1 << 30, 1 << 30}).node("Tile", {"a", "n"}, {"k"});
       },
       "out of proportion"},
      {"tiles of another rank",
       [](OnnxBuilder& m) {
         m.reals("a", {2}, {1, 2}).integers("n", {2}, {1, 1}).node("Tile", {"a", "n"}, {"k"});
       },
       "repeats"},
      {"matrices",
       [](OnnxBuilder& m) {
         m.reals("a", {2, 3}, std::vector<float>(6, 1)).node("MatMul", {"a", "a"}, {"k"});
       },
       "do not fit"},
      {"axis",
       [](OnnxBuilder& m) {
         m.reals("a", {2}, {1, 2}).node("ReduceL2", {"a"}, {"k"}, {{"axes", Ints{1}}});
       },
       "axis 1"},
      {"exponential", [](OnnxBuilder& m) { m.reals("a", {1}, {1000}).node("Exp", {"a"}, {"k"}); }, "overflows"},
      {"logarithm", [](OnnxBuilder& m) { m.reals("a", {1}, {-1}).node("Log", {"a"}, {"k"}); }, "overflows"},
      {"another function", [](OnnxBuilder& m) { m.reals("a", {1}, {1}).node("Tan", {"a"}, {"k"}); }, "not followed"},
  };
  for (const Bad& bad : cases) {
    OnnxBuilder m;
    m.input("x", {1, 2}).output("y");
    bad.write(m);
    m.node("Mul", {"x", "k"}, {"y"});
    const auto graph = import_onnx(m.bytes());
    ASSERT_FALSE(graph.ok()) << bad.what;
    EXPECT_NE(graph.error().message.find(bad.says), std::string::npos) << bad.what << ": " << graph.error().to_string();
  }
}

// A folder that is not found would pass for one without networks.
TEST(OnnxPytorchFiles, EachHasAnswersOrRefusals) {
  std::set<std::string> files, named;
  for (const auto& entry : fs::directory_iterator(folder()))
    if (entry.path().extension() == ".onnx") files.insert(entry.path().stem().string());
  std::size_t plans = 0;
  for (const Network& net : read_networks()) {
    named.insert(net.name);
    plans += net.kind == Network::Kind::kPlan ? 1 : 0;
  }
  EXPECT_EQ(files, named);
  EXPECT_GE(files.size(), 50U);
  EXPECT_GE(plans, 10U);
}

}  // namespace
}  // namespace brainlock::compiler
