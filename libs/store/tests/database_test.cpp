#include "brainlock/store/database.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <thread>

#include "backend.hpp"

namespace brainlock::store {
namespace {

class DatabaseTest : public OnBothEngines {};

TEST_P(DatabaseTest, ValuesComeBackAsTheyWent) {
  auto database = connect();
  const Migration table[] = {{1, {"CREATE TABLE v (id {ID}, i BIGINT, r {REAL}, t TEXT, b {BLOB})"}}};
  ASSERT_TRUE(migrate(*database, "test", table).ok());
  Blob all(256);
  for (std::size_t i = 0; i < 256; ++i) all[i] = static_cast<std::uint8_t>(i);
  const std::string text = "quote ' double \" back \\ euro \xe2\x82\xac question mark in data ? end";
  ASSERT_EQ(database
                ->execute("INSERT INTO v (i, r, t, b) VALUES (?, ?, ?, ?)",
                          {Value(std::numeric_limits<std::int64_t>::min()), Value(0.1 + 0.2), Value(text), Value(all)})
                .value(),
            1);
  ASSERT_TRUE(database
                  ->execute("INSERT INTO v (i, r, t, b) VALUES (?, ?, ?, ?)",
                            {Value(std::numeric_limits<std::int64_t>::max()), Value(-1e300), Value(""), Value(Blob{})})
                  .ok());
  ASSERT_TRUE(
      database->execute("INSERT INTO v (i, r, t, b) VALUES (?, ?, ?, ?)", {Value(), Value(), Value(), Value()}).ok());
  const Rows rows = database->query("SELECT i, r, t, b FROM v ORDER BY id").value();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0][0].as_int(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(rows[0][1].as_double(), 0.1 + 0.2);  // to the last bit
  EXPECT_EQ(rows[0][2].as_text(), text);
  EXPECT_EQ(rows[0][3].as_blob(), all);
  EXPECT_EQ(rows[1][0].as_int(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(rows[1][1].as_double(), -1e300);
  EXPECT_FALSE(rows[1][2].is_null());
  EXPECT_FALSE(rows[1][3].is_null());
  EXPECT_TRUE(rows[1][3].as_blob().empty());
  for (const Value& value : rows[2]) EXPECT_TRUE(value.is_null());

  EXPECT_EQ(database->execute("INSERT INTO v (t) VALUES (?)", {Value(std::string("a\0b", 3))}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(database->query("SELECT nothing FROM nowhere").error().code, ErrorCode::kInternal);
}

TEST_P(DatabaseTest, TransactionsAreAllOrNothing) {
  auto database = connect();
  const Migration table[] = {{1, {"CREATE TABLE t (x BIGINT UNIQUE)"}}};
  ASSERT_TRUE(migrate(*database, "test", table).ok());
  int runs = 0;
  const Status failed = transact(*database, [&]() -> Status {
    ++runs;
    const auto first = database->execute("INSERT INTO t VALUES (?)", {Value(1)});
    if (!first.ok()) return first.error();
    const auto second = database->execute("INSERT INTO t VALUES (?)", {Value(1)});
    return second.ok() ? Status{} : Status(second.error());
  });
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(runs, 1);  // a wrong value does not get better by repetition
  EXPECT_EQ(database->query("SELECT count(*) FROM t").value()[0][0].as_int(), 0);

  runs = 0;
  const Status repeated =
      transact(*database, [&]() -> Status { return ++runs < 3 ? Status(ErrorCode::kTimeout, "busy") : Status{}; });
  EXPECT_TRUE(repeated.ok());
  EXPECT_EQ(runs, 3);
  runs = 0;
  EXPECT_EQ(transact(*database,
                     [&]() -> Status {
                       ++runs;
                       return Error{ErrorCode::kTimeout, "busy"};
                     })
                .error()
                .code,
            ErrorCode::kTimeout);
  EXPECT_EQ(runs, 3);
}

TEST_P(DatabaseTest, MigrationsRunOnceInOrderAndRefuseTheFuture) {
  const std::vector<Migration> first = {{1, {"CREATE TABLE m (x BIGINT)", "INSERT INTO m VALUES (1)"}}};
  std::vector<Migration> second = first;
  second.push_back({2, {"ALTER TABLE m ADD COLUMN y TEXT", "UPDATE m SET y = 'new'"}});
  auto database = connect();
  ASSERT_TRUE(migrate(*database, "test", first).ok());
  ASSERT_TRUE(migrate(*database, "test", first).ok());
  ASSERT_TRUE(migrate(*database, "test", second).ok());
  const Rows rows = database->query("SELECT x, y FROM m").value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0][1].as_text(), "new");
  EXPECT_EQ(migrate(*database, "test", first).error().code, ErrorCode::kUnsupported);

  std::vector<Migration> broken = second;
  broken.push_back({3, {"INSERT INTO m VALUES (2, 'half')", "CREATE NONSENSE"}});
  const Status refused = migrate(*database, "test", broken);
  EXPECT_THAT(refused.error().message, testing::StartsWith("migration 3"));
  EXPECT_EQ(database->query("SELECT count(*) FROM m").value()[0][0].as_int(), 1);  // nothing half done
}

TEST_P(DatabaseTest, ManyMayOpenAndMigrateAtOnce) {
  const std::vector<Migration> steps = {{1, {"CREATE TABLE c (x BIGINT)", "INSERT INTO c VALUES (1)"}},
                                        {2, {"INSERT INTO c VALUES (2)"}}};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto database = connect();
      if (database == nullptr) return;  // said by connect()
      const Status migrated = migrate(*database, "test", steps);
      EXPECT_TRUE(migrated.ok()) << migrated.error().to_string();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(connect()->query("SELECT count(*) FROM c").value()[0][0].as_int(), 2);
}

INSTANTIATE_TEST_SUITE_P(Engines, DatabaseTest, kBothEngines, engine_name);

TEST(Sqlite, FileIsOursAlone) {
  char name[] = "/tmp/brainlock_store_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const auto path = std::filesystem::path(name) / "x.db";
  {
    auto database = open_sqlite(path).value();
    ASSERT_TRUE(database->execute("CREATE TABLE t (x)").ok());
    for (const char* suffix : {"", "-wal", "-shm"}) {
      struct stat info {};
      ASSERT_EQ(stat((path.string() + suffix).c_str(), &info), 0) << suffix;
      EXPECT_EQ(info.st_mode & 0777, 0600U) << suffix;
    }
  }
  std::filesystem::remove_all(name);
}

TEST(Sqlite, RefusesWhatIsNoDatabase) {
  char name[] = "/tmp/brainlock_store_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const std::filesystem::path folder(name);
  EXPECT_EQ(open_sqlite(folder / "absent" / "x.db").error().code, ErrorCode::kIo);
  EXPECT_EQ(open_sqlite(folder).error().code, ErrorCode::kIo);
  std::ofstream(folder / "noise.db") << std::string(5000, 'x');
  EXPECT_EQ(open_sqlite(folder / "noise.db").error().code, ErrorCode::kCorrupted);
  std::filesystem::remove_all(folder);
}

TEST(Sqlite, ASecondConnectionKeepsTheLocksOfTheFirst) {
  char name[] = "/tmp/brainlock_store_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const auto path = std::filesystem::path(name) / "x.db";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  // Another process, from before SQLite was used here: it shares no memory of the locks. The last of all connections deletes the log
  // when it closes, and one that cannot see ours takes itself for the last.
  const pid_t other = fork();
  if (other == 0) {
    char go = 0;
    bool done = read(ready[0], &go, 1) == 1;
    if (const auto database = open_sqlite(path); database.ok()) done = done && database.value()->query("SELECT count(*) FROM t").ok();
    _exit(done ? 0 : 1);
  }
  {
    const auto first = open_sqlite(path).value();
    ASSERT_TRUE(first->execute("CREATE TABLE t (x)").ok());
    const auto second = open_sqlite(path).value();
    ASSERT_EQ(write(ready[1], "x", 1), 1);
    int status = 0;
    ASSERT_EQ(waitpid(other, &status, 0), other);
    ASSERT_EQ(status, 0);
    ASSERT_TRUE(std::filesystem::exists(path.string() + "-wal"));
    ASSERT_TRUE(first->execute("INSERT INTO t VALUES (1)").ok());
    EXPECT_EQ(open_sqlite(path).value()->query("SELECT count(*) FROM t").value()[0][0].as_int(), 1);
  }
  close(ready[0]);
  close(ready[1]);
  std::filesystem::remove_all(name);
}

TEST(Sqlite, ManyMayOpenANewFileAtOnce) {
  char name[] = "/tmp/brainlock_store_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  for (int round = 0; round < 20; ++round) {
    const auto path = std::filesystem::path(name) / (std::to_string(round) + ".db");
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        const auto database = open_sqlite(path);
        EXPECT_TRUE(database.ok()) << database.error().to_string();
      });
    for (auto& thread : threads) thread.join();
  }
  std::filesystem::remove_all(name);
}

TEST(Sqlite, ALockedFileIsATimeoutNotAHang) {
  char name[] = "/tmp/brainlock_store_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const auto path = std::filesystem::path(name) / "x.db";
  auto holder = open_sqlite(path).value();
  auto waiter = open_sqlite(path, std::chrono::milliseconds(20)).value();
  ASSERT_TRUE(holder->begin().ok());
  EXPECT_EQ(waiter->begin().error().code, ErrorCode::kTimeout);
  holder->rollback();
  EXPECT_TRUE(waiter->begin().ok());
  std::filesystem::remove_all(name);
}

TEST(Postgres, SaysWhyItCannotConnectAndNeverThePassword) {
  PostgresAddress nobody;
  nobody.host = "/nonexistent";
  nobody.user = "u";
  nobody.password = "hunter2";
  const auto absent = open_postgres(nobody);
  EXPECT_EQ(absent.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(absent.error().to_string(), testing::Not(testing::HasSubstr("hunter2")));

  PostgresServer* server = PostgresServer::shared();
  if (server == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  PostgresAddress wrong = server->address();
  wrong.password = "hunter2";
  const auto denied = open_postgres(wrong);
  EXPECT_EQ(denied.error().code, ErrorCode::kDenied);
  EXPECT_THAT(denied.error().to_string(), testing::Not(testing::HasSubstr("hunter2")));
  PostgresAddress missing = server->address();
  missing.database = "no_such_database";
  EXPECT_EQ(open_postgres(missing).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(open_postgres(server->address()).value()->describe(),
              testing::Not(testing::HasSubstr(server->address().password)));
}

}  // namespace
}  // namespace brainlock::store
