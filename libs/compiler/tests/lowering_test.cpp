// Packing against plain arithmetic: a lowered program, run slot by slot in the clear, equals the network.
#include "lowering.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <optional>
#include <random>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "net_builder.hpp"
#include "onnx_expect.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

/// What plan::validate() asks of every output.
bool all_outputs_have_weights(const plan::Program& program) {
  return std::all_of(program.instructions.begin(), program.instructions.end(), [](const plan::Instruction& instruction) {
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    return linear == nullptr || std::all_of(linear->outputs.begin(), linear->outputs.end(), [](const auto& output) { return !output.weights.empty(); });
  });
}

// Checks up to eight layouts of `slots`, spread over all that are worth trying; returns how many held the network.
int check_all_layouts(const Graph& graph, const std::vector<float>& x, std::uint32_t slots) {
  auto plan = make_stages(graph);
  if (!plan.ok()) {
    ADD_FAILURE() << plan.error().to_string();
    return 0;
  }
  const std::vector<float> want = run_float(graph, x);
  int held = 0;
  const std::vector<LayoutChoice> choices = enumerate_choices(*plan, slots);
  const std::size_t step = std::max<std::size_t>(1, choices.size() / 24);
  for (std::size_t k = 0; k < choices.size() && held < 8; k += step) {
    const LayoutChoice& choice = choices[k];
    auto lowered = lower(*plan, slots, choice);
    if (!lowered.ok()) continue;
    ++held;
    EXPECT_TRUE(all_outputs_have_weights(lowered->program)) << choice.describe();
    const std::vector<double> got = plan::run_slots(lowered->program, x);
    EXPECT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(got[i], static_cast<double>(want[i]), 1e-3 * (1 + std::fabs(want[i]))) << choice.describe() << " element " << i;
    if (testing::Test::HasFailure()) return held;
  }
  return held;
}
int check_all_layouts(NetBuilder& net, std::uint32_t slots) { return check_all_layouts(net.graph(), net.sample(), slots); }

TEST(Lowering, StagesEqualTheNetwork) {
  NetBuilder net(1, {3, 12, 12});
  net.conv(6, 3).quadratic().pool(2).conv(8, 3).quadratic().dense(20).quadratic().dense(7);
  auto plan = make_stages(net.graph());
  ASSERT_TRUE(plan.ok()) << plan.error().to_string();
  ASSERT_EQ(plan->stages.size(), 4U);
  const auto x = net.sample();
  const auto want = run_float(net.graph(), x);
  const auto got = run_stages(*plan, x).back();
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], static_cast<double>(want[i]), 1e-4);
}

TEST(Lowering, ValidConvolutionsAndPools) {
  NetBuilder net(2, {3, 14, 14});
  net.conv(8, 3).quadratic().conv(8, 3).quadratic().pool(2).conv(16, 3).quadratic().dense(5);
  EXPECT_GT(check_all_layouts(net, 1024), 3);
}

TEST(Lowering, MiniVgg) {
  NetBuilder net(3, {3, 20, 20});
  net.conv(8, 3).quadratic().conv(8, 3).quadratic().pool(2).conv(16, 3).quadratic().pool(2).conv(16, 3).quadratic();
  net.dense(32).quadratic().dense(24).quadratic().dense(10);
  EXPECT_GT(check_all_layouts(net, 2048), 3);
}

TEST(Lowering, Strides) {
  NetBuilder net(4, {2, 13, 13});
  net.conv(6, 3, 2).quadratic().conv(7, 2, 2).quadratic().dense(4);
  EXPECT_GT(check_all_layouts(net, 1024), 1);
}

/// The choice with these two, the first of those that hold the network.
std::optional<Lowered> lower_with(const StagePlan& plan, std::uint32_t slots, int parts, bool masks) {
  for (const LayoutChoice& choice : enumerate_choices(plan, slots)) {
    if (choice.parts != parts || choice.masks != masks) continue;
    if (auto lowered = lower(plan, slots, choice); lowered.ok()) return std::move(*lowered);
  }
  return std::nullopt;
}

// Masks leave what zeros among the weights leave, of fewer weights: the map's values, and zeros everywhere else.
TEST(Lowering, MasksMakeTheBorders) {
  NetBuilder net(60, {3, 12, 12});
  net.conv(4, 3, 1, 1).quadratic().conv(8, 3, 2, 1).quadratic().conv(8, 3, 1, 1).quadratic().pool(2).dense(6);
  const auto plan = make_stages(net.graph());
  ASSERT_TRUE(plan.ok()) << plan.error().to_string();
  const auto x = net.sample();
  const std::vector<float> want = run_float(net.graph(), x);
  for (const int parts : {2, 1}) {
    SCOPED_TRACE(parts);
    const auto masked = lower_with(*plan, 2048, parts, true), filled = lower_with(*plan, 2048, parts, false);
    ASSERT_TRUE(masked && filled);
    plan::SlotTrace trace;
    std::map<plan::Register, std::vector<std::complex<double>>> made;
    plan::Noise record;
    record.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<std::complex<double>> slots) {
      made[output.out].assign(slots.begin(), slots.end());
    };
    const auto got = plan::run_slots(masked->program, x, &trace, &record);
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], static_cast<double>(want[i]), 1e-3 * (1 + std::fabs(want[i])));
    std::size_t masks = 0;
    for (std::size_t l = 0; l < masked->stages.size(); ++l) {
      const auto& linear = std::get<plan::Linear>(masked->program.instructions[masked->stages[l].linear].op);
      const auto& other = std::get<plan::Linear>(filled->program.instructions[filled->stages[l].linear].op);
      EXPECT_TRUE(other.masks.empty());
      if (linear.masks.empty()) continue;
      ++masks;
      EXPECT_LT(linear.period, other.period);
      for (std::size_t o = 0; o < linear.outputs.size(); ++o) {
        std::vector<bool> value(2048, false);
        for (const plan::Place& place : masked->stages[l].places)
          if (place.ciphertext == o) value[place.slot] = true;
        for (std::size_t t = 0; t < value.size(); ++t)
          if (!value[t]) { ASSERT_EQ(made.at(linear.outputs[o].out)[t], std::complex<double>()) << "stage " << l << " slot " << t; }
      }
    }
    EXPECT_EQ(masks, 2U);   // of what the second and the third convolution read
    const bool conjugates = std::any_of(masked->program.instructions.begin(), masked->program.instructions.end(), [](const plan::Instruction& i) {
      const auto* square = std::get_if<plan::Square>(&i.op);
      return square != nullptr && square->out.size() == 2;
    });
    EXPECT_EQ(conjugates, parts == 2);
  }
}

// A row may end with just the border that is read: not less, of what a pool makes of it.
TEST(Lowering, PooledBordersNeedRoomBeforeThePool) {
  for (const int size : {10, 11, 12}) {
    NetBuilder net(61, {2, 10, size});
    net.conv(5, 3, 1, 1).quadratic().pool(2).conv(6, 3, 1, 1).quadratic().dense(4);
    EXPECT_GT(check_all_layouts(net, 2048), 0);
  }
}

TEST(Lowering, SamePaddingAndStride) {
  NetBuilder net(5, {3, 12, 12});
  net.conv(4, 3, 1, 1).quadratic().conv(8, 3, 2, 1).quadratic().conv(8, 3, 1, 1).quadratic().dense(6);
  EXPECT_GT(check_all_layouts(net, 2048), 0);
}

TEST(Lowering, LenetLike) {
  NetBuilder net(6, {1, 28, 28});
  net.conv(6, 5).quadratic().pool(2).conv(16, 5).quadratic().pool(2).dense(60).quadratic().dense(42).quadratic().dense(10);
  EXPECT_GT(check_all_layouts(net, 8192), 0);
}

TEST(Lowering, OverlappingPoolAndGlobalPool) {
  NetBuilder net(7, {1, 17, 17});
  net.conv(4, 3).quadratic().pool(3, 2).conv(6, 3).quadratic().pool(5).dense(3);
  EXPECT_GT(check_all_layouts(net, 2048), 0);
}

TEST(Lowering, PoolsInARowOfWhichOneOverlaps) {
  for (int form = 0; form < 3; ++form) {
    NetBuilder net(static_cast<std::uint64_t>(80 + form), {2, 13, 13});
    net.conv(4, 3).quadratic();
    if (form == 2) net.pool(2, 1);
    net.pool(3, 2).pool(form == 2 ? 2 : 5);   // the last one tiles
    if (form > 0) net.conv(3, 1);
    SCOPED_TRACE(form);
    EXPECT_GT(check_all_layouts(net, 1024), 0);
  }
}

TEST(Lowering, StridesAndPoolsOfThree) {
  for (int form = 0; form < 4; ++form) {
    NetBuilder net(static_cast<std::uint64_t>(84 + form), {2, 20, 20});
    net.conv(4, 3).quadratic();
    if (form % 2 == 0)
      net.conv(5, 3, 3);
    else
      net.pool(3).conv(5, 2);
    net.quadratic();
    if (form >= 2) net.conv(6, 2).quadratic();
    net.dense(3);
    SCOPED_TRACE(form);
    EXPECT_GT(check_all_layouts(net, 4096), 0);
  }
}

TEST(Lowering, StridesOverASingleColumn) {
  NetBuilder net(90, {4, 4, 1});
  net.quadratic();
  Graph graph = net.graph();
  graph.nodes.push_back({OpKind::kAveragePool, "pool", {1}, {4, 3, 1}, PoolParams{2, 1, 1, 2}});
  graph.output = 2;
  EXPECT_GT(check_all_layouts(graph, net.sample(), 256), 0);
}

// A padded convolution makes a map of a single position: rows of a dense layer, in channel order.
TEST(Lowering, MapsOfOnePositionGrowByPadding) {
  for (int form = 0; form < 3; ++form) {
    NetBuilder net(static_cast<std::uint64_t>(70 + form), {2, 5, 5});
    net.conv(4, 5).quadratic().conv(3, 2, 1, 1);
    if (form == 1) net.quadratic();
    if (form == 2) net.polynomial(4).dense(3);
    SCOPED_TRACE(form);
    EXPECT_GT(check_all_layouts(net, 1024), 0);
  }
}

TEST(Lowering, Mlp) {
  NetBuilder net(8, {50, 1, 1});
  net.dense(33).quadratic().dense(70).quadratic().dense(9).quadratic().dense(1);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

// y = act(conv(act(conv(x))) + x)
NetBuilder& residual_block(NetBuilder& net, int channels) {
  const int skip = net.here();
  return net.conv(channels, 3, 1, 1).quadratic().conv(channels, 3, 1, 1).add(skip).quadratic();
}

// y = act(conv(act(conv_s2(x))) + conv1x1_s2(x))
NetBuilder& strided_block(NetBuilder& net, int channels) {
  const int skip = net.here();
  const int branch = net.conv(channels, 3, 2, 1).quadratic().conv(channels, 3, 1, 1).here();
  return net.from(skip).conv(channels, 1, 2).add(branch).quadratic();
}

TEST(Lowering, ResidualBlocks) {
  NetBuilder net(31, {3, 12, 12});
  net.conv(4, 3, 1, 1).quadratic();
  residual_block(net, 4);
  strided_block(net, 8);
  net.pool(2).dense(5);
  auto plan = make_stages(net.graph());
  ASSERT_TRUE(plan.ok()) << plan.error().to_string();
  EXPECT_EQ(plan->stages.size(), 8U);
  EXPECT_EQ(plan->ranks(), 6U);
  EXPECT_GT(check_all_layouts(net, 2048), 0);
}

// Zeros among weights leave nothing for a phase beyond the map.
TEST(Lowering, MapsOfFewerRowsThanPhasesAreRefused) {
  NetBuilder net(61, {1, 10, 10});
  net.conv(4, 3, 2, 1).quadratic().conv(3, 3, 1, 1).quadratic().dense(2);
  const auto plan = make_stages(net.graph());
  ASSERT_TRUE(plan.ok()) << plan.error().to_string();
  const auto x = net.sample();
  int held = 0, refused = 0;
  for (const LayoutChoice& choice : enumerate_choices(*plan, 512))
    for (const LowerDepth depth : {LowerDepth::kStructure, LowerDepth::kWeights}) {
      const auto lowered = lower(*plan, 512, choice, depth);
      if (lowered.ok()) {
        ++held;
        EXPECT_TRUE(all_outputs_have_weights(lowered->program)) << choice.describe();
        EXPECT_LE(choice.fy, 5) << choice.describe();
      } else if (lowered.error().message.find("fewer rows or columns than this layout has phases") != std::string::npos) {
        ++refused;
        EXPECT_EQ(choice.fy, 8) << choice.describe();
      }
    }
  EXPECT_GT(held, 0);
  EXPECT_GT(refused, 0);
}

// The sum itself goes on in the shortcut, and what a branch reads is its activation.
TEST(Lowering, ResidualBlocksWithActivationsInFront) {
  NetBuilder net(32, {2, 12, 12});
  net.conv(6, 3);
  for (int block = 0; block < 2; ++block) {
    const int sum = net.here();
    net.quadratic().conv(6, 3, 1, 1).quadratic().conv(6, 3, 1, 1).add(sum);
  }
  net.pool(2).dense(4);   // no activation: the last layer reads a sum as it is
  EXPECT_GT(check_all_layouts(net, 2048), 0);
}

TEST(Lowering, BranchesOfEqualDepthAndThreeTerms) {
  NetBuilder net(33, {2, 10, 10});
  const int start = net.conv(5, 3).quadratic().here();
  const int left = net.conv(6, 3).quadratic().conv(4, 1).here();
  const int middle = net.from(start).conv(3, 3).quadratic().conv(4, 1).here();
  net.from(start).conv(4, 3).add(left).add(middle).quadratic().dense(6);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

TEST(Lowering, ShortcutOverPools) {
  NetBuilder net(34, {1, 14, 14});
  const int start = net.conv(6, 3).quadratic().pool(2).here();
  net.conv(6, 3, 1, 1).quadratic().conv(6, 1).add(start).quadratic().dense(4);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

TEST(Lowering, ResidualMlp) {
  NetBuilder net(35, {40, 1, 1});
  const int image = net.here();
  net.dense(30).quadratic().dense(40).add(image).quadratic();
  const int skip = net.here();
  net.dense(25).quadratic().dense(40).add(skip).quadratic().dense(5);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

TEST(Lowering, LinearLayersInARowAndActivationAtTheEnd) {
  NetBuilder net(36, {3, 10, 10});
  net.conv(4, 3).conv(5, 3).quadratic().quadratic().conv(3, 2).quadratic();
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

class Polynomials : public testing::TestWithParam<int> {};

TEST_P(Polynomials, OfEachDegree) {
  NetBuilder net(static_cast<std::uint64_t>(40 + GetParam()), {2, 10, 10});
  net.conv(5, 3, 1, 1).polynomial(GetParam()).pool(2).conv(6, 3, 1, 1).polynomial(GetParam(), false).dense(8).polynomial(GetParam()).dense(4);
  EXPECT_GT(check_all_layouts(net, 2048), 0);
}

INSTANTIATE_TEST_SUITE_P(Degrees, Polynomials, testing::Range(3, 9));

// Nothing but the highest power: one square is the other's double, or there is none to subtract.
TEST(Lowering, PurePowers) {
  for (const std::size_t round : {3U, 4U, 6U, 8U, 14U, 18U}) {
    const std::size_t power = round % 10;
    NetBuilder net(50, {2, 8, 8});
    net.conv(3, 3);
    PolynomialParams p{std::vector<std::vector<double>>(power + 1, {0.0})};
    p.coefficients[power] = {round < 10 ? 0.5 : -0.5};
    net.polynomial(p).dense(3);
    SCOPED_TRACE(round);
    EXPECT_GT(check_all_layouts(net, 1024), 0);
    if (power == 4) {
      EXPECT_EQ(make_stages(net.graph())->stages.size(), 3U);
    }
  }
}

TEST(Lowering, OneChannelPolynomial) {
  NetBuilder net(51, {1, 8, 8});
  net.conv(1, 3).polynomial(4).conv(1, 2).polynomial(3).dense(2);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

TEST(Lowering, PolynomialsInResidualBlocks) {
  NetBuilder net(52, {2, 8, 8});
  const int start = net.conv(4, 3, 1, 1).polynomial(3).here();
  net.conv(4, 3, 1, 1).polynomial(4).conv(4, 3, 1, 1).add(start).polynomial(4).dense(3);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

// Random small networks of all of it.
TEST(Lowering, RandomBranchesAndPolynomials) {
  std::mt19937 random(7);
  const auto pick = [&](int low, int high) { return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)); };
  int held = 0;
  for (std::uint64_t round = 0; round < 12; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    NetBuilder net(100 + round, {pick(1, 3), 8, 8});
    const int channels = pick(2, 5);
    net.conv(channels, 3, 1, 1);
    const auto activation = [&] { pick(0, 1) == 0 ? net.quadratic() : net.polynomial(pick(3, 4)); };
    activation();
    for (int block = pick(1, 2); block > 0; --block) {
      const int skip = net.here();
      net.conv(pick(2, 5), 3, 1, 1);
      activation();
      net.conv(channels, pick(0, 1) == 0 ? 1 : 3, 1, 0);
      if (net.graph().nodes.back().shape != net.graph().nodes[static_cast<std::size_t>(skip)].shape) {   // unpadded 3x3: so is the shortcut
        const int branch = net.here();
        net.from(skip).conv(channels, 3).add(branch);
      } else {
        net.add(skip);
      }
      if (pick(0, 2) > 0) activation();
    }
    net.dense(3);
    held += check_all_layouts(net, 1024);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(held, 12);
}

// What import makes of other forms of convolution, of padding, of shortcuts and of joined branches, up to the slots.
class ExportedNets : public testing::TestWithParam<int> {};

TEST_P(ExportedNets, AreLowered) {
  using Ints = std::vector<std::int64_t>;
  Rng rng(static_cast<unsigned>(60 + GetParam()));
  OnnxBuilder m;
  const auto weights = [&](const char* name, const Ints& dims) {
    std::size_t count = 1;
    for (auto d : dims) count *= static_cast<std::size_t>(d);
    m.reals(name, dims, random_reals(rng, count, -0.5f, 0.5f));
  };
  m.input("x", GetParam() == 1 ? Ints{1, 10, 10, 2} : GetParam() == 7 ? Ints{1, 2, 40} : Ints{1, 2, 10, 10}).output("y");
  weights("w", {4, 2, 3, 3});
  weights("v", {4, 4, 3, 3});
  weights("g", {4, 1, 3, 3});
  weights("p", {4, 4, 1, 1});
  weights("u", {4, 8, 3, 3});
  weights("u2", {8, 4, 3, 3});
  const OnnxBuilder::Attributes same{{"pads", Ints{1, 1, 1, 1}}};
  switch (GetParam()) {
    case 0:   // separable, then dilated
      m.node("Conv", {"x", "w"}, {"c"}, same).node("Mul", {"c", "c"}, {"q"});
      m.node("Conv", {"q", "g"}, {"d"}, {{"pads", Ints{1, 1, 1, 1}}, {"group", std::int64_t{4}}}).node("Conv", {"d", "p"}, {"e"}).node("Mul", {"e", "e"}, {"r"});
      m.node("Conv", {"r", "v"}, {"f"}, {{"pads", Ints{2, 2, 2, 2}}, {"dilations", Ints{2, 2}}}).node("Mul", {"f", "f"}, {"y"});
      break;
    case 1:   // channels last, normalised in the graph before padding
      m.reals("mean", {2}, {0.3f, -0.2f}).reals("factor", {2}, {2, 3}).node("Sub", {"x", "mean"}, {"s"}).node("Mul", {"s", "factor"}, {"n"});
      m.node("Transpose", {"n"}, {"t"}, {{"perm", Ints{0, 3, 1, 2}}}).node("Conv", {"t", "w"}, {"c"}, same).node("Mul", {"c", "c"}, {"q"});
      m.node("GlobalAveragePool", {"q"}, {"y"});
      break;
    case 2:   // padding before a convolution and alone
      m.integers("pads", {8}, {0, 0, 1, 0, 0, 0, 0, 1}).node("Conv", {"x", "w"}, {"c"}, same).node("Mul", {"c", "c"}, {"q"});
      m.node("Pad", {"q", "pads"}, {"a"}).node("Conv", {"a", "v"}, {"d"}, {{"strides", Ints{2, 2}}}).node("Mul", {"d", "d"}, {"r"});
      m.node("Pad", {"r", "pads"}, {"b"}).node("Mul", {"b", "b"}, {"y"});
      break;
    case 3:   // the shortcut of a ResNet of kind A
      m.integers("zero", {2}, {0, 0}).integers("ends", {2}, {10, 10}).integers("axes", {2}, {2, 3}).integers("two", {2}, {2, 2});
      m.integers("pads", {8}, {0, 2, 0, 0, 0, 2, 0, 0}).node("Conv", {"x", "w"}, {"c"}, same).node("Mul", {"c", "c"}, {"q"});
      m.node("Slice", {"q", "zero", "ends", "axes", "two"}, {"s"}).node("Pad", {"s", "pads"}, {"skip"});
      m.node("Conv", {"q", "u2"}, {"d"}, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}).node("Add", {"d", "skip"}, {"e"}).node("Mul", {"e", "e"}, {"y"});
      break;
    case 4:   // branches joined
      m.node("Conv", {"x", "w"}, {"c"}, same).node("Mul", {"c", "c"}, {"q"}).node("Conv", {"q", "p"}, {"a"}).node("Conv", {"q", "v"}, {"b"}, same);
      m.node("Mul", {"a", "a"}, {"aa"}).node("Mul", {"b", "b"}, {"bb"}).node("Concat", {"aa", "bb"}, {"j"}, {{"axis", std::int64_t{1}}});
      m.node("Conv", {"j", "u"}, {"d"}, same).node("Mul", {"d", "d"}, {"y"});
      break;
    case 5:   // a padded pool
      m.node("Conv", {"x", "w"}, {"c"}, same).node("Mul", {"c", "c"}, {"q"});
      m.node("AveragePool", {"q"}, {"a"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"count_include_pad", std::int64_t{1}}});
      m.node("Conv", {"a", "v"}, {"d"}, same).node("Mul", {"d", "d"}, {"y"});
      break;
    case 6:   // pools and powers of the image itself
      m.node("AveragePool", {"x"}, {"a"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}).node("Mul", {"a", "a"}, {"q"});
      m.node("Conv", {"q", "w"}, {"c"}).node("Mul", {"c", "c"}, {"y"});
      break;
    default:   // one dimension
      weights("w1", {4, 2, 5});
      weights("v1", {4, 4, 3});
      m.node("Conv", {"x", "w1"}, {"c"}, {{"strides", Ints{2}}, {"pads", Ints{2, 2}}}).node("Mul", {"c", "c"}, {"q"});
      m.node("AveragePool", {"q"}, {"a"}, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}}).node("Conv", {"a", "v1"}, {"d"}, {{"pads", Ints{1, 1}}}).node("Mul", {"d", "d"}, {"y"});
  }
  const Graph graph = normalise_ok(import_ok(m));
  ASSERT_FALSE(graph.nodes.empty());
  SCOPED_TRACE(to_string(graph));
  EXPECT_GT(check_all_layouts(graph, random_reals(rng, graph.nodes[0].shape.size()), 4096), 0);
}

INSTANTIATE_TEST_SUITE_P(Forms, ExportedNets, testing::Range(0, 8));

TEST(Lowering, ListsEveryLayerItCannotPack) {
  NetBuilder net(9, {3, 8, 8});
  net.conv(4, 3).polynomial(9).conv(4, 1).quadratic().pool(3, 1).conv(4, 3, 1, 1).polynomial(12).dense(2);
  auto plan = make_stages(net.graph());
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
  for (const char* part : {"n2 (polynomial): an activation of degree 9; use", "n6 (conv): a padded convolution after this average pool is not covered; pad before",
                           "n7 (polynomial): an activation of degree 12; use"})
    EXPECT_NE(plan.error().message.find(part), std::string::npos) << plan.error().message;
}

TEST(Lowering, AnImageThatTwoConvolutionsReadIsRefusedByName) {
  NetBuilder net(10, {3, 8, 8});
  const int left = net.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).here();
  net.from(0).conv(4, 1).add(left).quadratic().dense(2);
  auto plan = make_stages(net.graph());
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(plan.error().message.find("input (input): the image is read by 2 layers; let one convolution"), std::string::npos) << plan.error().message;
}

// Strides of 2 and 2 in one branch, of 4 in the other: the same shape, but in some layouts other phases.
TEST(Lowering, BranchesThatComeToOtherPlacesAreRefusedOrRight) {
  NetBuilder net(37, {1, 16, 16});
  const int start = net.conv(4, 1).quadratic().here();
  const int left = net.conv(4, 1, 2).quadratic().conv(4, 1, 2).here();
  net.from(start).conv(4, 1, 4).add(left).quadratic().dense(2);
  EXPECT_GT(check_all_layouts(net, 1024), 0);
}

}  // namespace
}  // namespace brainlock::compiler
