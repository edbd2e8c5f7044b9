#include "brainlock/miner/access.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace brainlock::miner {
namespace {

using namespace std::chrono_literals;
using protocol::Refusal;
using Clock = std::chrono::steady_clock;

/// Counts how often it is read.
class CountingLedger final : public ledger::Ledger {
 public:
  std::atomic<int> readings{0};

  void add(std::uint8_t account) {
    const std::lock_guard lock(mutex_);
    ledger::Neuron neuron;
    neuron.uid = static_cast<ledger::Uid>(state_.neurons.size());
    neuron.hotkey[0] = account;
    neuron.validator_permit = true;
    state_.neurons.push_back(neuron);
  }
  std::string describe() const override { return "in memory"; }
  std::uint16_t netuid() const override { return 54; }
  Result<ledger::BlockTime> block_time() override { return ledger::BlockTime{}; }
  Result<ledger::Metagraph> metagraph(bool) override {
    ++readings;
    const std::lock_guard lock(mutex_);
    return state_;
  }
  Result<std::vector<ledger::Weight>> weights(ledger::Uid) override { return std::vector<ledger::Weight>{}; }
  Result<ledger::Outcome> register_neuron(const ledger::Signer&, const ledger::AccountId&) override {
    return ledger::Outcome{};
  }
  Result<ledger::Outcome> serve_axon(const ledger::Signer&, const ledger::Axon&) override { return ledger::Outcome{}; }
  Result<ledger::Outcome> set_weights(const ledger::Signer&, std::span<const ledger::Weight>, std::uint64_t) override {
    return ledger::Outcome{};
  }

 private:
  std::mutex mutex_;
  ledger::Metagraph state_;
};

ledger::AccountId account(std::uint8_t number) {
  ledger::AccountId out{};
  out[0] = number;
  return out;
}

struct AccessTest : testing::Test {
  const std::shared_ptr<CountingLedger> ledger = std::make_shared<CountingLedger>();
  static AccessOptions read_every(std::int64_t refresh_ms, std::int64_t after_refusal_ms) {
    AccessOptions options;
    options.refresh_ms = refresh_ms;
    options.refresh_after_refusal_ms = after_refusal_ms;
    return options;
  }
  /// Asks until it is admitted, or for so long.
  static bool admitted_within(const Access& access, std::uint8_t who, Clock::duration time) {
    for (const auto until = Clock::now() + time; Clock::now() < until; std::this_thread::sleep_for(5ms)) {
      if (access.admit(account(who)).refusal == Refusal::kNone) return true;
    }
    return false;
  }
};

TEST_F(AccessTest, WhoHasJustBeenLetInIsServedSoon) {
  const auto access = make_metagraph_access(ledger, read_every(3'600'000, 50));
  EXPECT_EQ(access->admit(account(1)).refusal, Refusal::kNotRegistered);
  ledger->add(1);
  EXPECT_TRUE(admitted_within(*access, 1, 30s));
}

TEST_F(AccessTest, StrangersDoNotChooseHowOftenTheLedgerIsRead) {
  const auto access = make_metagraph_access(ledger, read_every(500, 10));
  const auto begin = Clock::now();
  std::uint8_t stranger = 1;
  while (Clock::now() < begin + 2s) {
    EXPECT_EQ(access->admit(account(stranger)).refusal, Refusal::kNotRegistered);
    stranger = static_cast<std::uint8_t>(stranger % 200 + 1);  // another one each time
    std::this_thread::sleep_for(1ms);
  }
  const auto regular = (Clock::now() - begin) / 500ms;
  EXPECT_LE(ledger->readings, 1 + regular + 6) << "one at first, and 10, 20, 40, 80, 160, 320 ms after each other";
  // And nobody is kept out by them.
  ledger->add(250);
  EXPECT_TRUE(admitted_within(*access, 250, 30s));
}

TEST_F(AccessTest, WhoIsAdmittedHasNothingRead) {
  ledger->add(1);
  const auto access = make_metagraph_access(ledger, read_every(3'600'000, 1));
  for (int i = 0; i < 50; ++i, std::this_thread::sleep_for(2ms))
    EXPECT_EQ(access->admit(account(1)).refusal, Refusal::kNone);
  EXPECT_EQ(ledger->readings, 1);
}

}  // namespace
}  // namespace brainlock::miner
