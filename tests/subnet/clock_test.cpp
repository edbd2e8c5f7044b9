// A validator whose clock was wrong and is set right: no day is lost, and nobody's score with it.
#include <gmock/gmock.h>

#include <thread>

#include "hindering.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;

constexpr std::int64_t kDayMs = 24 * 3'600'000;

class SetBack : public HinderedSubnet {
 protected:
  std::unique_ptr<validator::Validator> validator(const std::function<void(validator::ValidatorParts&)>& change = {},
                                                  validator::ValidatorOptions options = {}) {
    auto parts = make_validator(self, ledger, folder.path)->parts();
    parts.clock = [this] { return client::system_wall_clock()() + ahead_ms; };
    if (change) change(parts);
    options.allow_private_addresses = true;
    return validator::Validator::make(std::move(parts), options).value();
  }
  static score::Standing standing_of(validator::Validator& validator, const ledger::AccountId& miner) {
    const auto standings = validator.standings().value();
    for (const auto& standing : standings) {
      if (standing.hotkey == miner) return standing.standing;
    }
    ADD_FAILURE() << "no such miner";
    return {};
  }
  std::atomic<std::int64_t> ahead_ms{0};
};

TEST_F(SetBack, WhatWasRecordedInTheFutureDoesNotKeepOutWhatIsMeasured) {
  const auto worse = add("worse").self.account(), better = add("better").self.account();
  const auto validator = this->validator();
  ahead_ms = kDayMs;
  record(*validator, worse, Reason::kOk, 1, 40);
  record(*validator, better, Reason::kTimeout, 0, 40);
  ahead_ms = 0;
  EXPECT_EQ(standing_of(*validator, worse).requests, 0u);
  record(*validator, worse, Reason::kTimeout, 0, 40);
  record(*validator, better, Reason::kOk, 1, 40);
  EXPECT_EQ(standing_of(*validator, worse).score, 0);
  EXPECT_EQ(standing_of(*validator, worse).failures, 40u);
  EXPECT_GT(standing_of(*validator, better).score, 0);
  EXPECT_EQ(standing_of(*validator, better).failures, 0u);
}

TEST_F(SetBack, WhoWasTriedInVainDoesNotWaitForADay) {
  auto& miner = add("down");
  miner.server.reset();
  ahead_ms = kDayMs;
  const auto validator = this->validator();
  ASSERT_EQ(validator->run_round()->failed, 1u);
  ahead_ms = 0;
  ASSERT_EQ(validator->run_round()->failed, 1u);
  store::RequestFilter now;
  now.until_ms = validator->parts().clock() + 1;
  const std::string detail = validator->parts().store->requests(now)->at(0).detail;
  const std::string begin = "the last upload failed; the next one is in ";
  ASSERT_THAT(detail, testing::StartsWith(begin));
  EXPECT_LE(std::stol(detail.substr(begin.size())), 10) << detail;
}

// Miners refuse what is signed by a clock that is off, and the validator would take that for their failure.
TEST_F(SetBack, WhoseClockIsOffAsksNobody) {
  add("honest");
  ledger->made_ms = client::system_wall_clock()();
  const auto validator = this->validator();
  for (const std::int64_t off_ms : {kDayMs, -kDayMs, std::int64_t{120'000}, std::int64_t{-20'000}}) {
    ahead_ms = off_ms;
    const auto report = validator->run_round();
    ASSERT_FALSE(report.ok()) << off_ms;
    EXPECT_EQ(report.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(report.error().message, testing::HasSubstr("clock"));
  }
  EXPECT_EQ(validator->parts().store->requests({})->size(), 0u);
  ahead_ms = 0;
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
}

TEST_F(SetBack, KeysOfTheFutureDoNotServeUntilThen) {
  int renewed = 0;
  validator::ValidatorOptions options;
  options.key_life_ms = 100;
  const auto validator = this->validator(
      [&](validator::ValidatorParts& parts) {
        validator::Task& task = parts.tasks.front();
        task.keys_made_ms = parts.clock() + kDayMs;
        task.renew = [&renewed, keys = task.client]() -> Result<std::shared_ptr<const client::TaskClient>> {
          ++renewed;
          return keys;
        };
      },
      options);
  ASSERT_TRUE(validator->run_round().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  ASSERT_TRUE(validator->run_round().ok());
  EXPECT_EQ(renewed, 1);
}

// What is kept is counted in days with requests: those that a clock skips make nothing old. This ledger has no clock, so nothing else keeps the
// validator from asking, recording and deleting.
TEST_F(SetBack, AClockThatWasAheadLeavesTheHistoryAlone) {
  const auto honest = add("honest").self.account();
  validator::ValidatorOptions options;
  options.keep_ms = options.rule.window_ms;
  options.round_pause_ms = 1;
  const std::int64_t now_ms = client::system_wall_clock()();
  for (std::int64_t hours = 71; hours >= 0; --hours) {
    ahead_ms = -hours * 3'600'000;
    record(*this->validator(), honest, Reason::kOk, 1, 1);
  }
  ahead_ms = 0;
  const double score = standing_of(*this->validator(), honest).score;
  std::int64_t rows = 72;
  // Each time a validator that has just been started, and deletes after its first round; and one that goes on.
  const auto running = this->validator({}, options);
  for (const std::int64_t days : {0, 100, 0, 100, 0}) {
    ahead_ms = days * kDayMs;
    this->validator({}, options)->run({}, 1);
    running->run({}, 1);
    rows += 2;
    EXPECT_EQ(running->parts().store->count_requests().value(), rows) << days;
  }
  EXPECT_EQ(running->parts().store->first_request_ms(0).value().value() / 3'600'000, now_ms / 3'600'000 - 71);
  EXPECT_GE(standing_of(*running, honest).score, score);
  EXPECT_EQ(standing_of(*running, honest).requests, options.rule.window_requests);
}

}  // namespace
}  // namespace brainlock::test
