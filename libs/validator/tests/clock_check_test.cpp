#include "clock_check.hpp"

#include <gmock/gmock.h>

namespace brainlock::validator {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kMade = 1'800'000'000'000, kDay = 24 * 3'600'000;

/// With a block that was made at kMade.
Status check(std::int64_t now_ms, std::int64_t interval_ms = 12'000) {
  return check_clock({1, interval_ms, 0, kMade}, now_ms);
}

TEST(ClockCheck, BlocksAreAFewSecondsOldOrNewToAClockThatIsRight) {
  for (const std::int64_t age_ms : {-8'000, -1, 0, 1, 12'000, 36'000, 60'000})
    EXPECT_TRUE(check(kMade + age_ms).ok()) << age_ms;
  EXPECT_TRUE(check(kMade + 150'000, 30'000).ok()) << "a slow ledger";
}

TEST(ClockCheck, ABlockOfTheFutureIsAClockThatIsBehind) {
  for (const std::int64_t behind_ms : {std::int64_t{8'001}, kDay}) {
    const Status status = check(kMade - behind_ms);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(status.error().message, HasSubstr(std::to_string(behind_ms / 1000) + " s behind"));
  }
}

TEST(ClockCheck, AnOldBlockIsAClockThatIsAheadOrALedgerThatStandsStill) {
  for (const std::int64_t ahead_ms : {std::int64_t{60'001}, kDay}) {
    const Status status = check(kMade + ahead_ms);
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.error().message, HasSubstr(std::to_string(ahead_ms / 1000) + " s old"));
  }
}

TEST(ClockCheck, WithoutALedgersClockNothingIsKnown) { EXPECT_TRUE(check_clock({1, 12'000, 0}, 0).ok()); }

}  // namespace
}  // namespace brainlock::validator
