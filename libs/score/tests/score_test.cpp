#include "brainlock/score/score.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace brainlock::score {
namespace {

constexpr std::int64_t kNow = 1'760'000'000'000;

std::vector<Observation> successes(std::size_t count, double seconds) {
  std::vector<Observation> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back({kNow - static_cast<std::int64_t>(i) * 1000, true, seconds});
  return all;
}

// The golden values of the subnet's README.
TEST(Score, GoldenValues) {
  EXPECT_DOUBLE_EQ(penalised_score(40.0, 0.0).value(), 1.0);
  EXPECT_DOUBLE_EQ(penalised_score(20.0, 0.0).value(), 8.0);
  EXPECT_DOUBLE_EQ(penalised_score(20.0, 0.20).value(), 8.0);
  EXPECT_NEAR(penalised_score(20.0, 0.21).value(), 2.285714, 1e-6);
  EXPECT_NEAR(penalised_score(20.0, 0.30).value(), 8.388e-4, 1e-7);
  EXPECT_DOUBLE_EQ(penalised_score(80.0, 0.0).value(), 0.125);
}

TEST(Score, TotalFailureIsNearlyNothingAndNeverNegative) {
  const double worst = penalised_score(0.001, 1.0).value();
  EXPECT_GE(worst, 0.0);
  EXPECT_LT(worst, 1e-15);
}

TEST(Score, DivisorGrowsWithEveryFailure) {
  double before = 0.0;
  for (int percent = 20; percent <= 100; ++percent) {
    const double divisor = failure_divisor(percent / 100.0).value();
    EXPECT_GT(divisor, before);
    before = divisor;
  }
}

TEST(Score, RefusesWhatIsNoTimeOrRate) {
  for (double bad : {0.0, -1.0, 1e-200, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(response_score(bad).error().code, ErrorCode::kInvalidArgument);
  }
  for (double bad : {-0.01, 1.01, std::nan("")}) {
    EXPECT_EQ(failure_divisor(bad).error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(penalised_score(1.0, bad).ok());
  }
}

TEST(Judge, NobodyAskedMeansZero) {
  const Standing standing = judge({}, kNow);
  EXPECT_EQ(standing.score, 0.0);
  EXPECT_EQ(standing.requests, 0U);
  EXPECT_EQ(standing.failure_rate, 0.0);
}

TEST(Judge, NoSuccessIsZero) {
  std::vector<Observation> all(10, {kNow - 5, false, 1.0});
  const Standing standing = judge(all, kNow);
  EXPECT_EQ(standing.score, 0.0);
  EXPECT_EQ(standing.failures, 10U);
  EXPECT_EQ(standing.failure_rate, 1.0);
}

TEST(Judge, TakesTheMedianOfTheSuccesses) {
  std::vector<Observation> all = {{kNow - 1, true, 40.0}, {kNow - 2, true, 20.0}, {kNow - 3, true, 0.001}};
  EXPECT_DOUBLE_EQ(judge(all, kNow).score, 8.0);  // one lucky answer changes nothing
  EXPECT_DOUBLE_EQ(judge(all, kNow).median_response_s, 20.0);
  all.push_back({kNow - 4, true, 40.0});
  EXPECT_DOUBLE_EQ(judge(all, kNow).score, 4.5);  // even count: between 1 and 8
}

TEST(Judge, CountsTheNewestFortyOnly) {
  auto all = successes(40, 20.0);
  for (int i = 0; i < 100; ++i) all.push_back({kNow - 1'000'000 - i, false, 0.0});
  const Standing standing = judge(all, kNow);
  EXPECT_EQ(standing.requests, 40U);
  EXPECT_DOUBLE_EQ(standing.score, 8.0);
}

TEST(Judge, OrderOfRowsDoesNotMatter) {
  auto all = successes(60, 20.0);
  for (std::size_t i = 0; i < 60; i += 3) all[i] = {all[i].time_ms, false, 0.0};
  const Standing forward = judge(all, kNow);
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(judge(all, kNow).score, forward.score);
  EXPECT_EQ(judge(all, kNow).failures, forward.failures);
}

TEST(Judge, EightFailuresOfFortyAreFreeAndNineAreNot) {
  auto all = successes(40, 20.0);
  for (std::size_t i = 0; i < 8; ++i) all[i].success = false;
  EXPECT_DOUBLE_EQ(judge(all, kNow).score, 8.0);
  all[8].success = false;
  EXPECT_NEAR(judge(all, kNow).score, 8.0 / (1.0 + std::pow(2.5, 2.5)), 1e-9);
}

TEST(Judge, ADeadMinerReachesZeroWithinTheWindow) {
  const auto all = successes(40, 10.0);
  const Rule rule;
  EXPECT_GT(judge(all, kNow + rule.window_ms - 60'000).score, 0.0);
  EXPECT_EQ(judge(all, kNow + rule.window_ms).score, 0.0);  // nothing asked since, everything too old
  // And if it is asked on and fails, far sooner: after nine failures the penalty bites.
  auto failing = all;
  for (int i = 1; i <= 40; ++i) {
    failing.push_back({kNow + i, false, 0.0});
    if (i >= 20) {
      EXPECT_LT(judge(failing, kNow + i).score, 1e-9);
    }
  }
  EXPECT_EQ(judge(failing, kNow + 41).score, 0.0);
}

TEST(Judge, ABrokenTimeCountsAsAFailure) {
  auto all = successes(10, 20.0);
  all[0].response_s = 0.0;
  all[1].response_s = std::nan("");
  all[2].response_s = -3.0;
  const Standing standing = judge(all, kNow);
  EXPECT_EQ(standing.failures, 3U);
  EXPECT_NEAR(standing.failure_rate, 0.3, 1e-12);
}

TEST(Judge, RowsFromTheFutureCountAsNow) {
  std::vector<Observation> all = {{kNow + 3'600'000, true, 20.0}};
  EXPECT_DOUBLE_EQ(judge(all, kNow).score, 8.0);
}

TEST(Confidence, GrowsWithTheRequestsAndLeavesTheScoreAlone) {
  EXPECT_EQ(confidence(0), 0.0);
  EXPECT_EQ(confidence(1), 1.0 / 16);
  EXPECT_EQ(confidence(8), 0.5);
  EXPECT_EQ(confidence(16), 1.0);
  EXPECT_EQ(confidence(40), 1.0);
  Rule at_once;
  at_once.confident_requests = 0;
  EXPECT_EQ(confidence(0, at_once), 1.0);
  const Observation one[] = {{kNow, true, 20.0}};
  EXPECT_DOUBLE_EQ(judge(one, kNow).score, 8.0);
}

TEST(Cosine, KnownAngles) {
  const double a[] = {1.0, 0.0};
  const double b[] = {1.0, 1.0};
  const double c[] = {-2.0, 0.0};
  const double d[] = {0.0, 5.0};
  EXPECT_NEAR(cosine_similarity(a, b).value(), std::sqrt(0.5), 1e-15);
  EXPECT_DOUBLE_EQ(cosine_similarity(a, c).value(), -1.0);
  EXPECT_DOUBLE_EQ(cosine_similarity(a, d).value(), 0.0);
  const double tiny[] = {1e-300, 2e-300};
  const double large[] = {1e300, 2e300};
  EXPECT_NEAR(cosine_similarity(tiny, large).value(), 1.0, 1e-15);
}

TEST(Cosine, RefusesWhatCannotBeCompared) {
  const double a[] = {1.0, 0.0};
  const double zero[] = {0.0, 0.0};
  const double bad[] = {std::nan(""), 0.0};
  EXPECT_EQ(cosine_similarity(a, std::span(a).first(1)).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(cosine_similarity({}, {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(cosine_similarity(a, zero).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(cosine_similarity(a, bad).error().code, ErrorCode::kInvalidArgument);
  EXPECT_DOUBLE_EQ(cosine_similarity(zero, zero).value(), 1.0);
}

}  // namespace
}  // namespace brainlock::score
