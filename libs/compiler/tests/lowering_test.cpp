// Packing against plain arithmetic: a lowered program, run slot by slot in the clear, equals the network.
#include "lowering.hpp"

#include <gtest/gtest.h>

#include <cmath>

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

TEST(Lowering, ListsEveryLayerItCannotPack) {
  NetBuilder net(9, {3, 8, 8});
  net.conv(4, 3).conv(4, 3).quadratic();
  auto plan = make_stages(net.graph());
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace brainlock::compiler
