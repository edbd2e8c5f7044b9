#include "levels.hpp"

#include <gtest/gtest.h>

namespace brainlock::compiler {
namespace {

/// Layers of ordinary size, one like the other.
LevelRequest request_of(std::size_t ranks) {
  LevelRequest request;
  request.ring_degree = 1U << 15;
  request.max_log_qp = 881;
  request.target_error = 0.01;
  request.input_gain = 1e-3;
  StageNeeds needs;
  needs.later_gain = 1;
  needs.weight_noise = 100;
  needs.weight_gain = 1;
  needs.out_rms = 1;
  needs.out_max = 8;
  needs.macs = 100;
  needs.key_switches = 10;
  needs.hoisted = 10;
  request.stages.assign(ranks, needs);
  return request;
}

TEST(Levels, AreTheSameForAnyNumberOfThreads) {
  const LevelRequest request = request_of(6);
  const auto one = search_levels(request, Refreshing::kNever, 1), three = search_levels(request, Refreshing::kNever, 3);
  ASSERT_FALSE(one.empty());
  ASSERT_EQ(one.size(), three.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].limbs_in, three[i].limbs_in);
    EXPECT_EQ(one[i].weight_scale_log2, three[i].weight_scale_log2);
    EXPECT_EQ(one[i].parameters.q, three[i].parameters.q);
    EXPECT_EQ(one[i].relative_error, three[i].relative_error);
    EXPECT_LE(one[i].log_qp, request.max_log_qp);
  }
}

// The other way round it need not be: limbs alone make no chain.
TEST(Levels, NoneAreFoundWhereNoPlainChainMayHold) {
  int held = 0, deepest = 0;
  for (std::size_t ranks = 2; ranks <= 42; ranks += 5) {
    const LevelRequest request = request_of(ranks);
    const bool found = !search_levels(request, Refreshing::kNever, 2).empty();
    EXPECT_TRUE(!found || plain_chain_may_hold(request.max_log_qp, ranks)) << ranks;
    held += found ? 1 : 0;
    if (plain_chain_may_hold(request.max_log_qp, ranks)) deepest = static_cast<int>(ranks);
  }
  EXPECT_GE(held, 2);
  EXPECT_LT(deepest, 40);
}

}  // namespace
}  // namespace brainlock::compiler
