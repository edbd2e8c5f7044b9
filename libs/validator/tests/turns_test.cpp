#include "turns.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <deque>

namespace brainlock::validator {
namespace {

using ledger::Uid;
using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr std::int64_t kNow = 1'800'000'000'000, kMinute = 60'000, kHour = 60 * kMinute;

struct TurnsTest : testing::Test {
  ledger::Metagraph metagraph;
  Turns turns{{.patience_ms = 20'000, .window_ms = 72 * kHour, .window_requests = 40}};

  static ledger::AccountId account(Uid uid) { return ledger::AccountId{static_cast<std::uint8_t>(uid), static_cast<std::uint8_t>(uid >> 8), 1}; }
  Uid add(std::span<const store::RequestRow> rows = {}, std::uint64_t round = 0) {
    const Uid uid = static_cast<Uid>(metagraph.neurons.size());
    metagraph.neurons.emplace_back().hotkey = account(uid);
    turns.see(account(uid), rows, round);
    return uid;
  }
  Turns::Order order(std::int64_t now_ms) const {
    std::vector<Uid> all(metagraph.neurons.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Uid>(all.size() - 1 - i);   // newest first: the order must not come from here
    return turns.order(metagraph, all, now_ms);
  }
  static store::RequestRow row(bool success, std::int64_t finished_ms, double response_s = 1) {
    store::RequestRow out;
    out.success = success;
    out.finished_ms = finished_ms;
    out.response_s = success ? response_s : 0;
    return out;
  }
};

TEST_F(TurnsTest, WhoHasARightAnswerIsAskedWheneverItIsDue) {
  const Uid prompt = add(std::array{row(true, kNow - kMinute, 1)}), slow = add(std::array{row(true, kNow - kMinute, 30)});
  const Uid lately_down = add(std::vector<store::RequestRow>(39, row(false, kNow - kMinute)));
  turns.judged(account(lately_down), true, kNow - kMinute);
  for (int i = 0; i < 39; ++i) turns.judged(account(lately_down), false, kNow);
  EXPECT_FALSE(turns.rests_until_ms(account(lately_down), kNow)) << "its silence must cost it";
  EXPECT_THAT(order(kNow).proven, ElementsAre(lately_down, prompt));
  EXPECT_THAT(order(kNow).proven_slow, ElementsAre(slow));
  // With as many failures as a window holds, or without a right answer for 72 hours, there is nothing to lose.
  turns.judged(account(lately_down), false, kNow);
  EXPECT_THAT(order(kNow).failing, ElementsAre(lately_down));
  EXPECT_THAT(order(kNow + 73 * kHour).fresh, ElementsAre(slow, prompt)) << "nobody asked it since";
}

TEST_F(TurnsTest, NewOnesGoInTheOrderInWhichTheyCame) {
  const Uid first = add({}, 3), second = add({}, 7), third = add({}, 9);
  EXPECT_THAT(order(kNow).fresh, ElementsAre(first, second, third));
  turns.kept_us(account(first), milliseconds(100), false);
  EXPECT_THAT(order(kNow).fresh, ElementsAre(first, second, third)) << "it was sent a key, and no question";
  turns.judged(account(first), false, kNow);
  EXPECT_THAT(order(kNow).fresh, ElementsAre(second, third));
  EXPECT_THAT(order(kNow).failing, ElementsAre(first));
}

TEST_F(TurnsTest, WhoFailedLongestAgoComesFirst) {
  const Uid a = add(std::array{row(false, kNow - 10)}), b = add(std::array{row(false, kNow - 30)}), c = add(std::array{row(false, kNow - 20)});
  EXPECT_THAT(order(kNow).failing, ElementsAre(b, c, a));
  turns.judged(account(b), false, kNow);
  EXPECT_THAT(order(kNow).failing, ElementsAre(c, a, b));
}

TEST_F(TurnsTest, AFailureDoesNotMakeAStallerPrompt) {
  const Uid staller = add();
  turns.judged(account(staller), false, kNow);
  turns.kept_us(account(staller), std::chrono::seconds(120), false);
  for (int i = 0; i < 100; ++i) {
    turns.judged(account(staller), false, kNow);
    turns.kept_us(account(staller), milliseconds(5), false);
  }
  EXPECT_THAT(order(kNow).failing_slow, ElementsAre(staller));
  // Right answers do, each by a quarter.
  turns.judged(account(staller), true, kNow);
  turns.kept_us(account(staller), milliseconds(5), true);
  EXPECT_THAT(order(kNow).proven_slow, ElementsAre(staller));
  for (int i = 0; i < 6; ++i) turns.kept_us(account(staller), milliseconds(5), true);
  EXPECT_THAT(order(kNow).proven, ElementsAre(staller));
}

TEST_F(TurnsTest, WhoWasDownComesBackWithinHalfOfItAndAQuarterOfAnHour) {
  for (const std::int64_t down_ms : {kMinute, 6 * kMinute, 20 * kMinute, kHour, 48 * kHour}) {
    const Uid miner = add();
    std::int64_t now_ms = kNow, last_ms = kNow;
    int asked = 0;
    // Rounds every ten seconds, until it is back and asked.
    for (;; now_ms += 10'000) {
      const auto rests = turns.rests_until_ms(account(miner), now_ms);
      if (rests && *rests > now_ms) continue;
      if (now_ms >= kNow + down_ms) break;
      turns.judged(account(miner), false, last_ms = now_ms);
      ++asked;
    }
    EXPECT_LE(now_ms - (kNow + down_ms), std::min(down_ms / 2, Turns::kLongestRestMs) + 10'000) << down_ms;
    EXPECT_LE(asked, 30 + 12 + down_ms / Turns::kLongestRestMs) << down_ms << ": five minutes every ten seconds, then less and less";
    if (down_ms <= Turns::kGraceMs) {
      EXPECT_EQ(asked, down_ms / 10'000);
    }
    // After a restart of the validator the store says the same.
    Turns again({.patience_ms = 20'000, .window_ms = 72 * kHour, .window_requests = 40});
    again.see(account(miner), std::array{row(false, last_ms), row(false, kNow)}, 0);
    EXPECT_EQ(again.rests_until_ms(account(miner), now_ms), turns.rests_until_ms(account(miner), now_ms)) << down_ms;
  }
}

// docs/scoring.md: n that always fail and hold a seat for as long as they can, s seats, and one that was down.
TEST_F(TurnsTest, HoweverManyFailEachHasItsTurn) {
  constexpr std::size_t kFailing = 255, kSeats = 64;
  constexpr std::int64_t kHold = 150'000;
  for (std::size_t i = 0; i < kFailing + 1; ++i) add(std::array{row(false, kNow - kMinute), row(false, kNow - 10 * kHour)});
  const Uid honest = 100;
  std::deque<std::pair<std::int64_t, Uid>> held;   // until when, by whom
  std::int64_t back_ms = kNow + 3 * kHour, answered_ms = 0;
  for (std::int64_t now_ms = kNow; answered_ms == 0; now_ms += 10'000) {
    while (!held.empty() && held.front().first <= now_ms) {
      turns.judged(account(held.front().second), false, held.front().first);
      held.pop_front();
    }
    auto due = order(now_ms);
    auto& failing = due.failing;
    std::erase_if(failing, [&](Uid uid) { return std::any_of(held.begin(), held.end(), [&](const auto& h) { return h.second == uid; }); });
    failing.resize(std::min(failing.size(), kSeats - held.size()));
    for (const Uid uid : failing) {
      if (uid != honest) held.emplace_back(now_ms + kHold, uid);
      else if (now_ms < back_ms) turns.judged(account(uid), false, now_ms);
      else answered_ms = now_ms;
    }
    ASSERT_LT(now_ms, kNow + 10 * kHour);
  }
  EXPECT_LE(answered_ms - back_ms, Turns::kLongestRestMs + static_cast<std::int64_t>(kFailing / kSeats + 1) * kHold);
}

TEST_F(TurnsTest, AClockThatWasSetBackKeepsNobodyOut) {
  const Uid miner = add(std::array{row(false, kNow + 10 * kHour), row(false, kNow)});
  EXPECT_THAT(order(kNow).failing, ElementsAre(miner));
}

TEST_F(TurnsTest, AfterTheClockWasSetBackAllHaveTheirTurnAllTheSame) {
  constexpr std::int64_t kDay = 24 * kHour;
  const Uid a = add(std::array{row(false, kNow + kDay)}), b = add(std::array{row(false, kNow + kDay + 1)}), c = add(std::array{row(false, kNow + kDay + 2)});
  turns.judged(account(a), false, kNow);
  EXPECT_THAT(order(kNow + 1).failing, ElementsAre(c, b, a)) << "they were asked a day from now, and would wait for so long";
  turns.judged(account(c), false, kNow + 2);
  EXPECT_THAT(order(kNow + 3).failing, ElementsAre(b, a, c));
  // And who fails for long rests as ever.
  for (std::int64_t at_ms = 0; at_ms <= kHour; at_ms += kMinute) turns.judged(account(b), false, kNow + at_ms);
  EXPECT_EQ(turns.rests_until_ms(account(b), kNow + kHour), kNow + kHour + Turns::kLongestRestMs);
}

}  // namespace
}  // namespace brainlock::validator
