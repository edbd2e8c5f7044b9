#include "brainlock/store/database.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

namespace brainlock::store {

std::int64_t Value::as_int() const {
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) return *integer;
  if (const auto* real = std::get_if<double>(&value_)) {
    return std::abs(*real) < 9.2e18 ? static_cast<std::int64_t>(*real) : 0;
  }
  return 0;
}

double Value::as_double() const {
  if (const auto* real = std::get_if<double>(&value_)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*integer);
  return 0.0;
}

const std::string& Value::as_text() const {
  static const std::string kEmpty;
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr ? *text : kEmpty;
}

const Blob& Value::as_blob() const {
  static const Blob kEmpty;
  const auto* blob = std::get_if<Blob>(&value_);
  return blob != nullptr ? *blob : kEmpty;
}

Status transact(Database& database, const std::function<Status()>& work, int attempts) {
  for (int attempt = 1;; ++attempt) {
    Status outcome = database.begin();
    if (outcome.ok()) {
      outcome = work();
      if (outcome.ok()) outcome = database.commit();
      if (outcome.ok()) return outcome;
      database.rollback();
    }
    const ErrorCode code = outcome.error().code;
    if ((code != ErrorCode::kTimeout && code != ErrorCode::kUnavailable) || attempt >= attempts) return outcome;
    std::this_thread::sleep_for(std::chrono::milliseconds(50) * attempt);
    if (code == ErrorCode::kUnavailable) (void)database.reconnect();  // if it fails, begin() says so again
  }
}

namespace {

std::string in_dialect(std::string statement, Dialect dialect) {
  const bool sqlite = dialect == Dialect::kSqlite;
  const std::pair<std::string_view, std::string_view> words[] = {
      {"{ID}", sqlite ? "INTEGER PRIMARY KEY AUTOINCREMENT" : "BIGSERIAL PRIMARY KEY"},
      {"{BLOB}", sqlite ? "BLOB" : "BYTEA"},
      {"{REAL}", sqlite ? "REAL" : "DOUBLE PRECISION"},
  };
  for (const auto& [word, replacement] : words) {
    for (auto at = statement.find(word); at != std::string::npos; at = statement.find(word, at)) {
      statement.replace(at, word.size(), replacement);
      at += replacement.size();
    }
  }
  return statement;
}

/// Any fixed number: it keeps two processes from creating the same table at once on PostgreSQL.
constexpr std::int64_t kMigrationLock = 0x6272'6169'6e6c'6f63;

Status lock_schema(Database& database) {
  if (database.dialect() == Dialect::kSqlite) return {};  // begin() holds the write lock
  const auto locked = database.query("SELECT pg_advisory_xact_lock(?)", {Value(kMigrationLock)});
  return locked.ok() ? Status{} : Status(locked.error());
}

Result<int> current_version(Database& database, std::string_view schema) {
  BRAINLOCK_ASSIGN(const Rows rows,
                   database.query("SELECT version FROM schema_versions WHERE name = ?", {Value(schema)}));
  return rows.empty() ? 0 : static_cast<int>(rows[0][0].as_int());
}

}  // namespace

Status migrate(Database& database, std::string_view schema, std::span<const Migration> migrations) {
  const auto make_table = [&]() -> Status {
    BRAINLOCK_TRY(lock_schema(database));
    const auto made =
        database.execute("CREATE TABLE IF NOT EXISTS schema_versions (name TEXT PRIMARY KEY, version BIGINT NOT NULL)");
    return made.ok() ? Status{} : Status(made.error());
  };
  BRAINLOCK_TRY(transact(database, make_table));
  const int newest = migrations.empty() ? 0 : migrations.back().version;
  BRAINLOCK_ASSIGN(const int found, current_version(database, schema));
  if (found > newest) {
    return Error{ErrorCode::kUnsupported, "schema \"" + std::string(schema) + "\" has version " +
                                              std::to_string(found) + ", this program knows up to " +
                                              std::to_string(newest) + ": use a newer program"};
  }
  for (const Migration& migration : migrations) {
    const auto take_step = [&]() -> Status {
      BRAINLOCK_TRY(lock_schema(database));
      BRAINLOCK_ASSIGN(const int version, current_version(database, schema));  // another process may have been faster
      if (version >= migration.version) return {};
      for (const std::string& statement : migration.statements) {
        const auto done = database.execute(in_dialect(statement, database.dialect()));
        if (!done.ok()) return done.error().in("migration " + std::to_string(migration.version));
      }
      const auto noted = database.execute(
          "INSERT INTO schema_versions (name, version) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET version = "
          "excluded.version",
          {Value(schema), Value(migration.version)});
      return noted.ok() ? Status{} : Status(noted.error());
    };
    BRAINLOCK_TRY(transact(database, take_step));
  }
  return {};
}

}  // namespace brainlock::store
