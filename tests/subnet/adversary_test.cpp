// Miners that cheat, and what becomes of them. BRAINLOCK_ADVERSARY_ROUNDS sets how long they try (default 4).
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "brainlock/validator/board.hpp"
#include "fake_subnet.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;
using protocol::Refusal;

struct Adversary {
  std::string name;
  Twist twist;
  Reason caught_as;
};

Bytes zeros_after_key(Bytes answer) {
  std::fill(answer.begin() + 32, answer.end(), std::uint8_t{0});
  return answer;
}

std::vector<Adversary> adversaries() {
  // What an adversary remembers from question to question.
  auto first = std::make_shared<Bytes>();
  auto last = std::make_shared<Bytes>();
  std::vector<Adversary> out;
  out.push_back({"zeros", [](auto, Bytes a, int) { return zeros_after_key(std::move(a)); }, Reason::kTrivialAnswer});
  out.push_back({"trivial", [](auto, Bytes a, int) {
                   std::fill(a.begin() + 32, a.begin() + 64, std::uint8_t{0});
                   return Result<Bytes>(with_numbers(std::move(a), std::vector<double>(kOutputs, 0.5)));
                 }, Reason::kTrivialAnswer});
  out.push_back({"constant", [](auto, Bytes a, int) { return Result<Bytes>(with_numbers(std::move(a), std::vector<double>(kOutputs, 0.25))); }, Reason::kWrongOutput});
  out.push_back({"replay", [first](auto, Bytes a, int call) {
                   if (call == 0) *first = with_numbers(a, std::vector<double>(kOutputs, 1.0));  // from its training set, say
                   return Result<Bytes>(*first);
                 }, Reason::kRepeatedAnswer});
  out.push_back({"answer of the last question", [last](auto, Bytes a, int call) {
                   const Bytes before = call == 0 ? with_numbers(a, std::vector<double>(kOutputs, 0.0)) : *last;
                   const auto numbers = answer_numbers(before);
                   *last = a;
                   return Result<Bytes>(with_numbers(std::move(a), numbers));  // under a new nonce
                 }, Reason::kWrongOutput});
  out.push_back({"early end", [](auto, Bytes a, int) { a.resize(a.size() / 2); return Result<Bytes>(std::move(a)); }, Reason::kMalformedAnswer});
  out.push_back({"empty", [](auto, Bytes, int) { return Result<Bytes>(Bytes{}); }, Reason::kMalformedAnswer});
  out.push_back({"wrong model", [](auto question, Bytes a, int) {
                   std::vector<float> input(kInputs);
                   std::memcpy(input.data(), question.data() + 64, kInputs * sizeof(float));
                   return Result<Bytes>(with_numbers(std::move(a), fake_model(input, 1)));
                 }, Reason::kWrongOutput});
  out.push_back({"noise", [](auto, Bytes a, int call) {
                   auto n = answer_numbers(a);
                   n[static_cast<std::size_t>(call) % kOutputs] += 0.01;
                   return Result<Bytes>(with_numbers(std::move(a), n));
                 }, Reason::kWrongOutput});
  out.push_back({"scaled logits", [](auto, Bytes a, int) {
                   auto n = answer_numbers(a);
                   for (double& v : n) v *= 1000;  // the same direction and the same class
                   return Result<Bytes>(with_numbers(std::move(a), n));
                 }, Reason::kWrongOutput});
  out.push_back({"not a number", [](auto, Bytes a, int) { return Result<Bytes>(with_numbers(std::move(a), std::vector<double>(kOutputs, NAN))); }, Reason::kWrongOutput});
  out.push_back({"under another key", [](auto, Bytes a, int) { a[3] ^= 1; return Result<Bytes>(std::move(a)); }, Reason::kMalformedAnswer});
  out.push_back({"oversize", [](auto, Bytes a, int) { a.resize(10'000'000); return Result<Bytes>(std::move(a)); }, Reason::kAnswerTooLarge});
  out.push_back({"echo", [](auto q, Bytes, int) { return Result<Bytes>(Bytes(q.begin(), q.end())); }, Reason::kAnswerTooLarge});
  out.push_back({"refuses", [](auto, Bytes, int) { return Result<Bytes>(ErrorCode::kUnavailable, "busy"); }, Reason::kRefused});
  return out;
}

validator::ValidatorOptions options_with(unsigned parallel) {
  validator::ValidatorOptions options;
  options.parallel = parallel;
  return options;
}

int rounds() {
  const char* text = std::getenv("BRAINLOCK_ADVERSARY_ROUNDS");
  return text == nullptr ? 4 : std::max(2, std::atoi(text));
}

TEST(Adversaries, AllScoreZeroAndTheHonestMinerNeverFails) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  const auto all = adversaries();
  ASSERT_GE(all.size(), 12u);
  std::vector<FakeMiner> miners;
  const auto add = [&](const std::string& name, Twist twist) {
    auto engine = std::make_unique<FakeEngine>();
    engine->twist = std::move(twist);
    const auto uid = ledger->add(person(name).account(), false, 0);
    miners.push_back(start_miner(name, ledger, std::move(engine), folder.path));
    ledger->serve(uid, miners.back().server->port());
  };
  add("honest", {});
  for (const auto& adversary : all) add(adversary.name, adversary.twist);

  const auto validator = make_validator(self, ledger, folder.path, options_with(4));
  const auto total = static_cast<std::size_t>(rounds());
  for (std::size_t round = 0; round < total; ++round) {
    const auto report = validator->run_round();
    ASSERT_TRUE(report.ok()) << report.error().to_string();
    ASSERT_EQ(report->asked, miners.size());
    ASSERT_EQ(report->succeeded, 1u);
    ASSERT_EQ(report->not_counted, 0u);
  }
  // The page tells who was wrong, and of no answer how it decrypts: whoever made the ciphertext could learn about the key from that.
  const auto board = nlohmann::json::parse(validator::board_json(*validator).value());
  std::size_t wrong = 0, explained = 0;
  for (const auto& row : board["recent"]) {
    EXPECT_FALSE(row.contains("deviation"));
    if (row["reason"] == "wrong_output") {
      ++wrong;
      EXPECT_EQ(row["detail"], "");
    } else if (!row["success"].get<bool>()) {
      explained += row["detail"] != "" ? 1 : 0;
    }
  }
  EXPECT_GT(wrong, 0U);
  EXPECT_GT(explained, 0U);

  const auto standings = validator->standings();
  ASSERT_TRUE(standings.ok());
  ASSERT_EQ(standings->size(), miners.size());
  for (const auto& standing : *standings) {
    if (standing.uid == 1) {
      EXPECT_GT(standing.standing.score, 0);
      EXPECT_EQ(standing.standing.failures, 0u);
      EXPECT_TRUE(standing.zero_because.empty());
      continue;
    }
    const Adversary& adversary = all[standing.uid - 2u];
    EXPECT_EQ(standing.standing.score, 0) << adversary.name;
    EXPECT_EQ(standing.last_reason, protocol::reason_name(adversary.caught_as)) << adversary.name;
    EXPECT_FALSE(standing.zero_because.empty()) << adversary.name;
  }
  // The vote: everything for the honest miner, read back from the ledger.
  const auto outcome = validator->vote();
  ASSERT_TRUE(outcome.ok() && outcome->has_value());
  EXPECT_TRUE((*outcome)->accepted());
  EXPECT_EQ(ledger->state.neurons[0].weights, (std::vector<ledger::Weight>{{1, 65535}}));
  EXPECT_TRUE(validator->parts().store->votes(1)->at(0).confirmed_block.has_value());
}

// A package's bound is many times its usual error: a cheaper model's answers keep within it. What gives them away is that they differ from the
// foretold answer by more than the scheme's errors do, each by itself or all of them together.
TEST(Adversaries, ACheaperModelIsToldFromTheSchemesErrors) {
  constexpr double kError = 1e-4;   // a tenth of the fake task's bound
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  std::vector<FakeMiner> miners;
  const auto off_by = [&](const std::string& name, std::function<double(int call, std::size_t output)> error) {
    auto engine = std::make_unique<FakeEngine>();
    engine->twist = [error](auto, Bytes a, int call) {
      auto n = answer_numbers(a);
      for (std::size_t i = 0; i < n.size(); ++i) n[i] += error(call, i);
      return Result<Bytes>(with_numbers(std::move(a), n));
    };
    const auto uid = ledger->add(person(name).account(), false, 0);
    miners.push_back(start_miner(name, ledger, std::move(engine), folder.path));
    ledger->serve(uid, miners.back().server->port());
    return uid;
  };
  const auto sign = [](int call, std::size_t output) { return (static_cast<std::size_t>(call) * 7 + output * 3) % 5 < 2 ? -1.0 : 1.0; };
  const auto honest = off_by("honest", [&](int call, std::size_t output) { return kError * sign(call, output); });
  const auto cheap = off_by("cheap", [&](int call, std::size_t output) { return 5 * kError * sign(call, output); });
  const auto careful = off_by("careful", [&](int call, std::size_t output) { return 2 * kError * sign(call, output); });
  const auto one_slip = off_by("one slip", [&](int call, std::size_t output) { return (call == 5 ? 9 : 1) * kError * sign(call, output); });

  auto parts = make_validator(self, ledger, folder.path)->parts();
  parts.tasks[0].range = [](std::span<const float> input) {
    package::ValueRange range;
    range.clear = fake_model(input);
    range.foretold = package::Foretold{{}, range.clear, kError};
    return Result<package::ValueRange>(range);
  };
  auto options = options_with(4);
  options.allow_private_addresses = true;
  const auto validator = validator::Validator::make(parts, options).value();
  for (int round = 0; round < 30; ++round) ASSERT_TRUE(validator->run_round().ok());
  const auto standings = *validator->standings();
  const auto of = [&](ledger::Uid uid) { return std::find_if(standings.begin(), standings.end(), [&](const auto& s) { return s.uid == uid; })->standing; };
  EXPECT_EQ(of(honest).failures, 0U);
  EXPECT_EQ(of(cheap).failures, 30U);
  EXPECT_EQ(of(careful).failures, 30U - 7) << "each answer is right by itself; the sum of eight squares is above 2 * 8 + 14";
  EXPECT_EQ(of(one_slip).failures, 1U) << "a single wrong answer does not stick";
  std::size_t single = 0, together = 0;
  const auto rows = *parts.store->requests({});
  for (const auto& row : rows) {
    if (row.success) continue;
    EXPECT_EQ(row.reason, protocol::reason_name(Reason::kWrongOutput));
    ASSERT_TRUE(row.deviation);
    EXPECT_LT(*row.deviation, parts.tasks[0].error_bound) << "the bound alone tells";
    single += row.detail.find("allowed are 4") != std::string::npos ? 1 : 0;
    together += row.detail.find("all a little off") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(single, 31U);
  EXPECT_EQ(together, 30U - 7);
}

TEST(Adversaries, DroppingSlowQueriesCostsMoreThanItGains) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  std::vector<FakeMiner> miners;
  for (const std::string name : {"honest", "dropper"}) {
    auto engine = std::make_unique<FakeEngine>();
    engine->before = [](const miner::JobControl&) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
    if (name == "dropper") {
      engine->before = {};
      engine->twist = [](auto, Bytes a, int call) {
        if (call % 3 == 0) return Result<Bytes>(ErrorCode::kUnavailable, "too slow for me");
        return Result<Bytes>(std::move(a));
      };
    }
    const auto uid = ledger->add(person(name).account(), false, 0);
    miners.push_back(start_miner(name, ledger, std::move(engine), folder.path));
    ledger->serve(uid, miners.back().server->port());
  }
  const auto validator = make_validator(self, ledger, folder.path, options_with(1));
  for (int round = 0; round < 30; ++round) ASSERT_TRUE(validator->run_round().ok());
  const auto standings = *validator->standings();
  const auto of = [&](ledger::Uid uid) { return std::find_if(standings.begin(), standings.end(), [&](const auto& s) { return s.uid == uid; })->standing; };
  EXPECT_NEAR(of(2).failure_rate, 1.0 / 3, 0.01);
  EXPECT_LT(of(2).median_response_s, of(1).median_response_s) << "it is faster where it answers";
  EXPECT_GT(of(1).score, 0);
  // f = 1/3: divided by 1 + 2.5^13.3, about 200,000.
  EXPECT_NEAR(of(2).divisor / (1 + std::pow(2.5, (of(2).failure_rate - 0.2) * 100)), 1.0, 1e-6);
  EXPECT_GT(of(2).divisor, 100'000);
}

TEST(Adversaries, ServerUnderAnotherHotkeyIsNotTheMiner) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  const auto uid = ledger->add(person("victim").account(), false, 0);
  const FakeMiner other = start_miner("other", ledger, std::make_unique<FakeEngine>(), folder.path);
  ledger->serve(uid, other.server->port());
  validator::ValidatorOptions plain;
  plain.tls = false;
  const auto validator = make_validator(self, ledger, folder.path, plain);
  ASSERT_EQ(validator->run_round()->failed, 1u);
  const auto row = validator->parts().store->requests({})->at(0);
  EXPECT_EQ(row.reason, protocol::reason_name(Reason::kKeyUpload));
  EXPECT_NE(row.detail.find("wrong_receiver"), std::string::npos) << row.detail;
}

TEST(Adversaries, ServerThatAnotherHotkeyVouchesForIsNotTalkedTo) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  const auto victim = ledger->add(person("victim").account(), false, 0), plain = ledger->add(person("plain").account(), false, 0);
  // Somebody between the validator and the miner: has a certificate, but not the victim's signature under it.
  const FakeMiner between = start_miner("between", ledger, std::make_unique<FakeEngine>(), folder.path);
  ledger->serve(victim, between.server->port());
  MinerExtras plain_http;
  plain_http.tls = false;
  const FakeMiner without = start_miner("plain", ledger, std::make_unique<FakeEngine>(), folder.path, fast_options(), plain_http);
  ledger->serve(plain, without.server->port());
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->failed, 2u);
  const auto rows = validator->parts().store->requests({});
  ASSERT_TRUE(rows.ok());
  for (const auto& row : *rows) {
    EXPECT_EQ(row.reason, protocol::reason_name(row.miner_uid == victim ? Reason::kUnsignedAnswer : Reason::kUnreachable)) << row.detail;
  }
  EXPECT_EQ(between.server->counters().requests, 0u);
  EXPECT_EQ(without.server->counters().requests, 0u);
  // On request both are asked in plain, and the victim's own signature is still missed.
  validator::ValidatorOptions options;
  options.tls = false;
  fs::create_directories(folder.path / "second");
  const auto trusting = make_validator(self, ledger, folder.path / "second", options);
  EXPECT_EQ(trusting->run_round()->succeeded, 1u);
}

TEST(History, WhatIsTooOldIsDeletedAndWhatScoresNeedIsKept) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  const auto uid = ledger->add(person("honest").account(), false, 0);
  const FakeMiner honest = start_miner("honest", ledger, std::make_unique<FakeEngine>(), folder.path);
  ledger->serve(uid, honest.server->port());
  validator::ValidatorOptions options;
  options.keep_ms = options.rule.window_ms;
  options.round_pause_ms = 1;
  const auto validator = make_validator(self, ledger, folder.path, options);
  const std::int64_t now_ms = validator->parts().clock();
  for (std::int64_t hours = 1; hours <= 240; ++hours) {
    store::RequestRow row;
    row.uuid = "row of " + std::to_string(hours);
    row.miner = person("honest").account();
    row.finished_ms = now_ms - hours * 3'600'000;
    row.reason = "ok";
    ASSERT_TRUE(validator->parts().store->record_request(row).value());
  }
  validator->run({}, 1);
  // Those that count, a day more, and the round's own.
  EXPECT_GE(validator->parts().store->count_requests().value(), 72 + 1);
  EXPECT_LE(validator->parts().store->count_requests().value(), 96 + 1);
  // Not sooner than the score allows.
  validator::ValidatorParts parts;
  parts.tasks.emplace_back();
  options.keep_ms = options.rule.window_ms - 1;
  const auto refused = validator::Validator::make(std::move(parts), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

TEST(Adversaries, AbsentAndForbiddenAddressesHaveTheirReasons) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  const auto uid = ledger->add(person("gone").account(), false, 0);
  ledger->serve(uid, 1);
  auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->failed, 1u);
  EXPECT_EQ(validator->parts().store->requests({})->at(0).reason, protocol::reason_name(Reason::kUnreachable));
}

// A permit reaches the ledger before it reaches the miners' pictures of it. Nobody shall lose by that.
TEST(Permit, ValidatorWaitsUntilMinersKnowOfItAndTheyLearnWhenTheyRefuse) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  const auto own = ledger->add(self.account(), false, 1000);
  const auto uid = ledger->add(person("honest").account(), false, 0);
  const FakeMiner miner = start_miner("honest", ledger, std::make_unique<FakeEngine>(), folder.path);
  ledger->serve(uid, miner.server->port());
  const auto validator = make_validator(self, ledger, folder.path);
  EXPECT_EQ(validator->run_round().error().code, ErrorCode::kDenied);
  ledger->change([&](ledger::Metagraph& m) { m.neurons[own].validator_permit = true; });
  EXPECT_EQ(validator->run_round().error().code, ErrorCode::kUnavailable) << "asked miners that cannot know of the permit";
  ledger->change([](ledger::Metagraph& m) { m.block += 2; });
  EXPECT_FALSE(validator->run_round().ok());

  // The miner's picture is from its start, and its next reading 12 s away: a refusal brings it forward.
  client::MinerConnection connection(self.signer, {miner.self.account(), "127.0.0.1", miner.server->port()});
  const FakeTaskClient task(folder.path / "other");
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).refusal, Refusal::kNoPermit);
  while (!connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).ok()) {
    ASSERT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ledger->change([](ledger::Metagraph& m) { m.block += 1; });
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->succeeded, 1u);
}

TEST(Adversaries, MinerThatLostItsKeysGetsThemAgain) {
  const TemporaryFolder folder;
  const auto ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  ledger->add(self.account(), true, 1000);
  const auto uid = ledger->add(person("honest").account(), false, 0);
  FakeMiner miner = start_miner("honest", ledger, std::make_unique<FakeEngine>(), folder.path);
  ledger->serve(uid, miner.server->port());
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  miner.server.reset();
  miner.service.reset();
  fs::remove_all(folder.path / "honest");
  miner = start_miner("honest", ledger, std::make_unique<FakeEngine>(), folder.path);
  ledger->serve(uid, miner.server->port());
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
  // And one that kept them is not sent them again.
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_LT(miner.server->counters().bytes_in, kKeyFileBytes + 10 * kQuestionBytes);
}

}  // namespace
}  // namespace brainlock::test
