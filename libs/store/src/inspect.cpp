#include "brainlock/store/inspect.hpp"

#include "schema.hpp"
#include "vote_row.hpp"

namespace brainlock::store {
namespace {

Result<bool> has_table(Database& database, std::string_view name) {
  const std::string_view sql = database.dialect() == Dialect::kSqlite ? "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
                                                                      : "SELECT count(*) FROM pg_tables WHERE tablename = ?";
  BRAINLOCK_ASSIGN(const Rows rows, database.query(sql, {Value(name)}));
  return !rows.empty() && rows[0][0].as_int() > 0;
}

}  // namespace

int newest_store_schema() { return store_migrations().back().version; }

Result<StoreHealth> inspect_store(Database& database) {
  StoreHealth out;
  out.newest_schema = newest_store_schema();
  BRAINLOCK_ASSIGN(const bool begun, has_table(database, "schema_versions"));
  if (!begun) return out;
  BRAINLOCK_ASSIGN(const Rows versions, database.query("SELECT version FROM schema_versions WHERE name = ?", {Value("store")}));
  if (!versions.empty()) out.schema = static_cast<int>(versions[0][0].as_int());
  if (out.schema == 0 || out.schema > out.newest_schema) return out;
  BRAINLOCK_ASSIGN(const Rows votes, database.query("SELECT " + std::string(kVoteColumns) + " FROM votes ORDER BY id DESC LIMIT 1"));
  if (!votes.empty()) out.last_vote = vote_of(votes[0]);
  BRAINLOCK_ASSIGN(const Rows newest, database.query("SELECT max(finished_ms) FROM requests"));
  if (!newest.empty() && !newest[0][0].is_null()) out.last_request_ms = newest[0][0].as_int();
  return out;
}

Result<PostgresServerState> inspect_postgres(Database& database) {
  if (database.dialect() != Dialect::kPostgres) return Error{ErrorCode::kInvalidArgument, "not a PostgreSQL connection"};
  BRAINLOCK_ASSIGN(const Rows rows, database.query("SELECT current_setting('server_version_num'), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), "
                                                   "pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"));
  if (rows.size() != 1 || rows[0].size() != 3) return Error{ErrorCode::kMalformed, "PostgreSQL did not say its version"};
  PostgresServerState out;
  out.version = std::atoi(rows[0][0].as_text().c_str());
  out.may_create = rows[0][1].as_int() != 0;
  out.read_only = rows[0][2].as_int() != 0;
  return out;
}

}  // namespace brainlock::store
