#include "brainlock/ledger/embedded_ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "brainlock/store/database.hpp"

namespace brainlock::ledger {
namespace {

AccountId account(std::uint8_t fill) {
  AccountId id{};
  id.fill(fill);
  return id;
}

struct TestSigner final : Signer {
  explicit TestSigner(std::uint8_t fill) : id(ledger::account(fill)) {}
  AccountId account() const override { return id; }
  Result<std::array<std::uint8_t, 64>> sign(std::span<const std::uint8_t>) const override {
    return Error{ErrorCode::kInternal, "the embedded ledger asks for no signature"};
  }
  AccountId id;
};

class EmbeddedLedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/brainlock_ledger_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    genesis_.block_interval_ms = 1000;
    genesis_.parameters.tempo = 20;
    genesis_.parameters.weights_rate_limit = 10;
    genesis_.parameters.serving_rate_limit = 5;
    genesis_.parameters.immunity_period = 30;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  WallClock clock() {
    return [this] { return now_ms_; };
  }
  void pass_blocks(std::int64_t count) { now_ms_ += count * 1000; }
  std::unique_ptr<EmbeddedLedger> create() {
    auto made = EmbeddedLedger::create(folder_ / "ledger.db", genesis_, clock());
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    return std::move(made).value();
  }
  /// Validators 1..v with stake, miners v+1..v+m without; one epoch later, so that permits are there.
  std::unique_ptr<EmbeddedLedger> create_with(std::uint8_t validators, std::uint8_t miners) {
    auto ledger = create();
    for (std::uint8_t i = 1; i <= validators + miners; ++i) {
      EXPECT_TRUE(ledger->register_neuron(TestSigner(200), account(i)).value().accepted());
      if (i > validators) continue;
      EXPECT_TRUE(ledger->set_stake(account(i), 1000 * kRaoPerTao).ok());
    }
    pass_blocks(genesis_.parameters.tempo);
    return ledger;
  }

  std::filesystem::path folder_;
  Genesis genesis_;
  std::int64_t now_ms_ = 1'700'000'000'000;
};

TEST_F(EmbeddedLedgerTest, BlocksFollowTheClock) {
  auto ledger = create();
  EXPECT_EQ(ledger->block_time().value().block, 1U);
  now_ms_ += 2600;
  const auto time = ledger->block_time().value();
  EXPECT_EQ(time.block, 3U);
  EXPECT_EQ(time.until_next_block_ms, 400);
  EXPECT_EQ(time.block_interval_ms, 1000);
  EXPECT_EQ(ledger->netuid(), 54);
  EXPECT_THAT(ledger->describe(), testing::HasSubstr("ledger.db"));
}

TEST_F(EmbeddedLedgerTest, RegistrationGivesUidsInOrderAndPersists) {
  auto ledger = create();
  const auto first = ledger->register_neuron(TestSigner(200), account(1)).value();
  EXPECT_EQ(first.uid, 0);
  EXPECT_EQ(ledger->register_neuron(TestSigner(200), account(2)).value().uid, 1);
  const auto again = ledger->register_neuron(TestSigner(200), account(1)).value();
  EXPECT_EQ(again.refusal, Refusal::kAlreadyRegistered);
  EXPECT_EQ(again.uid, 0);
  ledger.reset();
  ledger = EmbeddedLedger::open(folder_ / "ledger.db", clock()).value();
  const auto graph = ledger->metagraph(false).value();
  ASSERT_EQ(graph.neurons.size(), 2U);
  EXPECT_EQ(graph.neurons[1].hotkey, account(2));
  EXPECT_EQ(graph.neurons[1].coldkey, account(200));
  EXPECT_EQ(graph.neurons[1].registered_at, 1U);
  EXPECT_EQ(graph.parameters.tempo, 20);
}

TEST_F(EmbeddedLedgerTest, RegistrationCostsAndCanBeClosed) {
  genesis_.parameters.registration_cost_rao = 100;
  auto ledger = create();
  EXPECT_EQ(ledger->register_neuron(TestSigner(200), account(1)).value().refusal, Refusal::kNotEnoughBalance);
  ASSERT_TRUE(ledger->credit(account(200), 150).ok());
  EXPECT_TRUE(ledger->register_neuron(TestSigner(200), account(1)).value().accepted());
  EXPECT_EQ(ledger->balance(account(200)).value(), 50U);
  EXPECT_EQ(ledger->register_neuron(TestSigner(200), account(2)).value().refusal, Refusal::kNotEnoughBalance);
  EXPECT_EQ(ledger->credit(account(200), UINT64_MAX).error().code, ErrorCode::kInvalidArgument);
  Hyperparameters closed = genesis_.parameters;
  closed.registration_allowed = false;
  ASSERT_TRUE(ledger->set_parameters(closed).ok());
  EXPECT_EQ(ledger->register_neuron(TestSigner(200), account(2)).value().refusal, Refusal::kRegistrationClosed);
}

TEST_F(EmbeddedLedgerTest, AFullSubnetReplacesTheLeastEarnerOnceItsImmunityEnds) {
  genesis_.parameters.max_allowed_uids = 3;
  auto ledger = create_with(1, 2);
  EXPECT_EQ(ledger->register_neuron(TestSigner(200), account(9)).value().refusal, Refusal::kSubnetFull);
  ASSERT_TRUE(ledger->serve_axon(TestSigner(2), Axon{"10.0.0.1", 5000}).value().accepted());
  ASSERT_TRUE(ledger->set_weights(TestSigner(1), std::vector<Weight>{{1, 10}, {2, 90}}, 0).value().accepted());
  pass_blocks(40);
  const auto taken = ledger->register_neuron(TestSigner(200), account(9)).value();
  EXPECT_EQ(taken.uid, 1);
  const auto graph = ledger->metagraph(true).value();
  EXPECT_EQ(graph.find(account(2)), nullptr);
  EXPECT_FALSE(graph.neurons[1].axon.has_value()) << "the old neuron's address must not be the new one's";
  EXPECT_EQ(graph.neurons[1].incentive, 0);
  pass_blocks(20);
  EXPECT_EQ(ledger->metagraph(false).value().neurons[1].incentive, 0) << "the old vote was for somebody else";
}

TEST_F(EmbeddedLedgerTest, AxonsAreCheckedLimitedAndRepeatable) {
  auto ledger = create_with(0, 1);
  const TestSigner miner(1);
  EXPECT_EQ(ledger->serve_axon(TestSigner(77), Axon{"10.0.0.1", 5000}).value().refusal, Refusal::kNotRegistered);
  for (const char* bad : {"example.org", "", "0.0.0.0", "255.255.255.255", "::", "ff02::1", "1.2.3"}) {
    EXPECT_EQ(ledger->serve_axon(miner, Axon{bad, 5000}).value().refusal, Refusal::kBadAddress) << bad;
  }
  EXPECT_EQ(ledger->serve_axon(miner, Axon{"127.0.0.1", 0}).value().refusal, Refusal::kBadPort);
  EXPECT_TRUE(ledger->serve_axon(miner, Axon{"127.0.0.1", 5000}).value().accepted());
  EXPECT_TRUE(ledger->serve_axon(miner, Axon{"127.0.0.1", 5000}).value().accepted());
  pass_blocks(2);
  const auto refused = ledger->serve_axon(miner, Axon{"::1", 5000}).value();
  EXPECT_EQ(refused.refusal, Refusal::kTooSoon);
  EXPECT_EQ(refused.blocks_to_wait, 3U);
  EXPECT_EQ(refused.message, "next allowed in 3 blocks");
  pass_blocks(3);
  EXPECT_TRUE(ledger->serve_axon(miner, Axon{"0:0:0:0:0:0:0:1", 5001, 7}).value().accepted());
  const auto axon = ledger->metagraph(false).value().neurons[0].axon;
  ASSERT_TRUE(axon.has_value());
  EXPECT_EQ(axon->ip, "::1");
  EXPECT_EQ(axon->port, 5001);
  EXPECT_EQ(axon->version, 7U);
}

TEST_F(EmbeddedLedgerTest, VotesAreRefusedForEachNamedReason) {
  genesis_.parameters.min_allowed_weights = 2;
  genesis_.parameters.max_weights_limit = 40'000;
  genesis_.parameters.stake_threshold_rao = 5;
  genesis_.parameters.weights_version = 3;
  auto ledger = create_with(1, 3);
  const TestSigner validator(1);
  const std::vector<Weight> good = {{1, 100}, {2, 100}};
  const auto refusal = [&](const TestSigner& who, const std::vector<Weight>& vote, std::uint64_t version = 3) {
    return ledger->set_weights(who, vote, version).value().refusal;
  };
  EXPECT_EQ(refusal(validator, {}), Refusal::kNoWeights);
  EXPECT_EQ(refusal(validator, {{1, 0}}), Refusal::kNoWeights);
  EXPECT_EQ(refusal(TestSigner(99), good), Refusal::kNotRegistered);
  EXPECT_EQ(refusal(TestSigner(2), good), Refusal::kStakeTooLow);
  EXPECT_EQ(refusal(validator, good, 2), Refusal::kVersionTooOld);
  EXPECT_EQ(refusal(validator, {{1, 100}, {1, 100}}), Refusal::kDuplicateUid);
  EXPECT_EQ(refusal(validator, {{1, 100}, {4, 100}}), Refusal::kUnknownUid);
  EXPECT_EQ(refusal(validator, {{1, 100}}), Refusal::kTooFewWeights);
  EXPECT_EQ(refusal(validator, {{1, 100}, {2, 10}}), Refusal::kWeightTooLarge);
  ASSERT_TRUE(ledger->set_stake(account(2), 50).ok());  // enough stake, but permits come with the next epoch
  EXPECT_EQ(refusal(TestSigner(2), good), Refusal::kNoPermit);
  EXPECT_EQ(refusal(validator, good), Refusal::kNone);
  pass_blocks(3);
  const auto soon = ledger->set_weights(validator, good, 3).value();
  EXPECT_EQ(soon.refusal, Refusal::kTooSoon);
  EXPECT_EQ(soon.blocks_to_wait, 7U);
  EXPECT_EQ(soon.message, "next allowed in 7 blocks");
  EXPECT_EQ(ledger->metagraph(false).value().blocks_until_weights_allowed(0), 7U);
  pass_blocks(7);
  EXPECT_EQ(refusal(validator, good), Refusal::kNone);
}

TEST_F(EmbeddedLedgerTest, WeightsAreReadBackAndBecomeIncentiveAndDividends) {
  auto ledger = create_with(2, 3);
  ASSERT_TRUE(ledger->set_weights(TestSigner(1), std::vector<Weight>{{3, 30000}, {2, 60000}}, 0).value().accepted());
  ASSERT_TRUE(ledger->set_weights(TestSigner(2), std::vector<Weight>{{2, 2}, {3, 1}}, 0).value().accepted());
  EXPECT_EQ(ledger->weights(0).value(), (std::vector<Weight>{{2, 65535}, {3, 32768}}));
  EXPECT_TRUE(ledger->weights(4).value().empty());
  EXPECT_EQ(ledger->weights(5).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ledger->metagraph(false).value().neurons[2].incentive, 0) << "not before the epoch";
  pass_blocks(20);
  const auto graph = ledger->metagraph(true).value();
  EXPECT_NEAR(graph.neurons[2].incentive, 43690, 2);
  EXPECT_NEAR(graph.neurons[3].incentive, 21845, 2);
  EXPECT_EQ(graph.neurons[4].incentive, 0);
  EXPECT_NEAR(graph.neurons[0].dividends, 32767, 2);
  EXPECT_NEAR(graph.neurons[1].dividends, 32767, 2);
  std::uint64_t paid = 0;
  for (const auto& neuron : graph.neurons) paid += neuron.emission_rao;
  EXPECT_NEAR(static_cast<double>(paid), 0.82e9 * 20, 100);
  EXPECT_EQ(graph.neurons[0].weights.size(), 2U);
  EXPECT_TRUE(ledger->metagraph(false).value().neurons[0].weights.empty());
}

TEST_F(EmbeddedLedgerTest, CommittedVotesCountAtTheirEpochOnly) {
  genesis_.parameters.commit_reveal_enabled = true;
  genesis_.parameters.reveal_period_epochs = 2;
  auto ledger = create_with(1, 2);  // block 21, last epoch at 20
  const auto outcome = ledger->set_weights(TestSigner(1), std::vector<Weight>{{1, 1}}, 0).value();
  ASSERT_TRUE(outcome.accepted());
  EXPECT_EQ(outcome.revealed_at_block, 60U);
  EXPECT_TRUE(ledger->weights(0).value().empty());
  pass_blocks(25);  // block 46, after the epoch at 40; a second commit is due at 80
  EXPECT_TRUE(ledger->weights(0).value().empty());
  ASSERT_EQ(ledger->set_weights(TestSigner(1), std::vector<Weight>{{2, 1}}, 0).value().revealed_at_block, 80U);
  pass_blocks(15);  // block 61
  EXPECT_EQ(ledger->weights(0).value(), (std::vector<Weight>{{1, 65535}}));
  EXPECT_EQ(ledger->metagraph(false).value().neurons[1].incentive, 65535);
  pass_blocks(20);
  EXPECT_EQ(ledger->weights(0).value(), (std::vector<Weight>{{2, 65535}}));
}

TEST_F(EmbeddedLedgerTest, AbsenceAndAClockSetBackDoNoHarm) {
  auto ledger = create_with(1, 1);
  ASSERT_TRUE(ledger->set_weights(TestSigner(1), std::vector<Weight>{{1, 1}}, 0).value().accepted());
  pass_blocks(20 * 1'000'000);  // most of a year
  auto graph = ledger->metagraph(false).value();
  EXPECT_EQ(graph.last_epoch_block, 20U * 1'000'001);
  EXPECT_FALSE(graph.neurons[0].active) << "an old vote stops counting";
  const BlockNumber before = graph.last_epoch_block;
  now_ms_ -= 500'000;
  graph = ledger->metagraph(false).value();
  EXPECT_EQ(graph.block, before);
  EXPECT_EQ(graph.last_epoch_block, before);
}

TEST_F(EmbeddedLedgerTest, TheOwnerVotesWithoutStakeAndIsNeverReplaced) {
  genesis_.owner_hotkey = account(2);
  genesis_.parameters.stake_threshold_rao = 10;
  genesis_.parameters.max_allowed_uids = 2;
  auto ledger = create_with(1, 1);
  pass_blocks(50);
  EXPECT_TRUE(ledger->metagraph(false).value().neurons[1].validator_permit);
  EXPECT_TRUE(ledger->set_weights(TestSigner(2), std::vector<Weight>{{0, 1}}, 0).value().accepted());
  const auto taken = ledger->register_neuron(TestSigner(200), account(9)).value();
  EXPECT_EQ(taken.uid, 0);
}

TEST_F(EmbeddedLedgerTest, RefusesFilesAndGenesesThatMakeNoSense) {
  EXPECT_EQ(EmbeddedLedger::open(folder_ / "absent.db").error().code, ErrorCode::kNotFound);
  std::ofstream(folder_ / "noise.db") << std::string(9000, 'n');
  EXPECT_EQ(EmbeddedLedger::open(folder_ / "noise.db").error().code, ErrorCode::kCorrupted);
  ASSERT_TRUE(store::open_sqlite(folder_ / "empty.db").ok());
  EXPECT_EQ(EmbeddedLedger::open(folder_ / "empty.db").error().code, ErrorCode::kCorrupted);
  create();
  EXPECT_EQ(EmbeddedLedger::create(folder_ / "ledger.db", genesis_).error().code, ErrorCode::kInvalidArgument);
  Genesis bad = genesis_;
  bad.parameters.tempo = 0;
  EXPECT_THAT(EmbeddedLedger::create(folder_ / "b.db", bad).error().message, testing::HasSubstr("tempo"));
  bad = genesis_;
  bad.block_interval_ms = 0;
  EXPECT_EQ(EmbeddedLedger::create(folder_ / "b.db", bad).error().code, ErrorCode::kInvalidArgument);
  auto ledger = EmbeddedLedger::open(folder_ / "ledger.db", clock()).value();
  Hyperparameters wrong = genesis_.parameters;
  wrong.bonds_moving_average = 1'000'001;
  EXPECT_EQ(ledger->set_parameters(wrong).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ledger->set_stake(account(1), 1).error().code, ErrorCode::kNotFound);
}

TEST_F(EmbeddedLedgerTest, ACopyWorksOutEpochsAndLeavesTheFileAsItIs) {
  create_with(2, 1).reset();
  const auto bytes = [this] {
    std::ifstream in(folder_ / "ledger.db", std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(in)), {});
  };
  const std::string before = bytes();
  {
    auto copy = EmbeddedLedger::open_copy(folder_ / "ledger.db", clock());
    ASSERT_TRUE(copy.ok()) << copy.error().to_string();
    const Metagraph graph = (*copy)->metagraph(true).value();
    EXPECT_EQ(graph.last_epoch_block, 20U);
    EXPECT_TRUE(graph.neurons.at(0).validator_permit);
    EXPECT_TRUE((*copy)->register_neuron(TestSigner(200), account(9)).value().accepted());
  }
  EXPECT_EQ(bytes(), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
  EXPECT_EQ(EmbeddedLedger::open_copy(folder_ / "none.db").error().code, ErrorCode::kNotFound);
}

TEST_F(EmbeddedLedgerTest, ManyProcessesRegisterAndVoteWithoutLoss) {
  create().reset();
  std::vector<pid_t> children;
  for (std::uint8_t process = 0; process < 4; ++process) {
    const pid_t child = fork();
    if (child == 0) {
      auto ledger = EmbeddedLedger::open(folder_ / "ledger.db", clock());
      if (!ledger.ok()) _exit(1);
      for (std::uint8_t i = 0; i < 12; ++i) {
        const auto outcome =
            (*ledger)->register_neuron(TestSigner(200), account(static_cast<std::uint8_t>(process * 12 + i)));
        if (!outcome.ok() || !outcome->accepted()) _exit(2);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  const auto graph = EmbeddedLedger::open(folder_ / "ledger.db", clock()).value()->metagraph(false).value();
  EXPECT_EQ(graph.neurons.size(), 48U);
}

TEST_F(EmbeddedLedgerTest, KillingAProcessAtRandomLeavesAWholeLedger) {
  create_with(1, 1).reset();
  for (int round = 0; round < 25; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      auto ledger = EmbeddedLedger::open(folder_ / "ledger.db", clock());
      if (!ledger.ok()) _exit(1);
      for (;;) {
        pass_blocks(20);
        (void)(*ledger)->set_weights(TestSigner(1), std::vector<Weight>{{1, 1}}, 0);
      }
    }
    usleep(static_cast<useconds_t>(2000 + 1500 * round));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    auto ledger = EmbeddedLedger::open(folder_ / "ledger.db", clock());
    ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
    const auto graph = (*ledger)->metagraph(true);
    ASSERT_TRUE(graph.ok());
    ASSERT_EQ(graph->neurons.size(), 2U);
    EXPECT_EQ(graph->last_epoch_block % 20, 0U);
    now_ms_ = 1'700'000'000'000 + static_cast<std::int64_t>(graph->block) * 1000;
  }
}

}  // namespace
}  // namespace brainlock::ledger
