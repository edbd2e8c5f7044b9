// Processes are killed at random moments: what was acknowledged is there, once; what was not is there once or not at
// all.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "backend.hpp"

namespace brainlock::store {
namespace {

RequestRow numbered(const std::string& uuid) {
  RequestRow row;
  row.uuid = uuid;
  row.reason = "ok";
  row.finished_ms = 1;
  row.success = true;
  return row;
}

class DurabilityTest : public OnBothEngines {
 protected:
  /// A child process that records rows until it is killed, and tells each acknowledged one through a pipe.
  /// Returns the acknowledged uuids.
  std::set<std::string> run_and_kill(int round, int lifetime_us, const std::function<void(pid_t)>& kill_it) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      ::close(ends[0]);
      auto store = open_store(address_);
      if (!store.ok()) _exit(3);
      for (int i = 0;; ++i) {
        const std::string uuid = std::to_string(round) + "-" + std::to_string(i);
        const auto stored = (*store)->record_request(numbered(uuid));
        if (!stored.ok()) _exit(4);
        const std::string line = uuid + "\n";
        if (write(ends[1], line.data(), line.size()) < 0) _exit(5);
      }
    }
    ::close(ends[1]);
    std::string told;
    char buffer[4096];
    // Most writers are killed a random time after their first row; every fifth while it may still be opening the store.
    if (round % 5 != 4) {
      const ssize_t got = read(ends[0], buffer, sizeof buffer);
      told.append(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    usleep(static_cast<useconds_t>(lifetime_us));
    kill_it(child);
    for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
      told.append(buffer, static_cast<std::size_t>(got));
    ::close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    std::set<std::string> acknowledged;
    for (std::size_t at = 0, end = 0; (end = told.find('\n', at)) != std::string::npos; at = end + 1) {
      acknowledged.insert(told.substr(at, end - at));
    }
    return acknowledged;
  }

  void expect_all_stored(const std::set<std::string>& acknowledged, std::size_t unacknowledged_at_most) {
    auto store = open();
    RequestFilter everything;
    everything.limit = 1'000'000;
    const auto rows = store->requests(everything).value();
    std::set<std::string> stored;
    for (const auto& row : rows) stored.insert(row.uuid);
    EXPECT_EQ(stored.size(), rows.size()) << "a row is there twice";
    for (const auto& uuid : acknowledged) EXPECT_TRUE(stored.contains(uuid)) << uuid << " was acknowledged and is lost";
    EXPECT_LE(stored.size(), acknowledged.size() + unacknowledged_at_most);
  }
};

TEST_P(DurabilityTest, KillingTheWriterLosesNoAcknowledgedRow) {
  open();  // the schema is there before the clock starts
  const int rounds = GetParam() == Dialect::kSqlite ? 60 : 25;
  std::mt19937 random(20240601);
  std::set<std::string> acknowledged;
  for (int round = 0; round < rounds; ++round) {
    const int lifetime_us = std::uniform_int_distribution(0, 40'000)(random);
    acknowledged.merge(run_and_kill(round, lifetime_us, [](pid_t child) { ::kill(child, SIGKILL); }));
  }
  EXPECT_GE(acknowledged.size(), static_cast<std::size_t>(rounds * 4 / 5))
      << "the test must have killed a writer at work";
  expect_all_stored(acknowledged, static_cast<std::size_t>(rounds));
}

/// These stop a server, so it is one of their own.
class PostgresDurability : public DurabilityTest {
 protected:
  void SetUp() override {
    server_ = PostgresServer::start();
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed (apt-get install postgresql)";
    address_ = server_->address();
  }
  std::unique_ptr<PostgresServer> server_;
};

TEST_P(PostgresDurability, KillingTheServerLosesNoAcknowledgedRow) {
  open();
  std::set<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    acknowledged.merge(run_and_kill(round, 250'000, [&](pid_t child) {
      server_->kill_hard();
      ::kill(child, SIGKILL);
    }));
    ASSERT_TRUE(server_->launch());
  }
  EXPECT_GE(acknowledged.size(), 3U);
  expect_all_stored(acknowledged, 3);
}

TEST_P(PostgresDurability, AStoreOutlivesARestartOfItsServer) {
  auto store = open();
  ASSERT_TRUE(store->record_request(numbered("before")).value());
  server_->kill_hard();
  EXPECT_EQ(store->record_request(numbered("down")).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store->count_requests().error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(server_->launch());
  EXPECT_TRUE(store->record_request(numbered("after")).value());
  EXPECT_EQ(store->count_requests().value(), 2);
}

INSTANTIATE_TEST_SUITE_P(Engines, DurabilityTest, kBothEngines, engine_name);
INSTANTIATE_TEST_SUITE_P(Engines, PostgresDurability, testing::Values(Dialect::kPostgres), engine_name);

}  // namespace
}  // namespace brainlock::store
