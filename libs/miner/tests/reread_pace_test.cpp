#include "reread_pace.hpp"

#include <gtest/gtest.h>

namespace brainlock::miner {
namespace {

using namespace std::chrono_literals;

struct RereadPaceTest : testing::Test {
  const RereadPace::Time start = RereadPace::Time{} + 1000h;
  /// Readings within `time`, with somebody refused every `interval` (0: nobody), in steps of a tenth of a second.
  int readings(RereadPace& pace, RereadPace::Duration time, RereadPace::Duration interval) {
    int count = 0;
    for (const auto until = now + time; now < until; now += 100ms) {
      if (interval > 0s && (now - start) % interval == 0s) pace.refuses(now);
      if (now < pace.due()) continue;
      pace.reads(now);
      ++count;
    }
    return count;
  }
  RereadPace::Time now = start;
  RereadPace begun() {
    RereadPace pace(12s, 2s, 60s);
    pace.reads(start);
    return pace;
  }
};

TEST_F(RereadPaceTest, WithoutRefusalsOnceAnInterval) {
  RereadPace pace = begun();
  EXPECT_EQ(readings(pace, 601s, 0s), 50);
}

TEST_F(RereadPaceTest, OneRefusalHasItReadSoon) {
  RereadPace pace = begun();
  pace.refuses(start + 500ms);
  EXPECT_EQ(pace.due(), start + 2s);
  pace.refuses(start + 1900ms);
  EXPECT_EQ(pace.due(), start + 2s);
  pace.reads(start + 2s);
  EXPECT_EQ(pace.due(), start + 14s);
  // Long after a reading it is due at once.
  pace.refuses(start + 9s);
  EXPECT_LE(pace.due(), start + 9s);
}

TEST_F(RereadPaceTest, WhoeverIsRefusedForEverHasItReadAsOftenAsOtherwise) {
  RereadPace pace = begun();
  EXPECT_EQ(readings(pace, 50s, 100ms), 5) << "2, 6, 14, 26, 38";
  EXPECT_EQ(readings(pace, 3600s, 100ms), 300);
}

TEST_F(RereadPaceTest, WhereItIsReadSeldomStrangersHaveItReadOnceAMinute) {
  RereadPace pace(300s, 2s, 60s);
  pace.reads(start);
  EXPECT_LE(readings(pace, 3600s, 100ms), 65);
}

TEST_F(RereadPaceTest, NoRhythmOfRefusalsHasItReadMuchOftener) {
  for (const auto interval : {1s, 3s, 7s, 13s, 20s, 30s, 59s, 61s, 70s, 100s}) {
    now = start;
    RereadPace pace = begun();
    EXPECT_LE(readings(pace, 3600s, interval), 300 + 63) << interval.count() << " s";
  }
  // The worst: silent until it begins anew, then as many as come sooner.
  now = start;
  RereadPace pace = begun();
  int count = 0;
  for (int i = 0; i < 40; ++i) count += readings(pace, 15s, 100ms) + readings(pace, 61s, 0s);
  EXPECT_LE(count, 40 * 76 / 12 + 2 * 40) << "two more in 76 s";
}

TEST_F(RereadPaceTest, ItBeginsAnewWhenNobodyWasRefusedForAWhile) {
  RereadPace pace = begun();
  (void)readings(pace, 600s, 100ms);
  (void)readings(pace, 61s, 0s);
  pace.reads(now);
  pace.refuses(now);
  EXPECT_EQ(pace.due(), now + 2s);
}

// Whatever strangers do: who has just been let in waits for a regular interval, and for a minute where that is longer.
TEST_F(RereadPaceTest, NobodyIsKeptOutByStrangers) {
  for (const auto regular : {1s, 12s, 300s}) {
    now = start;
    RereadPace pace(regular, 2s, 60s);
    pace.reads(start);
    auto last = start;
    for (; now < start + 3600s; now += 100ms) {
      pace.refuses(now);
      ASSERT_LE(now - last, std::min<RereadPace::Duration>(regular, 60s));
      if (now < pace.due()) continue;
      pace.reads(now);
      last = now;
    }
  }
}

}  // namespace
}  // namespace brainlock::miner
