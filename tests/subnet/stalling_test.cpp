// Miners that keep a validator waiting: none of them for long, and not at the cost of others.
#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <thread>

#include "hindering.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;
using protocol::Refusal;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class Stalling : public HinderedSubnet {};

TEST_F(Stalling, AMinerThatTakesNoPartEndsTheUpload) {
  // It says that the rest is wanted each time it is asked, and has no room for it whenever it comes.
  const auto parts = std::make_shared<std::atomic<int>>(0);
  add("full", [parts](const net::RequestHead& head) -> std::optional<net::Response> {
    if (!is_key_part(head)) return std::nullopt;
    ++*parts;
    return refusal(Refusal::kQuotaExceeded);
  });
  const auto validator = make_validator(self, ledger, folder.path);
  const auto begin = steady_clock::now();
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->failed, 1u);
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  EXPECT_LE(*parts, 4);
  EXPECT_EQ(newest(*validator).reason, protocol::reason_name(Reason::kKeyUpload));
}

TEST_F(Stalling, ASlowUploadEndsInTimeAndGoesOnLater) {
  const auto parts = std::make_shared<std::atomic<int>>(0);
  const auto slow = std::make_shared<std::atomic<bool>>(true);
  add("slow", [parts, slow](const net::RequestHead& head) -> std::optional<net::Response> {
    if (!is_key_part(head)) return std::nullopt;
    ++*parts;
    if (*slow && *parts > 2) std::this_thread::sleep_for(seconds(2));
    return std::nullopt;
  });
  validator::ValidatorOptions options;
  options.upload_timeout_ms = 700;
  const auto validator = make_validator(self, ledger, folder.path, options);
  const auto begin = steady_clock::now();
  EXPECT_EQ(validator->run_round()->failed, 1u);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(1900));
  // The next one waits, which is a failure all the same: nobody shall live on old scores by taking a key for ever.
  const int tried = *parts;
  EXPECT_EQ(validator->run_round()->failed, 1u);
  EXPECT_EQ(*parts, tried);
  EXPECT_THAT(newest(*validator).detail, testing::HasSubstr("the next one is in"));
  // Another validator process with the same keys, as after a restart: the parts that arrived are not sent again.
  *slow = false;
  const auto again = make_validator(self, ledger, folder.path, options);
  EXPECT_EQ(again->run_round()->succeeded, 1u);
  EXPECT_LE(*parts - tried, 3);
}

// What is shown beside the measured time: a miner that lets small requests wait does not make its line look long.
TEST_F(Stalling, NobodysLineIsLongBecauseItDallies) {
  constexpr seconds kDally{2};   // many times what a busy machine puts between two steps
  const auto& miner = add("dallies", [kDally](const net::RequestHead& head) -> std::optional<net::Response> {
    if (head.method == "GET") std::this_thread::sleep_for(kDally);
    return std::nullopt;
  });
  const FakeTaskClient task(folder.path / "client");
  client::MinerConnection connection(self.signer, {miner.self.account(), "127.0.0.1", miner.server->port(), true});
  ASSERT_TRUE(connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).ok());
  const auto call = connection.infer(kPackage, task.key_id(), *task.encrypt(std::vector<float>(kInputs)), {});
  ASSERT_TRUE(call.ok());
  EXPECT_GT(call.round_trip_s, 0);
  EXPECT_LT(call.round_trip_s, std::chrono::duration<double>(kDally).count() / 2);
  EXPECT_GE(call.network_s, call.round_trip_s);
  EXPECT_LE(call.network_s, call.response_s);
}

TEST_F(Stalling, AKeyThatIsLostEachTimeIsNotSentForEver) {
  const auto uid = ledger->add(person("forgetful").account(), false, 0);
  validator::ValidatorOptions options;
  options.uploads_an_hour = 2;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 4; ++round) {
    const FakeMiner miner = start_miner("forgetful", ledger, std::make_unique<FakeEngine>(), folder.path);
    ledger->serve(uid, miner.server->port());
    EXPECT_EQ(validator->run_round()->succeeded, round < 2 ? 1u : 0u);
    EXPECT_EQ(miner.server->counters().bytes_in >= kKeyFileBytes, round < 2) << round;
    fs::remove_all(folder.path / "forgetful");
  }
  EXPECT_EQ(newest(*validator).reason, protocol::reason_name(Reason::kKeyUpload));
  EXPECT_THAT(newest(*validator).detail, testing::HasSubstr("2 times within an hour"));
}

// It would think while it is not timed, and answer the second time at once.
TEST_F(Stalling, AQuestionIsNotAskedAgainOfWhoSaysThatItHasNoKey) {
  const auto asked = std::make_shared<std::atomic<int>>(0);
  const auto denies = std::make_shared<std::atomic<bool>>(false);
  add("thinker", [asked, denies](const net::RequestHead& head) -> std::optional<net::Response> {
    if (head.method != "POST") return std::nullopt;
    ++*asked;
    if (*denies) return refusal(Refusal::kUnknownKey);
    return std::nullopt;
  });
  const auto validator = make_validator(self, ledger, folder.path);
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
  *denies = true;
  for (int round = 2; round < 5; ++round) {
    EXPECT_EQ(validator->run_round()->failed, 1u);
    EXPECT_EQ(*asked, round);
  }
  *denies = false;
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
}

TEST_F(Stalling, ThoseWhoAreSilentAreAskedLastAndTogether) {
  struct Order {
    std::mutex mutex;
    std::vector<std::string> names;
  };
  const auto order = std::make_shared<Order>();
  const auto engine = [&](const std::string& name, bool silent) {
    auto out = std::make_unique<FakeEngine>();
    out->before = [order, name, silent](const miner::JobControl&) {
      {
        const std::lock_guard lock(order->mutex);
        order->names.push_back(name);
      }
      if (silent) std::this_thread::sleep_for(milliseconds(1400));
    };
    return out;
  };
  add("silent", {}, engine("silent", true));
  add("refuses late", [](const net::RequestHead& head) -> std::optional<net::Response> {
    if (head.method != "POST") return std::nullopt;
    std::this_thread::sleep_for(milliseconds(900));
    return refusal(Refusal::kQueueFull);
  });
  for (const char* name : {"prompt 1", "prompt 2", "prompt 3", "prompt 4"}) add(name, {}, engine("prompt", false));
  validator::ValidatorOptions options;
  options.parallel = 2;
  options.request_timeout_ms = 1000;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_TRUE(validator->run_round().ok());
  for (int round = 0; round < 2; ++round) {
    std::this_thread::sleep_for(milliseconds(600));   // the silent ones' engines are free again
    {
      const std::lock_guard lock(order->mutex);
      order->names.clear();
    }
    int batches = 0;
    const auto begin = steady_clock::now();
    ASSERT_TRUE(validator->run_round({}, [&] { ++batches; }).ok());
    EXPECT_EQ(batches, 3);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(1900)) << "each of the slow miners held up a batch of its own";
    const std::lock_guard lock(order->mutex);
    ASSERT_GE(order->names.size(), 5u);
    EXPECT_THAT(std::vector<std::string>(order->names.begin(), order->names.begin() + 4), testing::Each("prompt"));
  }
}

// A round goes on without those that take longer than its patience. Their answers count when they come.
TEST_F(Stalling, ARoundDoesNotWaitForThoseWhoStall) {
  const auto stalls = std::make_shared<std::atomic<bool>>(false);
  std::vector<ledger::AccountId> stallers;
  for (const char* name : {"staller 1", "staller 2"}) {
    auto engine = std::make_unique<FakeEngine>();
    engine->before = [stalls](const miner::JobControl&) { std::this_thread::sleep_for(milliseconds(*stalls ? 1500 : 0)); };
    stallers.push_back(add(name, {}, std::move(engine)).self.account());
  }
  const auto prompt = add("prompt").self.account();
  validator::ValidatorOptions options;
  options.parallel = 3;
  options.patience_ms = 400;
  options.request_timeout_ms = 1200;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->succeeded, 3u);
  *stalls = true;
  auto begin = steady_clock::now();
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(900));
  const auto count = [&](const ledger::AccountId& miner, bool success) {
    store::RequestFilter filter;
    filter.miner = miner;
    std::size_t found = 0;
    const auto rows = *validator->parts().store->requests(filter);
    for (const auto& row : rows) found += row.success == success ? 1 : 0;
    return found;
  };
  // While they stall they are not asked anew, and the prompt one is.
  for (int round = 0; round < 3; ++round) {
    begin = steady_clock::now();
    ASSERT_EQ(validator->run_round()->succeeded, 1u);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(200));
  }
  EXPECT_EQ(count(prompt, true), 5u);
  for (const auto& staller : stallers) EXPECT_EQ(count(staller, false), 0u);
  auto rest = validator->finish();
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->failed, 2u);
  // From then on they are asked beside the others, so that not even the first wait is lost.
  begin = steady_clock::now();
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(200));
  EXPECT_EQ(validator->finish()->failed, 2u);
  // Who answers again is among the others after a while.
  *stalls = false;
  for (int round = 0; round < 12; ++round) {
    ASSERT_TRUE(validator->run_round().ok());
    ASSERT_TRUE(validator->finish().ok());
  }
  EXPECT_EQ(validator->run_round()->succeeded, 3u);
}

// A hundredth of 5, 15, 30, 60 and 100 s, a patience of 20 s and a limit of 120: in batches or beside them, each is timed as it is.
TEST_F(Stalling, HonestMinersAreTimedAsTheyAreHoweverSlow) {
  std::map<ledger::AccountId, double> seconds_of;
  for (const int ms : {50, 150, 300, 600, 1000}) {
    auto engine = std::make_unique<FakeEngine>();
    engine->before = [ms](const miner::JobControl&) { std::this_thread::sleep_for(milliseconds(ms)); };
    seconds_of[add("takes " + std::to_string(ms), {}, std::move(engine)).self.account()] = ms / 1000.0;
  }
  validator::ValidatorOptions options;
  options.patience_ms = 200;
  options.request_timeout_ms = 1200;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 60; ++round) {
    ASSERT_TRUE(validator->run_round().ok());
    std::this_thread::sleep_for(milliseconds(50));
  }
  ASSERT_TRUE(validator->finish().ok());
  const auto standings = *validator->standings();
  for (const auto& standing : standings) {
    EXPECT_EQ(standing.standing.failures, 0u) << seconds_of[standing.hotkey];
    EXPECT_GE(standing.standing.requests, 5u);
    EXPECT_NEAR(standing.standing.median_response_s, seconds_of[standing.hotkey] + 0.02, 0.02 + seconds_of[standing.hotkey] / 10);
  }
}

TEST_F(Stalling, ALongUploadGoesOnBesideTheRounds) {
  const auto parts = std::make_shared<std::atomic<int>>(0);
  const auto far = add("far", [parts](const net::RequestHead& head) -> std::optional<net::Response> {
    if (!is_key_part(head)) return std::nullopt;
    ++*parts;
    std::this_thread::sleep_for(milliseconds(300));
    return std::nullopt;
  }).self.account();
  validator::ValidatorOptions options;
  options.patience_ms = 200;
  const auto validator = make_validator(self, ledger, folder.path, options);
  const auto first = validator->run_round();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->asked, 0u) << "no failure: the key is on its way";
  ASSERT_TRUE(validator->finish().ok());
  const int sent = *parts;
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_EQ(*parts, sent);
  EXPECT_EQ(newest(*validator).miner, far);
}

// Two hotkeys on one machine, which lets the second's readiness wait until the first is done: each would be measured as if it were alone.
TEST_F(Stalling, ThoseWhoShareAMachineShareItWhenTheyAreMeasured) {
  const auto machine = std::make_shared<std::mutex>();
  for (const char* name : {"one", "two"}) {
    auto engine = std::make_unique<FakeEngine>();
    engine->before = [machine](const miner::JobControl&) {
      const std::lock_guard lock(*machine);
      std::this_thread::sleep_for(milliseconds(300));
    };
    add(name, [machine](const net::RequestHead& head) -> std::optional<net::Response> {
      if (head.method == "GET") const std::lock_guard lock(*machine);
      return std::nullopt;
    }, std::move(engine));
  }
  validator::ValidatorOptions options;
  options.parallel = 2;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(validator->run_round()->succeeded, 2u);
    const auto rows = *validator->parts().store->requests({});
    EXPECT_GE(rows.at(0).response_s + rows.at(1).response_s, 0.85) << "300 ms for the one, 600 for the other";
  }
}

TEST_F(Stalling, ARoundEndsWithItsSlot) {
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    auto engine = std::make_unique<FakeEngine>();
    engine->before = [](const miner::JobControl&) { std::this_thread::sleep_for(milliseconds(200)); };
    add(name, {}, std::move(engine));
  }
  ledger->change([](ledger::Metagraph& m) { m.block = 24; });
  ledger->block_interval_ms = 50;
  validator::ValidatorOptions options;
  options.parallel = 1;
  options.slot_blocks = 12;   // 600 ms
  const auto validator = make_validator(self, ledger, folder.path, options);
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok());
  EXPECT_GE(report->asked, 1u);
  EXPECT_LE(report->asked, 4u);
}

TEST_F(Stalling, WhoIsSlowToBeReadyDoesNotChooseWhenItsTimeBegins) {
  const auto slow = std::make_shared<std::atomic<bool>>(false);
  add("farm", [slow](const net::RequestHead& head) -> std::optional<net::Response> {
    if (*slow && head.method == "GET" && head.target.find("/keys/") != std::string::npos) std::this_thread::sleep_for(milliseconds(2600));
    return std::nullopt;
  });
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_LT(newest(*validator).response_s, 0.5);
  *slow = true;
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_GT(newest(*validator).response_s, 0.55);
}

// Miners know whose slot it is. They do not know when in it they are asked, and one slot is not all that counts.
TEST_F(Stalling, ASlotHasFewQuestionsAtTimesOfItsOwn) {
  ledger->add(person("other validator").account(), true, 500);
  for (const char* name : {"a", "b", "c", "d"}) add(name);
  validator::ValidatorOptions options;
  options.slot_blocks = 12;
  const auto validator = make_validator(self, ledger, folder.path, options);
  std::map<std::uint64_t, std::size_t> asked;   // by block of the slot
  std::size_t all = 0;
  for (std::uint64_t block = 24; block < 24 + 8 * 12; ++block) {
    ledger->change([&](ledger::Metagraph& m) { m.block = block; });
    for (int round = 0; round < 2; ++round) {
      const auto report = validator->run_round();
      ASSERT_TRUE(report.ok()) << report.error().to_string();
      asked[block % 12] += report->asked;
      all += report->asked;
    }
  }
  // Eight slots, in each two of the four miners, four questions each; those of one block have two rounds to be asked in.
  EXPECT_LE(all, 8u * 2 * 4);
  EXPECT_GE(all, 8u * 2 * 3);
  EXPECT_GE(asked.size(), 10u) << "bunched";
}

TEST_F(Stalling, PackagesOfOneMinerAreScoredEachByItself) {
  add("miner");
  auto parts = make_validator(self, ledger, folder.path)->parts();
  validator::Task heavy = parts.tasks[0];
  heavy.package = protocol::ContentId{99};
  parts.tasks.push_back(heavy);
  const auto validator = validator::Validator::make(parts, {}).value();
  const auto record = [&](const protocol::ContentId& package, double response_s, int count) {
    for (int i = 0; i < count; ++i) {
      store::RequestRow row;
      row.uuid = protocol::make_uuid();
      row.validator = self.account();
      row.miner = miners[0].self.account();
      row.package = protocol::content_id_text(package);
      row.finished_ms = parts.clock();
      row.success = true;
      row.reason = "ok";
      row.response_s = response_s;
      ASSERT_TRUE(parts.store->record_request(row).ok());
    }
  };
  record(kPackage, 0.1, 20);
  record(heavy.package, 100, 15);   // left to the time limit
  const auto standing = validator->standings().value().at(0).standing;
  EXPECT_NEAR(standing.score, std::sqrt(std::pow(40 / 0.1, 3) * std::pow(40 / 100.0, 3)), 1);
  EXPECT_NEAR(standing.base_score, std::pow(40 / 0.1, 3), 1) << "the median of all, as it is shown";
}

TEST_F(Stalling, VotesAreSentInTheMiddleOfALongRound) {
  add("honest");
  auto slow = std::make_unique<FakeEngine>();
  slow->before = [](const miner::JobControl&) { std::this_thread::sleep_for(milliseconds(300)); };
  add("slow", {}, std::move(slow));
  validator::ValidatorOptions options;
  options.parallel = 1;
  const auto validator = make_validator(self, ledger, folder.path, options);
  int between = 0;
  ASSERT_TRUE(validator->run_round({}, [&] {
    if (++between == 1) {
      EXPECT_TRUE(validator->vote().ok());
    }
  }).ok());
  EXPECT_EQ(between, 2);
  EXPECT_EQ(validator->parts().store->votes(5)->size(), 1u);
}

}  // namespace
}  // namespace brainlock::test
