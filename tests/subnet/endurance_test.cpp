// Miner and validator as processes: killed at random moments, and run for long. And is everybody timed alike?
// BRAINLOCK_KILLS (default 12) and BRAINLOCK_SOAK_SECONDS (default 10) set for how long.
#include <algorithm>
#include <csignal>
#include <map>
#include <random>
#include <set>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/net/client.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

TEST(Durability, KilledAtRandomMomentsNothingIsLostOrDoubled) {
  const TemporaryFolder folder;
  const auto ledger = make_ledger(folder.path, {"miner"}, {"validator"});
  const std::string ledger_file = folder.path / "ledger.sqlite";
  std::string port = "0";
  const auto start_miner_node = [&] {
    auto node = std::make_unique<NodeProcess>(std::vector<std::string>{"miner", folder.path, ledger_file, "miner", port, "3"});
    port = std::to_string(node->port());
    return node;
  };
  const auto start_validator_node = [&] { return std::make_unique<NodeProcess>(std::vector<std::string>{"validator", folder.path, ledger_file, "validator", "10"}); };
  auto miner = start_miner_node();
  auto validator = start_validator_node();
  // "measured UUID UID ok": the row is on disk.
  ASSERT_TRUE(validator->wait_for_line("measured ", 0, milliseconds(20'000), " ok"));

  std::set<std::string> told;
  std::size_t keys_uploaded = 0;
  const auto collect = [&](NodeProcess& node) {
    for (const auto& line : node.lines()) {
      if (line.starts_with("measured ")) {
        EXPECT_TRUE(told.insert(line.substr(9, 36)).second) << "said twice: " << line;
      }
      if (line.starts_with("key_complete ")) ++keys_uploaded;
    }
  };
  const int kills = number_from_environment("BRAINLOCK_KILLS", 12);
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  double longest_s = 0;
  int of_miner = 0;
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 150'000));
    const bool kill_miner = random() % 2 == 0;
    auto& victim = kill_miner ? miner : validator;
    of_miner += kill_miner ? 1 : 0;
    victim->kill();
    collect(*victim);
    const auto killed_at = Clock::now();
    victim = kill_miner ? start_miner_node() : start_validator_node();
    ASSERT_NE(victim->port(), 0) << "did not start again, seed " << seed;
    const auto from = validator->lines().size();
    ASSERT_TRUE(validator->wait_for_line("measured ", from, milliseconds(5'000), " ok")) << "not back in 5 s after kill " << i << ", seed " << seed;
    longest_s = std::max(longest_s, seconds_since(killed_at));
  }
  EXPECT_LT(longest_s, 5);
  EXPECT_EQ(validator->stop(), 0);
  EXPECT_EQ(miner->stop(), 0);
  collect(*validator);
  collect(*miner);
  EXPECT_EQ(keys_uploaded, 1u) << "keys outlive the kills: nobody had to send one again";

  const auto store = store::Store::open(std::move(store::open_sqlite(folder.path / "validator.sqlite")).value()).value();
  store::RequestFilter all;
  all.limit = 1'000'000;
  std::map<std::string, int> rows;
  const auto stored = store->requests(all);
  ASSERT_TRUE(stored.ok());
  for (const auto& row : *stored) ++rows[row.uuid];
  std::size_t lost = 0, doubled = 0;
  for (const auto& uuid : told) lost += rows.contains(uuid) ? 0 : 1;
  for (const auto& [uuid, times] : rows) doubled += times > 1 ? 1 : 0;
  std::printf("%d kills (%d of the miner): %zu rows told, %zu on disk, %zu lost, %zu doubled; longest until an answer again %.2f s\n", kills, of_miner,
              told.size(), rows.size(), lost, doubled, longest_s);
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(doubled, 0u);
  EXPECT_GE(told.size(), static_cast<std::size_t>(kills));
}

TEST(Sigterm, WhatRunsIsFinishedAndWhatComesIsRefused) {
  const TemporaryFolder folder;
  const auto ledger = make_ledger(folder.path, {"miner"}, {"validator"});
  NodeProcess miner({"miner", folder.path, folder.path / "ledger.sqlite", "miner", "0", "600"});
  const FakeTaskClient task(folder.path / "client");
  const Person self = person("validator");
  client::MinerConnection connection(self.signer, {person("miner").account(), "127.0.0.1", miner.port(), true});
  ASSERT_TRUE(connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).ok());
  client::MinerConnection late(self.signer, connection.miner());
  ASSERT_TRUE(late.status().ok());
  client::Call running;
  std::jthread asker([&] { running = connection.infer(kPackage, task.key_id(), *task.encrypt(std::vector<float>(kInputs)), {}); });
  std::this_thread::sleep_for(milliseconds(200));
  ::kill(miner.pid(), SIGTERM);
  std::this_thread::sleep_for(milliseconds(100));
  const auto refused = late.infer(kPackage, task.key_id(), *task.encrypt(std::vector<float>(kInputs)), {});
  EXPECT_EQ(refused.refusal, protocol::Refusal::kShuttingDown) << refused.detail;
  asker.join();
  EXPECT_TRUE(running.ok()) << running.detail;
  EXPECT_GE(running.response_s, 0.6);
  EXPECT_EQ(miner.stop(), 0);
}

/// Descriptors without those of requests that happen to be under way (four each): a leak shows in the least of many looks. A disk that is
/// busy for a moment holds requests up for a tenth of a second, so the looks are spread over more than two.
std::size_t idle_descriptors(const NodeProcess& node) {
  std::size_t least = node.descriptors();
  for (int i = 0; i < 800; ++i) {
    std::this_thread::sleep_for(milliseconds(3));
    least = std::min(least, node.descriptors());
  }
  return least;
}

TEST(Soak, MemoryAndDescriptorsStayFlat) {
  const TemporaryFolder folder;
  const auto ledger = make_ledger(folder.path, {"first", "second"}, {"validator"});
  const std::string ledger_file = folder.path / "ledger.sqlite";
  NodeProcess first({"miner", folder.path, ledger_file, "first", "0", "2"}), second({"miner", folder.path, ledger_file, "second", "0", "2"});
  // Two miners a round, a round each 30 ms or so: three quarters of the longest pause, and the work.
  NodeProcess validator({"validator", folder.path, ledger_file, "validator", std::to_string(number_from_environment("BRAINLOCK_SOAK_PAUSE_MS", 20))});
  ASSERT_TRUE(validator.wait_for_line("measured ", 0, milliseconds(20'000), " ok"));
  net::Client visitor("127.0.0.1", validator.port());
  const auto visit = [&] {
    for (const char* target : {"/api/board", "/metrics", "/"}) {
      const auto page = visitor.send({.method = "GET", .target = target, .headers = {}, .body = {}}, {.max_answer_bytes = 10'000'000});
      EXPECT_TRUE(page.ok() && page->status == 200);
    }
  };
  const auto measured = [&] {
    const auto lines = validator.lines();
    return std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("measured "); });
  };
  const int seconds = number_from_environment("BRAINLOCK_SOAK_SECONDS", 10);
  NodeProcess* nodes[] = {&first, &second, &validator};
  const char* names[] = {"first miner", "second miner", "validator"};
  std::size_t memory[3] = {}, descriptors[3] = {};
  std::ptrdiff_t rows_before = 0;
  const auto begun = Clock::now();
  auto warm = begun;
  for (int at = 0; at < seconds; ++at) {
    std::this_thread::sleep_until(begun + std::chrono::seconds(at + 1));
    visit();
    if (at != seconds / 3) continue;
    warm = Clock::now();
    rows_before = measured();
    for (int i = 0; i < 3; ++i) {
      memory[i] = nodes[i]->memory_bytes();
      descriptors[i] = idle_descriptors(*nodes[i]);
    }
  }
  const auto rows = measured() - rows_before;
  std::printf("%.1f requests/s over %.0f s after the warm-up\n", static_cast<double>(rows) / seconds_since(warm), seconds_since(warm));
  for (int i = 0; i < 3; ++i) {
    const std::size_t descriptors_now = idle_descriptors(*nodes[i]);
    const double growth = static_cast<double>(nodes[i]->memory_bytes()) / static_cast<double>(memory[i]) - 1;
    std::printf("  %-12s %6.2f MB, growth %+.2f %%, %zu descriptors, %zu before\n", names[i], static_cast<double>(nodes[i]->memory_bytes()) / 1e6, growth * 100,
                descriptors_now, descriptors[i]);
    EXPECT_LE(descriptors_now, descriptors[i] + 2) << names[i];
    // A short run is all warm-up: memories of answers and pages of the database still fill.
    if (seconds >= 120) EXPECT_LT(growth, 0.02) << names[i];
    else EXPECT_LT(growth, 0.25) << names[i];
  }
  EXPECT_GT(rows, seconds);
  EXPECT_EQ(validator.stop(), 0);
  EXPECT_EQ(first.stop(), 0);
  EXPECT_EQ(second.stop(), 0);
}

TEST(Fairness, AloneAndAmongTwentyTheSameTime) {
  const TemporaryFolder folder;
  const auto median_of_first = [&](int miners, int rounds) {
    const auto ledger = std::make_shared<FakeLedger>();
    const Person self = person("validator");
    const fs::path place = folder.path / std::to_string(miners);
    fs::create_directories(place);
    ledger->add(self.account(), true, 1000);
    std::vector<FakeMiner> all;
    for (int i = 0; i < miners; ++i) {
      auto engine = std::make_unique<FakeEngine>();
      engine->before = [](const miner::JobControl&) { std::this_thread::sleep_for(milliseconds(250)); };
      const std::string name = "miner" + std::to_string(i);
      const auto uid = ledger->add(person(name).account(), false, 0);
      all.push_back(start_miner(name, ledger, std::move(engine), place));
      ledger->serve(uid, all.back().server->port());
    }
    const auto validator = make_validator(self, ledger, place);
    for (int round = 0; round < rounds; ++round) EXPECT_TRUE(validator->run_round().ok());
    const auto standings = *validator->standings();
    EXPECT_EQ(standings.size(), static_cast<std::size_t>(miners));
    return std::find_if(standings.begin(), standings.end(), [](const auto& s) { return s.uid == 1; })->standing.median_response_s;
  };
  const double alone_s = median_of_first(1, 15), among_s = median_of_first(20, 15);
  std::printf("median alone %.2f ms, among twenty %.2f ms: %+.2f %%\n", alone_s * 1000, among_s * 1000, (among_s / alone_s - 1) * 100);
  EXPECT_NEAR(among_s / alone_s, 1.0, 0.03);
}

}  // namespace
}  // namespace brainlock::test
