#include "brainlock/update/judge.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

namespace brainlock::update {
namespace {

struct JudgeTest : testing::Test {
  Release release = sample_release();
  State state = sample_state();
  Situation situation;
  void SetUp() override {
    situation = {};
    situation.installed = {0, 1, 0};
    situation.architecture = "x86_64";
    situation.glibc = {2, 36};
    situation.now_s = kNow;
  }
  Verdict verdict() { return judge(release, situation, state).verdict; }
};

TEST_F(JudgeTest, ReadyAndNothingNew) {
  EXPECT_EQ(verdict(), Verdict::kReady);
  situation.installed = release.version;
  EXPECT_EQ(verdict(), Verdict::kNothingNew);
}

TEST_F(JudgeTest, EveryRefusalHasANameAndANextStep) {
  const auto refused = [&](Verdict expected) {
    const Judgement found = judge(release, situation, state);
    EXPECT_EQ(found.verdict, expected) << found.found;
    EXPECT_TRUE(is_refusal(found.verdict));
    EXPECT_FALSE(found.found.empty());
    EXPECT_FALSE(found.next.empty());
    release = sample_release();
    state = sample_state();
    SetUp();
  };
  release.created_s = kNow + 2 * kDay;
  release.expires_s = kNow + 3 * kDay;
  refused(Verdict::kClock);
  state.newest_created_s = kNow + 2 * kDay;  // seen by a clock that has been set back since
  refused(Verdict::kClock);
  release.expires_s = kNow;
  refused(Verdict::kExpired);
  state.highest_seen = Version{0, 2, 1};
  refused(Verdict::kReplayed);
  state.highest_seen = release.version;
  state.newest_created_s = release.created_s + 1;  // the same version, of before its roll-out was stopped
  refused(Verdict::kReplayed);
  situation.installed = {0, 3, 0};
  refused(Verdict::kDowngrade);
  situation.architecture = "aarch64";
  refused(Verdict::kArchitecture);
  situation.glibc = {2, 35};
  refused(Verdict::kGlibc);
  release.straight_from = {0, 1, 5};
  refused(Verdict::kStepMissing);
  situation.store = StoreFacts{1, 3};
  release.store = {2, 3};
  refused(Verdict::kStoreTooOld);
  situation.store = StoreFacts{4, 4};
  refused(Verdict::kStoreTooOld);
  situation.store = StoreFacts{2, 2};
  refused(Verdict::kNoWayBack);
  state.failed = {{release.version, kNow - 5, "it did not start"}};
  refused(Verdict::kFailedBefore);
}

TEST_F(JudgeTest, BordersOfTime) {
  release.expires_s = kNow + 1;
  EXPECT_EQ(verdict(), Verdict::kReady);
  release.expires_s = kNow + kDay;
  release.created_s = kNow + kDay;  // a clock may differ by a day
  EXPECT_EQ(verdict(), Verdict::kReady);
  release.created_s = kNow + kDay + 1;
  EXPECT_EQ(verdict(), Verdict::kClock);
}

TEST_F(JudgeTest, TheSameManifestAgainIsNoReplay) {
  remember(state, release);
  EXPECT_EQ(verdict(), Verdict::kReady);
  remember(state, release);
  EXPECT_EQ(state.highest_seen, release.version);
  EXPECT_EQ(state.newest_created_s, release.created_s);
}

TEST_F(JudgeTest, AnOlderVersionByNameIsNoReplayButAgeCounts) {
  state.highest_seen = Version{0, 3, 0};
  state.newest_created_s = release.created_s + 100;
  EXPECT_EQ(verdict(), Verdict::kReplayed);
  situation.named = true;
  EXPECT_EQ(verdict(), Verdict::kReady);
  situation.installed = {0, 2, 1};
  EXPECT_EQ(verdict(), Verdict::kDowngrade);
  situation.installed = {0, 1, 0};
  release.expires_s = kNow;
  EXPECT_EQ(verdict(), Verdict::kExpired);
}

TEST_F(JudgeTest, Stores) {
  situation.store = StoreFacts{0, 3};
  EXPECT_EQ(verdict(), Verdict::kReady);
  situation.store = StoreFacts{1, 3};
  EXPECT_EQ(verdict(), Verdict::kReady);
  situation.store = StoreFacts{2, 2};
  EXPECT_EQ(verdict(), Verdict::kNoWayBack);
  situation.one_way = true;
  EXPECT_EQ(verdict(), Verdict::kReady);
  release.store = {3, 3};  // that is no matter of being asked for
  EXPECT_EQ(verdict(), Verdict::kStoreTooOld);
}

TEST_F(JudgeTest, AFailureIsTriedAgainWhenAskedFor) {
  note_failure(state, {release.version, kNow - 5, "it did not start"});
  EXPECT_EQ(verdict(), Verdict::kFailedBefore);
  situation.now = true;
  EXPECT_EQ(verdict(), Verdict::kFailedBefore);
  situation.again = true;
  EXPECT_EQ(verdict(), Verdict::kReady);
  situation.again = false;
  release.version = {0, 2, 1};  // another version is another matter
  EXPECT_EQ(verdict(), Verdict::kReady);
}

TEST_F(JudgeTest, RollOut) {
  const unsigned place = rollout_place(state.operator_id, release.version);
  ASSERT_GT(place, 0U);
  ASSERT_LT(place, 99U);
  release.rollout = {{kNow - 10, place}, {kNow + 1000, place + 1}};
  const Judgement waits = judge(release, situation, state);
  EXPECT_EQ(waits.verdict, Verdict::kWaits);
  EXPECT_FALSE(is_refusal(waits.verdict));
  EXPECT_EQ(waits.expected_s, kNow + 1000);
  situation.now_s = kNow + 999;
  EXPECT_EQ(verdict(), Verdict::kWaits);
  situation.now_s = kNow + 1000;
  EXPECT_EQ(verdict(), Verdict::kReady);
  SetUp();
  situation.now = true;
  EXPECT_EQ(verdict(), Verdict::kReady);
  situation.now = false;
  release.rollout = {{kNow - 10, place}};
  EXPECT_EQ(verdict(), Verdict::kWaits);
  EXPECT_FALSE(judge(release, situation, state).expected_s);
  release.rollout = {};
  EXPECT_EQ(verdict(), Verdict::kWaits);
  release.rollout = {{0, place + 1}};
  EXPECT_EQ(verdict(), Verdict::kReady);
}

TEST(RolloutPlace, IsSpreadAndChangesWithTheVersion) {
  std::vector<int> count(100);
  int moved = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = std::to_string(i);
    const unsigned place = rollout_place(id, {0, 2, 0});
    ASSERT_LT(place, 100U);
    ++count[place];
    EXPECT_EQ(place, rollout_place(id, {0, 2, 0}));
    if (place != rollout_place(id, {0, 2, 1})) ++moved;
  }
  // 100 expected in each, a deviation of 10: five of them.
  for (const int here : count) EXPECT_NEAR(here, 100, 50);
  EXPECT_GT(moved, 9'800);
}

TEST(Judge, WhatIsNotOfNowIsNotRemembered) {
  Release release = sample_release();
  State state = sample_state();
  EXPECT_TRUE(is_current(release, kNow, state));
  release.created_s = kNow + 10 * kDay;
  release.expires_s = kNow + 20 * kDay;
  EXPECT_FALSE(is_current(release, kNow, state));  // or it would make every later manifest a replay
  release.created_s = kNow - 2 * kDay;
  release.expires_s = kNow - kDay;
  EXPECT_FALSE(is_current(release, kNow, state));
}

}  // namespace
}  // namespace brainlock::update
