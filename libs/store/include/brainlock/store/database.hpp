// Database: one SQL connection, SQLite or PostgreSQL, behind the few calls that the project needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::store {

using Blob = std::vector<std::uint8_t>;

/// One SQL value. Text is UTF-8 without NUL.
class Value {
 public:
  Value() = default;  // NULL
  Value(std::int64_t value) : value_(value) {}
  Value(int value) : value_(std::int64_t{value}) {}
  Value(bool value) : value_(std::int64_t{value ? 1 : 0}) {}
  Value(double value) : value_(value) {}
  Value(std::string value) : value_(std::move(value)) {}
  Value(std::string_view value) : value_(std::string(value)) {}
  Value(const char* value) : value_(std::string(value)) {}
  Value(Blob value) : value_(std::move(value)) {}
  Value(std::span<const std::uint8_t> value) : value_(Blob(value.begin(), value.end())) {}

  [[nodiscard]] bool is_null() const { return value_.index() == 0; }
  /// The value as the asked type; numbers convert into each other, everything else that does not fit gives 0 or "".
  [[nodiscard]] std::int64_t as_int() const;
  [[nodiscard]] double as_double() const;
  [[nodiscard]] const std::string& as_text() const;
  [[nodiscard]] const Blob& as_blob() const;

  using Variant = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
  [[nodiscard]] const Variant& variant() const { return value_; }

 private:
  Variant value_;
};

using Row = std::vector<Value>;
using Rows = std::vector<Row>;

enum class Dialect { kSqlite, kPostgres };

/// A connection. NOT safe from two threads at once: whoever shares one holds a mutex. SQL is one statement with `?` for
/// each parameter, in the subset that both engines share; `?` stands nowhere else.
///
/// Errors: kTimeout (lock or deadlock: try again), kUnavailable (connection lost: reconnect and try again), kIo,
/// kCorrupted, kResource (disk or memory full), kDenied, kNotFound, kInvalidArgument (constraint or bad value),
/// kInternal (wrong SQL: our bug).
class Database {
 public:
  virtual ~Database() = default;
  [[nodiscard]] virtual Dialect dialect() const = 0;
  /// One line for people; never a password.
  [[nodiscard]] virtual std::string describe() const = 0;

  /// Rows of a SELECT (or of RETURNING).
  virtual Result<Rows> query(std::string_view sql, std::span<const Value> parameters = {}) = 0;
  /// Runs a statement and returns how many rows it changed.
  virtual Result<std::int64_t> execute(std::string_view sql, std::span<const Value> parameters = {}) = 0;
  /// Makes a lost connection anew; nothing to do for a file.
  virtual Status reconnect() = 0;
  /// Starts a transaction that may write: SQLite takes the write lock at once, so that no later step can fail for it.
  virtual Status begin() = 0;
  virtual Status commit() = 0;
  /// Undoes an open transaction; harmless if there is none.
  virtual void rollback() = 0;

  Result<Rows> query(std::string_view sql, std::initializer_list<Value> parameters) {
    return query(sql, std::span<const Value>(parameters.begin(), parameters.size()));
  }
  Result<std::int64_t> execute(std::string_view sql, std::initializer_list<Value> parameters) {
    return execute(sql, std::span<const Value>(parameters.begin(), parameters.size()));
  }
};

/// Runs `work` in a transaction: commits if it succeeds, rolls back otherwise. If the engine says "try again"
/// (kTimeout, kUnavailable) everything is run anew, at most `attempts` times; `work` must therefore bear repetition.
Status transact(Database& database, const std::function<Status()>& work, int attempts = 3);

/// Opens or creates a database file (mode 0600) in WAL mode with full synchronisation: what was committed survives a
/// crash of the process and of the machine. Several processes may hold it open. kIo, kCorrupted, kDenied.
Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path,
                                              std::chrono::milliseconds lock_wait = std::chrono::seconds(15));

/// Where a PostgreSQL server is. The password goes to the server only.
struct PostgresAddress {
  std::string host = "127.0.0.1";  ///< a name, an address, or a directory with a Unix socket ("/run/postgresql")
  std::uint16_t port = 5432;
  std::string user;
  std::string password;
  std::string database = "miner_data";
  int connect_timeout_s = 10;
  int statement_timeout_ms = 30'000;
};

/// Connects. kUnavailable, kDenied (password), kNotFound (no such database).
Result<std::unique_ptr<Database>> open_postgres(const PostgresAddress& address);

/// One step of a schema's history. Steps are never edited after a release; a new one is added. In a statement, {ID}
/// is an automatic 64-bit primary key, {BLOB} and {REAL} are the engine's names for bytes and doubles.
struct Migration {
  int version = 0;  ///< 1, 2, 3, ...
  std::vector<std::string> statements;
};

/// Brings `schema` (a name: several may live in one database) to the newest of `migrations`, each step in a
/// transaction of its own, safe if several processes do it at once. kUnsupported if the database is already newer than
/// the program: an old program must not write to it.
Status migrate(Database& database, std::string_view schema, std::span<const Migration> migrations);

}  // namespace brainlock::store
