// Looking at a database without touching it: for `brainlock doctor`, beside a service that runs or in place of one that does not.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "brainlock/store/store.hpp"

namespace brainlock::store {

/// A connection that reads and leaves nothing behind: no file is made, no log is emptied, every write is kDenied. A file that nobody has open
/// is read as it lies there; one in use is read together with its log. kNotFound, kIo, kDenied, kCorrupted; kUnsupported for a file with a log whose index is
/// missing (a copy of a database in use), which could not be read without making it.
Result<std::unique_ptr<Database>> open_sqlite_read_only(const std::filesystem::path& path);

/// All of a small database, in memory: what is done to it is lost. Errors as above.
Result<std::unique_ptr<Database>> copy_sqlite_to_memory(const std::filesystem::path& path);

/// Who uses a database file.
struct SqliteUse {
  std::optional<pid_t> open_in;   ///< a process that has it open (0 where the system does not say which)
  std::optional<pid_t> writer;    ///< a process in the middle of writing: others wait for it
};
/// Asks for locks without taking any. Not from a process that has the file open: it would lose its own.
SqliteUse sqlite_use(const std::filesystem::path& path);

/// What quick_check of SQLite says of a file: empty if it is sound, else the first complaint. Reads all of it.
Result<std::string> sqlite_complaint(Database& database);

/// Newest schema of a validator's database that this program knows.
int newest_store_schema();

/// What a validator's database says of itself.
struct StoreHealth {
  int schema = 0;                       ///< 0: nothing in it yet
  int newest_schema = 0;                ///< that this program knows
  std::optional<VoteRow> last_vote;     ///< without its weights
  std::optional<std::int64_t> last_request_ms;
};
/// Reads only. Errors of the database. What a schema newer than this program's holds is left unread.
Result<StoreHealth> inspect_store(Database& database);

/// Version of a PostgreSQL server as it counts them (150004 for 15.4), and whether this connection may make tables there. kInvalidArgument for another engine.
struct PostgresServerState {
  int version = 0;
  bool may_create = false;
  bool read_only = false;               ///< a standby, or set so
};
Result<PostgresServerState> inspect_postgres(Database& database);

}  // namespace brainlock::store
