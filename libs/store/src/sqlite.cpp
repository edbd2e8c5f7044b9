// SQLite behind Database.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>

#include "brainlock/base/file.hpp"
#include "brainlock/store/database.hpp"
#include "brainlock/store/inspect.hpp"

namespace brainlock::store {
namespace {

ErrorCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kTimeout;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupted;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorCode::kResource;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return ErrorCode::kIo;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorCode::kDenied;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
      return ErrorCode::kInvalidArgument;
    case SQLITE_TOOBIG:
      return ErrorCode::kTooLarge;
    default:
      return ErrorCode::kInternal;
  }
}

struct Finalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;

struct Closer {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};

class Sqlite final : public Database {
 public:
  Sqlite(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

  Dialect dialect() const override { return Dialect::kSqlite; }
  std::string describe() const override { return "SQLite file " + path_; }
  using Database::execute;
  using Database::query;

  Result<Rows> query(std::string_view sql, std::span<const Value> parameters) override {
    BRAINLOCK_ASSIGN(const Statement statement, prepare(sql, parameters));
    Rows rows;
    for (;;) {
      const int step = sqlite3_step(statement.get());
      if (step == SQLITE_DONE) return rows;
      if (step != SQLITE_ROW) return failure(sql);
      rows.push_back(read_row(statement.get()));
    }
  }

  Result<std::int64_t> execute(std::string_view sql, std::span<const Value> parameters) override {
    BRAINLOCK_ASSIGN(const Statement statement, prepare(sql, parameters));
    int step = SQLITE_ROW;
    while (step == SQLITE_ROW) step = sqlite3_step(statement.get());
    if (step != SQLITE_DONE) return failure(sql);
    return static_cast<std::int64_t>(sqlite3_changes64(handle_.get()));
  }

  Status reconnect() override { return {}; }
  Status begin() override { return run("BEGIN IMMEDIATE"); }
  Status commit() override { return run("COMMIT"); }
  void rollback() override {
    if (sqlite3_get_autocommit(handle_.get()) == 0) (void)run("ROLLBACK");
  }

  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }

  Status run(std::string_view sql) {
    const auto done = execute(sql, {});
    return done.ok() ? Status{} : Status(done.error());
  }

 private:
  Error failure(std::string_view sql) const {
    return Error{
        code_of(sqlite3_extended_errcode(handle_.get())),
        "SQLite: " + std::string(sqlite3_errmsg(handle_.get())) + " (in \"" + std::string(sql.substr(0, 80)) + "\")"};
  }

  Result<Statement> prepare(std::string_view sql, std::span<const Value> parameters) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr) != SQLITE_OK) {
      return failure(sql);
    }
    Statement statement(raw);
    if (sqlite3_bind_parameter_count(raw) != static_cast<int>(parameters.size())) {
      return Error{ErrorCode::kInternal, "expected " + std::to_string(sqlite3_bind_parameter_count(raw)) +
                                             " parameters, got " + std::to_string(parameters.size()) + " (in \"" +
                                             std::string(sql.substr(0, 80)) + "\")"};
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const int place = static_cast<int>(i) + 1;
      const auto& value = parameters[i].variant();
      int bound = SQLITE_OK;
      if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        bound = sqlite3_bind_int64(raw, place, *integer);
      } else if (const auto* real = std::get_if<double>(&value)) {
        bound = sqlite3_bind_double(raw, place, *real);
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        if (text->find('\0') != std::string::npos) {
          return Error{ErrorCode::kInvalidArgument, "text with a NUL byte cannot be stored"};
        }
        bound = sqlite3_bind_text64(raw, place, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      } else if (const auto* blob = std::get_if<Blob>(&value)) {
        // A null pointer would be taken as NULL; an empty blob is not NULL.
        bound = blob->empty() ? sqlite3_bind_zeroblob(raw, place, 0)
                              : sqlite3_bind_blob64(raw, place, blob->data(), blob->size(), SQLITE_TRANSIENT);
      } else {
        bound = sqlite3_bind_null(raw, place);
      }
      if (bound != SQLITE_OK) return failure(sql);
    }
    return statement;
  }

  static Row read_row(sqlite3_stmt* statement) {
    Row row;
    const int columns = sqlite3_column_count(statement);
    row.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      switch (sqlite3_column_type(statement, column)) {
        case SQLITE_INTEGER:
          row.emplace_back(static_cast<std::int64_t>(sqlite3_column_int64(statement, column)));
          break;
        case SQLITE_FLOAT:
          row.emplace_back(sqlite3_column_double(statement, column));
          break;
        case SQLITE_TEXT: {
          const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
          row.emplace_back(std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))));
          break;
        }
        case SQLITE_BLOB: {
          const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement, column));
          const auto length = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
          row.emplace_back(Blob(bytes, bytes + length));
          break;
        }
        default:
          row.emplace_back();
          break;
      }
    }
    return row;
  }

  std::unique_ptr<sqlite3, Closer> handle_;
  std::string path_;
};

/// Makes an empty file of mode 0600 where none is, so that it (and SQLite's -wal and -shm, which copy its mode) is ours alone. A file
/// that is there is never opened here: closing any descriptor of a file takes away all locks which the process holds on it, those of
/// its other connections too, and another process could then delete the log under them (sqlite.org/howtocorrupt.html, section 2.2).
Status make_ours(const std::filesystem::path& path) {
  if (::access(path.c_str(), F_OK) != 0) {
    // Made under another name and linked into place: nobody can have a lock on it yet when it is closed.
    const Status made = write_file(path, {}, {.mode = 0600});
    if (!made.ok() && ::access(path.c_str(), F_OK) != 0)  // Otherwise another opener was first.
      return {made.error().code == ErrorCode::kDenied ? ErrorCode::kDenied : ErrorCode::kIo, made.error().message};
  }
  if (::access(path.c_str(), R_OK | W_OK) == 0) return {};
  const int reason = errno;
  return {reason == EACCES || reason == EPERM || reason == EROFS ? ErrorCode::kDenied : ErrorCode::kIo,
          "cannot open " + path.string() + ": " + std::strerror(reason)};
}

/// The switch of a new file to a write-ahead log needs it alone, and SQLite does not wait for that: the busy timeout counts for
/// transactions only. Openers that come together take turns here.
Status write_ahead(Sqlite& database, std::chrono::milliseconds lock_wait) {
  const auto until = std::chrono::steady_clock::now() + lock_wait;
  for (;;) {
    const Status set = database.run("PRAGMA journal_mode = WAL");
    if (set.ok() || set.error().code != ErrorCode::kTimeout || std::chrono::steady_clock::now() >= until) return set;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path, std::chrono::milliseconds lock_wait) {
  BRAINLOCK_TRY(make_ours(path));
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  auto database = std::make_unique<Sqlite>(handle, path.string());
  if (opened != SQLITE_OK) {
    return Error{code_of(opened), "cannot open " + path.string() + ": " + sqlite3_errstr(opened)};
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, static_cast<int>(lock_wait.count()));
  const Status logged = write_ahead(*database, lock_wait);
  if (!logged.ok()) return logged.error().in(path.string());
  for (const char* setting : {"PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON",
                              "PRAGMA trusted_schema = OFF", "PRAGMA wal_autocheckpoint = 1000",
                              // Pages read stay in the kernel's cache anyway; a service's memory is to be settled a minute after its start.
                              "PRAGMA cache_size = -1024"}) {
    const Status set = database->run(setting);
    if (!set.ok()) return set.error().in(path.string());
  }
  return std::unique_ptr<Database>(std::move(database));
}

namespace {

/// A path in a file: URI, where '?', '#' and '%' have meanings.
std::string uri_of(const std::filesystem::path& path, std::string_view parameters) {
  std::string out = "file:";
  char escaped[4];
  for (const char c : std::filesystem::absolute(path).string()) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' || c == '_') {
      out += c;
    } else {
      std::snprintf(escaped, sizeof escaped, "%%%02X", byte);
      out += escaped;
    }
  }
  return out.append("?").append(parameters);
}

Result<std::unique_ptr<Sqlite>> open_as(const std::string& name, int flags, const std::string& shown) {
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_FULLMUTEX, nullptr);
  auto database = std::make_unique<Sqlite>(handle, shown);
  if (opened != SQLITE_OK) return Error{code_of(opened), "cannot open " + shown + ": " + sqlite3_errstr(opened)};
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 2'000);
  return database;
}

Result<std::unique_ptr<Sqlite>> open_to_look(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const int reason = errno;
    const ErrorCode code = reason == ENOENT ? ErrorCode::kNotFound : reason == EACCES ? ErrorCode::kDenied : ErrorCode::kIo;
    return Error{code, path.string() + ": " + std::strerror(reason)};
  }
  if (!S_ISREG(info.st_mode)) return Error{ErrorCode::kIo, path.string() + " is not a regular file"};
  if (::access(path.c_str(), R_OK) != 0) return Error{ErrorCode::kDenied, path.string() + ": " + std::strerror(errno)};
  struct stat log {};
  const bool has_log = ::stat((path.string() + "-wal").c_str(), &log) == 0;
  const bool has_index = ::access((path.string() + "-shm").c_str(), F_OK) == 0;
  // Reading beside a log makes its index where there is none, and leaves it.
  if (has_log && log.st_size > 0 && !has_index) {
    return Error{ErrorCode::kUnsupported, path.string() + "-wal lies there without its index: a copy of a database that was in use"};
  }
  return open_as(uri_of(path, has_log && has_index ? "mode=ro" : "mode=ro&immutable=1"), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, path.string());
}

/// A process that holds a lock on one of the bytes; 0 where the system does not name it.
std::optional<pid_t> holder(const std::string& file, short kind, off_t first, off_t count) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  struct flock question {};
  question.l_type = kind;
  question.l_whence = SEEK_SET;
  question.l_start = first;
  question.l_len = count;
  const bool asked = ::fcntl(descriptor, F_GETLK, &question) == 0;
  ::close(descriptor);
  if (!asked || question.l_type == F_UNLCK) return std::nullopt;
  return std::max<pid_t>(question.l_pid, 0);
}

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite_read_only(const std::filesystem::path& path) {
  BRAINLOCK_ASSIGN(auto database, open_to_look(path));
  // The first read tells whether this is a database at all.
  const auto read = database->query("SELECT count(*) FROM sqlite_master", {});
  if (!read.ok()) return read.error().in(path.string());
  return std::unique_ptr<Database>(std::move(database));
}

Result<std::unique_ptr<Database>> copy_sqlite_to_memory(const std::filesystem::path& path) {
  BRAINLOCK_ASSIGN(const auto source, open_to_look(path));
  BRAINLOCK_ASSIGN(auto copy, open_as(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path.string()));
  sqlite3_backup* backup = sqlite3_backup_init(copy->handle(), "main", source->handle(), "main");
  const int copied = backup == nullptr ? SQLITE_NOMEM : sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  if (copied != SQLITE_DONE) return Error{code_of(copied), "cannot read " + path.string() + ": " + sqlite3_errstr(copied)};
  return std::unique_ptr<Database>(std::move(copy));
}

// The bytes are SQLite's file format (sqlite.org/fileformat2.html and wal.html): whoever has a database open in WAL mode holds a shared lock on 510 bytes
// behind the "pending" one; whoever writes holds byte 120 of the log's index, or, without a log, the "reserved" byte.
SqliteUse sqlite_use(const std::filesystem::path& path) {
  constexpr off_t kPending = 0x40000000, kReserved = kPending + 1, kShared = kPending + 2, kSharedBytes = 510, kWalWriter = 120;
  SqliteUse out;
  out.open_in = holder(path.string(), F_WRLCK, kShared, kSharedBytes);
  out.writer = holder(path.string() + "-shm", F_WRLCK, kWalWriter, 1);
  if (!out.writer) out.writer = holder(path.string(), F_RDLCK, kReserved, 1);
  if (!out.writer) out.writer = holder(path.string(), F_RDLCK, kShared, kSharedBytes);
  return out;
}

Result<std::string> sqlite_complaint(Database& database) {
  BRAINLOCK_ASSIGN(const Rows rows, database.query("PRAGMA quick_check(1)"));
  if (rows.size() == 1 && rows[0].size() == 1 && rows[0][0].as_text() == "ok") return std::string();
  return rows.empty() || rows[0].empty() ? std::string("quick_check said nothing") : clean_text(rows[0][0].as_text(), 200);
}

}  // namespace brainlock::store
