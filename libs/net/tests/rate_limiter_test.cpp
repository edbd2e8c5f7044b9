// Buckets of tokens: what they allow, and that a flood of names neither fills memory nor costs others theirs.
#include "brainlock/net/rate_limiter.hpp"

#include <gtest/gtest.h>

namespace brainlock::net {
namespace {

using namespace std::chrono_literals;
using Time = RateLimiter::Clock::time_point;

TEST(RateLimiter, AllowsABurstAndThenTheRate) {
  RateLimiter limiter(8, 64);
  const Time now{};
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limiter.allow("a", now) ? 1 : 0;
  EXPECT_EQ(allowed, 64);
  EXPECT_TRUE(limiter.allow("b", now)) << "another name has tokens of its own";
  for (int i = 0; i < 1000; ++i) allowed += limiter.allow("a", now + 1ms * (i + 1)) ? 1 : 0;
  EXPECT_EQ(allowed, 64 + 8) << "within the next second";
  // After a long rest no more than a burst.
  for (int i = 0; i < 1000; ++i) allowed += limiter.allow("a", now + 1h) ? 1 : 0;
  EXPECT_EQ(allowed, 64 + 8 + 64);
}

TEST(RateLimiter, ForgetsWhatIsFullAgainAndTheLeastRecentWhenThereIsNoRoom) {
  RateLimiter limiter(1, 2, 100);
  const Time now{};
  for (int i = 0; i < 100'000; ++i) limiter.allow("name " + std::to_string(i), now + 1us * i);
  EXPECT_EQ(limiter.size(), 100u);
  for (int i = 0; i < 60; ++i) limiter.allow("a", now + 1h + 1s * i);
  EXPECT_EQ(limiter.size(), 1u) << "all the others are full again";

  // A flood of other names does not refill one that is in use.
  for (int i = 0; i < 10; ++i) limiter.allow("busy", now + 2h);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(limiter.allow("busy", now + 2h));
    limiter.allow("flood " + std::to_string(i), now + 2h);
  }
}

TEST(RecentTable, TheOldestMakesRoomAndTouchingMakesYoung) {
  RecentTable<int> table(2);
  table.touch("a", 1);
  table.touch("b", 2);
  EXPECT_EQ(table.touch("a", 9), 1) << "what is there stays";
  table.touch("c", 3);
  EXPECT_EQ(table.find("b"), nullptr);
  ASSERT_NE(table.find("a"), nullptr);
  EXPECT_EQ(*table.oldest(), 1);
  table.drop_oldest();
  table.drop_oldest();
  table.drop_oldest();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.oldest(), nullptr);
}

}  // namespace
}  // namespace brainlock::net
