// Who is new is asked soon, however many there are that only fail.
#include <gmock/gmock.h>

#include <thread>

#include "hindering.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;

void wait(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class Newcomers : public HinderedSubnet {};

// Registering is cheap: hotkeys that never answer right and stall keep to their own seats, however many they are.
TEST_F(Newcomers, ThoseWhoAlwaysFailDoNotHoldTheSeatsOfNewOnes) {
  const auto stall = std::make_shared<std::atomic<bool>>(false);
  for (const char* name : {"attacker 1", "attacker 2", "attacker 3", "attacker 4"}) {
    add(name, [stall](const net::RequestHead& head) -> std::optional<net::Response> {
      if (head.method != "POST") return std::nullopt;
      if (*stall) wait(2500);
      return refusal(protocol::Refusal::kInternal);
    });
  }
  validator::ValidatorOptions options;
  options.patience_ms = 100;
  options.most_aside = 2;
  options.parallel = 4;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 2; ++round) ASSERT_TRUE(validator->run_round().ok());
  *stall = true;
  ASSERT_TRUE(validator->run_round().ok());
  const auto newcomer = add("newcomer").self.account();
  ASSERT_TRUE(validator->run_round().ok());
  EXPECT_EQ(rows_of(*validator, newcomer).size(), 1u) << "attackers were new once, and sit there still";
  for (const auto& row : rows_of(*validator, newcomer)) EXPECT_TRUE(row.success);
}

// Even of those that are new themselves it waits for no more than came before it.
TEST_F(Newcomers, NewOnesAreAskedInTheOrderInWhichTheyCame) {
  const auto held = [](const net::RequestHead& head) -> std::optional<net::Response> {
    if (is_key_state(head)) wait(150);
    return std::nullopt;
  };
  validator::ValidatorOptions options;
  options.patience_ms = 50;
  options.most_aside = 1;
  const auto validator = make_validator(self, ledger, folder.path, options);
  std::vector<ledger::AccountId> came;
  for (int i = 0; i < 6; ++i) {
    came.push_back(add("new " + std::to_string(i), held).self.account());
    ASSERT_TRUE(validator->run_round().ok());   // it is seen
  }
  for (int round = 0; round < 60 && rows_of(*validator, came.back()).empty(); ++round) {
    wait(100);
    ASSERT_TRUE(validator->run_round().ok());
  }
  std::int64_t before_ms = 0;
  for (const auto& miner : came) {
    const auto rows = rows_of(*validator, miner);
    ASSERT_FALSE(rows.empty());
    EXPECT_GT(rows.back().finished_ms, before_ms) << "its first question";
    before_ms = rows.back().finished_ms;
  }
}

// It has nothing to lose by being asked less; and after a restart of the validator, too.
TEST_F(Newcomers, WhoHasFailedForHoursIsAskedFourTimesAnHour) {
  const auto& miner = add("down for hours");
  const auto validator = make_validator(self, ledger, folder.path);
  const auto failed = [&](std::int64_t minutes_ago) {
    store::RequestRow row;
    row.uuid = protocol::make_uuid();
    row.validator = self.account();
    row.miner = miner.self.account();
    row.package = protocol::content_id_text(kPackage);
    row.finished_ms = validator->parts().clock() - minutes_ago * 60'000;
    row.reason = protocol::reason_name(Reason::kTimeout);
    ASSERT_TRUE(validator->parts().store->record_request(row).ok());
  };
  failed(600);
  failed(16);
  const auto later = make_validator(self, ledger, folder.path);
  EXPECT_EQ(later->run_round()->succeeded, 1u);
  EXPECT_EQ(later->run_round()->succeeded, 1u) << "and is back";
  const auto& other = add("down for hours, too");
  for (const std::int64_t minutes : {600, 14}) {
    store::RequestRow row;
    row.uuid = protocol::make_uuid();
    row.validator = self.account();
    row.miner = other.self.account();
    row.finished_ms = validator->parts().clock() - minutes * 60'000;
    row.reason = protocol::reason_name(Reason::kTimeout);
    ASSERT_TRUE(validator->parts().store->record_request(row).ok());
  }
  EXPECT_EQ(later->run_round()->asked, 1u) << "the last time was 14 minutes ago";
}

}  // namespace
}  // namespace brainlock::test
