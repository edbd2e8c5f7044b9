// Looking changes nothing: neither a file that is used, nor one that nobody has open, nor one that a killed process left.
#include "brainlock/store/inspect.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>

#include "postgres_server.hpp"

namespace brainlock::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Inspect : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "brainlock-inspect-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = folder_ / "a name with spaces? & #.sqlite";
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  /// Names and bytes of everything in the folder.
  std::map<std::string, std::string> contents(bool with_index = true) const {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string name = entry.path().filename();
      // The index of a log is shared memory: readers leave marks in it.
      out[name] = name.ends_with("-shm") && !with_index ? "" : std::string((std::istreambuf_iterator<char>(in)), {});
    }
    return out;
  }
  void fill() const {
    auto store = open_store(StoreAddress(file_));
    ASSERT_TRUE(store.ok());
    VoteRow vote;
    vote.id = "a";
    vote.block = 7;
    vote.reason = "too_soon";
    vote.detail = "next allowed in 3 blocks";
    ASSERT_TRUE((*store)->record_vote(vote).ok());
  }
  StoreHealth look() const {
    auto database = open_sqlite_read_only(file_);
    EXPECT_TRUE(database.ok()) << database.error().to_string();
    if (!database.ok()) return {};
    EXPECT_EQ(*sqlite_complaint(**database), "");
    auto health = inspect_store(**database);
    EXPECT_TRUE(health.ok()) << health.error().to_string();
    return health.ok() ? *health : StoreHealth{};
  }
  /// Runs `work` in another process, which then stays, having let go of nothing, until it is killed.
  template <typename Work>
  pid_t elsewhere(Work work) const {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto kept = work();
      (void)!::write(ends[1], "r", 1);
      for (;;) ::pause();
    }
    char ready = 0;
    EXPECT_EQ(::read(ends[0], &ready, 1), 1);
    ::close(ends[0]);
    ::close(ends[1]);
    return child;
  }
  static void kill_hard(pid_t child) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  fs::path folder_, file_;
};

TEST_F(Inspect, AFileThatNobodyHasOpen) {
  fill();
  const auto before = contents();
  const auto health = look();
  EXPECT_EQ(health.schema, health.newest_schema);
  ASSERT_TRUE(health.last_vote);
  EXPECT_EQ(health.last_vote->reason, "too_soon");
  EXPECT_FALSE(health.last_vote->accepted);
  EXPECT_FALSE(health.last_request_ms);
  const auto use = sqlite_use(file_);
  EXPECT_FALSE(use.open_in);
  EXPECT_FALSE(use.writer);
  EXPECT_EQ(contents(), before);
}

TEST_F(Inspect, AFileInUseIsReadWithItsLog) {
  const pid_t child = elsewhere([this] {
    fill();
    auto database = open_sqlite(file_).value();
    (void)database->execute("UPDATE votes SET reason = 'new'");
    return database;
  });
  const auto before = contents(false);
  EXPECT_TRUE(before.contains(file_.filename().string() + "-wal"));
  EXPECT_EQ(look().last_vote->reason, "new");
  const auto use = sqlite_use(file_);
  EXPECT_EQ(use.open_in, child);
  EXPECT_FALSE(use.writer);
  EXPECT_EQ(contents(false), before);
  kill_hard(child);
}

TEST_F(Inspect, WhatAKilledProcessLeftStaysAsItIs) {
  const pid_t child = elsewhere([this] {
    fill();
    auto database = open_sqlite(file_).value();
    (void)database->execute("UPDATE votes SET reason = 'new'");
    return database;
  });
  kill_hard(child);
  const auto before = contents(false);
  EXPECT_EQ(look().last_vote->reason, "new");
  EXPECT_EQ(contents(false), before);
  // And the next who opens it finds all of it.
  auto database = open_sqlite(file_);
  ASSERT_TRUE(database.ok());
  EXPECT_EQ((*(*database)->query("SELECT reason FROM votes"))[0][0].as_text(), "new");
}

TEST_F(Inspect, WhoeverIsInTheMiddleOfWritingIsNamed) {
  const pid_t child = elsewhere([this] {
    fill();
    auto database = open_sqlite(file_).value();
    (void)database->begin();
    return database;
  });
  EXPECT_EQ(sqlite_use(file_).writer, child);
  kill_hard(child);
  EXPECT_FALSE(sqlite_use(file_).writer);
}

TEST_F(Inspect, ALogWithoutItsIndexIsLeftAlone) {
  const pid_t child = elsewhere([this] {
    fill();
    auto database = open_sqlite(file_).value();
    (void)database->execute("UPDATE votes SET reason = 'new'");
    return database;
  });
  kill_hard(child);
  fs::remove(file_.string() + "-shm");
  const auto before = contents();
  EXPECT_EQ(open_sqlite_read_only(file_).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(contents(), before);
}

TEST_F(Inspect, NothingCanBeWritten) {
  fill();
  auto database = open_sqlite_read_only(file_);
  ASSERT_TRUE(database.ok());
  EXPECT_EQ((*database)->execute("DELETE FROM votes").error().code, ErrorCode::kDenied);
}

TEST_F(Inspect, ACopyInMemoryTakesWritesThatTheFileDoesNotSee) {
  fill();
  const auto before = contents();
  {
    auto copy = copy_sqlite_to_memory(file_);
    ASSERT_TRUE(copy.ok()) << copy.error().to_string();
    EXPECT_EQ(*(*copy)->execute("DELETE FROM votes"), 1);
    EXPECT_EQ((*copy)->query("SELECT * FROM votes")->size(), 0U);
  }
  EXPECT_EQ(contents(), before);
}

TEST_F(Inspect, Refusals) {
  EXPECT_EQ(open_sqlite_read_only(file_).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open_sqlite_read_only(folder_).error().code, ErrorCode::kIo);
  std::ofstream(file_) << std::string(5'000, 'x');
  EXPECT_EQ(open_sqlite_read_only(file_).error().code, ErrorCode::kCorrupted);
  EXPECT_EQ(copy_sqlite_to_memory(file_).error().code, ErrorCode::kCorrupted);
}

TEST_F(Inspect, DamageIsTold) {
  fill();
  {
    std::fstream out(file_, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(8'200);
    out << std::string(3'000, 'x');
  }
  auto database = open_sqlite_read_only(file_);
  ASSERT_TRUE(database.ok());
  const auto complaint = sqlite_complaint(**database);
  EXPECT_TRUE(!complaint.ok() || !complaint->empty());
}

TEST_F(Inspect, ANewerSchemaIsSaidAndNotRead) {
  fill();
  {
    auto database = open_sqlite(file_).value();
    ASSERT_TRUE(database->execute("UPDATE schema_versions SET version = 99").ok());
  }
  const auto health = look();
  EXPECT_EQ(health.schema, 99);
  EXPECT_LT(health.newest_schema, 99);
  EXPECT_FALSE(health.last_vote);
}

TEST_F(Inspect, PostgreSql) {
  if (std::getenv("BRAINLOCK_TEST_POSTGRES") == nullptr || PostgresServer::shared() == nullptr) GTEST_SKIP() << "no PostgreSQL server";
  const auto address = PostgresServer::shared()->fresh_database();
  auto database = open_postgres(address);
  ASSERT_TRUE(database.ok());
  auto server = inspect_postgres(**database);
  ASSERT_TRUE(server.ok()) << server.error().to_string();
  EXPECT_GE(server->version, 90'500);
  EXPECT_TRUE(server->may_create);
  EXPECT_FALSE(server->read_only);
  auto health = inspect_store(**database);
  ASSERT_TRUE(health.ok()) << health.error().to_string();
  EXPECT_EQ(health->schema, 0);
  ASSERT_TRUE(open_store(StoreAddress(address)).ok());
  health = inspect_store(**database);
  ASSERT_TRUE(health.ok()) << health.error().to_string();
  EXPECT_EQ(health->schema, health->newest_schema);
  ASSERT_TRUE((*database)->execute("SET default_transaction_read_only = on").ok());
  EXPECT_TRUE(inspect_postgres(**database)->read_only);

  auto wrong = address;
  wrong.password = "wrong";
  EXPECT_EQ(open_postgres(wrong).error().code, ErrorCode::kDenied);
  EXPECT_EQ(inspect_postgres(*open_sqlite(file_).value()).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::store
