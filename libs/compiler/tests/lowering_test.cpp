// Packing against plain arithmetic: a lowered program, run slot by slot in the clear, equals the network.
#include "lowering.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "net_builder.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

// Checks up to eight layouts of `slots`, spread over all that are worth trying; returns how many held the network.
int check_all_layouts(NetBuilder& net, std::uint32_t slots) {
  const Graph graph = net.graph();
  auto plan = make_stages(graph);
  EXPECT_TRUE(plan.ok()) << plan.error().to_string();
  const std::vector<float> x = net.sample();
  const std::vector<float> want = run_float(graph, x);
  int held = 0;
  const std::vector<LayoutChoice> choices = enumerate_choices(*plan, slots);
  const std::size_t step = std::max<std::size_t>(1, choices.size() / 24);
  for (std::size_t k = 0; k < choices.size() && held < 8; k += step) {
    const LayoutChoice& choice = choices[k];
    auto lowered = lower(*plan, slots, choice);
    if (!lowered.ok()) continue;
    ++held;
    const std::vector<double> got = plan::run_slots(lowered->program, x);
    EXPECT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(got[i], static_cast<double>(want[i]), 1e-3 * (1 + std::fabs(want[i]))) << choice.describe() << " element " << i;
    if (testing::Test::HasFailure()) return held;
  }
  return held;
}

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
