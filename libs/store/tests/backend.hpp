// Both engines behind one fixture: each test of a parameterised suite runs on a fresh SQLite file, and on a fresh
// database of a real PostgreSQL server when BRAINLOCK_TEST_POSTGRES=1 (ctest's store.on_postgres sets it: one process,
// one server).
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "brainlock/store/store.hpp"
#include "postgres_server.hpp"

namespace brainlock::store {

class OnBothEngines : public testing::TestWithParam<Dialect> {
 protected:
  void SetUp() override {
    if (GetParam() == Dialect::kPostgres) {
      if (PostgresServer::shared() == nullptr)
        GTEST_SKIP() << "PostgreSQL is not installed (apt-get install postgresql)";
      address_ = PostgresServer::shared()->fresh_database();
      return;
    }
    char name[] = "/tmp/brainlock_store_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    address_ = folder_ / "store.db";
  }

  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  std::unique_ptr<Database> connect() {
    auto database = GetParam() == Dialect::kPostgres ? open_postgres(std::get<PostgresAddress>(address_))
                                                     : open_sqlite(std::get<std::filesystem::path>(address_));
    EXPECT_TRUE(database.ok()) << database.error().to_string();
    return database.ok() ? std::move(database).value() : nullptr;
  }

  std::unique_ptr<Store> open() {
    auto store = open_store(address_);
    EXPECT_TRUE(store.ok()) << store.error().to_string();
    return std::move(store).value();
  }

  StoreAddress address_;
  std::filesystem::path folder_;
};

inline std::string engine_name(const testing::TestParamInfo<Dialect>& info) {
  return info.param == Dialect::kPostgres ? "PostgreSQL" : "SQLite";
}

inline std::vector<Dialect> engines_under_test() {
  std::vector<Dialect> engines = {Dialect::kSqlite};
  const char* wanted = std::getenv("BRAINLOCK_TEST_POSTGRES");
  if (wanted != nullptr && std::string_view(wanted) == "1") engines.push_back(Dialect::kPostgres);
  return engines;
}

inline const auto kBothEngines = testing::ValuesIn(engines_under_test());

inline Key32 key(std::uint8_t fill) {
  Key32 out{};
  out.fill(fill);
  return out;
}

}  // namespace brainlock::store
