#include "outage.hpp"

#include <gtest/gtest.h>

namespace brainlock::validator {
namespace {

using namespace std::chrono_literals;
using Verdict = OutageWatch::Verdict;

struct OutageTest : testing::Test {
  const OutageWatch::Time start = std::chrono::steady_clock::now();
  OutageWatch watch;
  OutageWatch::Time at(OutageWatch::Duration after) const { return start + after; }
  void block(OutageWatch::Duration after, std::uint64_t number) { watch.looked(at(after), number, 12s); }
  void no_ledger(OutageWatch::Duration after) { watch.looked(at(after), {}, 12s); }
  Verdict judge(OutageWatch::Duration begun, OutageWatch::Duration ended, std::optional<OutageWatch::Duration> word = {}) const {
    return watch.judge(at(begun), at(ended), word ? std::optional(at(*word)) : std::nullopt);
  }
};

TEST_F(OutageTest, WhereSomebodyIsHeardASilenceCounts) {
  block(0s, 10);
  no_ledger(12s);
  watch.heard(at(3s));
  EXPECT_EQ(judge(1s, 6s), Verdict::kCounts);
  watch.heard(at(125s));
  EXPECT_EQ(judge(4s, 121s, 5s), Verdict::kCounts) << "a moment later";
  EXPECT_EQ(judge(200s, 320s, 318s), Verdict::kCounts) << "it spoke itself";
}

TEST_F(OutageTest, WhereNobodyIsHeardTheLedgerDecides) {
  watch.heard(at(0s));
  block(0s, 10);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOpen);
  block(7s, 10);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOpen);
  block(14s, 11);
  EXPECT_EQ(judge(1s, 6s), Verdict::kCounts) << "whoever owns all miners cannot excuse them";
}

TEST_F(OutageTest, WithoutTheLedgerItIsOurs) {
  watch.heard(at(0s));
  block(0s, 10);
  no_ledger(7s);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOurs);
  // It stays so when the line is back.
  block(100s, 18);
  block(112s, 19);
  watch.heard(at(100s));
  EXPECT_EQ(judge(1s, 6s), Verdict::kOurs);
  EXPECT_EQ(judge(90s, 95s), Verdict::kCounts) << "nobody looked then; in doubt against the miner";
  // Broken off in the middle of an answer.
  EXPECT_EQ(judge(-10s, 110s, -1s), Verdict::kCounts) << "others were heard after its last word";
  EXPECT_EQ(judge(-10s, 60s, 1s), Verdict::kOurs);
}

TEST_F(OutageTest, ALedgerOfOurOwnMachineThatStandsStillIsNoLine) {
  watch.heard(at(0s));
  for (int second = 0; second < 66; second += 6) block(std::chrono::seconds(second), 10);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOpen) << "a minute is not over";
  block(66s, 10);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOurs);
  EXPECT_EQ(judge(40s, 45s), Verdict::kOpen);
  block(101s, 10);
  EXPECT_EQ(judge(40s, 45s), Verdict::kOurs);
  // Back again, with all that it missed.
  block(110s, 19);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOurs);
  EXPECT_EQ(judge(103s, 108s), Verdict::kOpen);
  block(122s, 20);
  EXPECT_EQ(judge(103s, 108s), Verdict::kCounts);
}

TEST_F(OutageTest, SlowLedgersHaveMoreTime) {
  for (int second = 0; second <= 120; second += 10) watch.looked(at(std::chrono::seconds(second)), 10, 30s);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOpen);
  watch.looked(at(151s), 10, 30s);
  EXPECT_EQ(judge(1s, 6s), Verdict::kOurs);
}

TEST_F(OutageTest, OneWordDoesNotHideALaterSilence) {
  watch.heard(at(2s));
  no_ledger(20s);
  EXPECT_EQ(judge(1s, 6s), Verdict::kCounts);
  EXPECT_EQ(judge(8s, 13s), Verdict::kOurs);
}

}  // namespace
}  // namespace brainlock::validator
