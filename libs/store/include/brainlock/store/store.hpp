// Store: the memory of a validator. Every request, won or lost, is one row; votes and small settings live beside them. The
// same on SQLite and PostgreSQL.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/store/database.hpp"

namespace brainlock::store {

using Key32 = std::array<std::uint8_t, 32>;

/// One finished request, as the one who measured it saw it.
struct RequestRow {
  std::string uuid;   ///< names the request; a second row with the same uuid is not stored
  Key32 validator{};  ///< hotkey of the asker
  Key32 miner{};      ///< hotkey of the answerer
  int miner_uid = 0;
  std::string package;           ///< hash of the task's package, hexadecimal
  std::string input_kind;        ///< "synthetic", "dataset", "organic"
  std::uint64_t input_seed = 0;  ///< makes the input again, with its kind
  std::int64_t started_ms = 0;   ///< Unix time of the first byte sent
  std::int64_t finished_ms = 0;  ///< Unix time of the last byte received, or of giving up
  bool success = false;
  std::string reason;       ///< "ok", or the name of what went wrong (a closed list of the protocol)
  std::string detail;       ///< one line for people; cleaned of control characters and cut at 500 bytes
  double response_s = 0.0;  ///< what is scored; 0 for a failure
  double network_s = 0.0;   ///< estimated share of the network in it
  std::int64_t bytes_sent = 0;
  std::int64_t bytes_received = 0;
  std::optional<double> deviation;   ///< largest difference of the outputs from the clear baseline
  std::optional<double> similarity;  ///< cosine, for tasks that declare it
};

/// Which rows to read; newest first.
struct RequestFilter {
  std::optional<Key32> miner;
  std::int64_t since_ms = 0;          ///< finished at or after
  std::int64_t until_ms = INT64_MAX;  ///< finished before
  std::size_t limit = 1000;
};

/// A miner's times within one bucket of a chart.
struct TimeBucket {
  Key32 miner{};
  std::int64_t start_ms = 0;
  std::size_t successes = 0;
  std::size_t failures = 0;
  double median_s = 0.0;   ///< over the successes; 0 if none
  double fastest_s = 0.0;  ///< over the successes; 0 if none
};

/// Weights that were sent to a ledger, and what became of them.
struct VoteRow {
  std::string id;  ///< unique; the same id replaces nothing
  std::int64_t time_ms = 0;
  std::uint64_t block = 0;
  std::uint16_t netuid = 0;
  bool accepted = false;
  std::string reason;  ///< "none" or the refusal's name
  std::string detail;
  std::vector<std::pair<std::uint16_t, std::uint16_t>> weights;  ///< (uid, value)
  std::optional<std::uint64_t> confirmed_block;                  ///< where it was read back
};

/// All members are safe from many threads (one connection, one mutex); several processes may hold the same database.
/// Every write is one transaction, is on disk when the call returns, and bears repetition, so a caller may try again
/// after any Error. Errors: those of Database.
class Store {
 public:
  /// Takes a connection and brings its schema up to date.
  static Result<std::unique_ptr<Store>> open(std::unique_ptr<Database> database);

  [[nodiscard]] std::string describe() const { return database_->describe(); }

  /// True if stored, false if a row with this uuid was there already.
  Result<bool> record_request(const RequestRow& row);
  /// Several in one transaction: all or, after an Error, none. Says how many were not there already.
  Result<std::size_t> record_requests(std::span<const RequestRow> rows);
  Result<std::vector<RequestRow>> requests(const RequestFilter& filter = {});
  Result<std::int64_t> count_requests(const RequestFilter& filter = {});
  /// Hotkeys of the miners with a row finished at or after `since_ms`.
  Result<std::vector<Key32>> miners_since(std::int64_t since_ms);
  /// How often each reason stands in the rows of the filter, most frequent first (limit counts reasons here).
  Result<std::vector<std::pair<std::string, std::int64_t>>> reasons(const RequestFilter& filter);
  /// When the first request at or after `since_ms` finished; nothing if there is none.
  Result<std::optional<std::int64_t>> first_request_ms(std::int64_t since_ms);
  /// Medians per miner and bucket of `bucket_ms`, by time then miner. Reads every row of the span, a bucket at a time: one
  /// query or more each, so the caller keeps (until - since) / bucket within reason.
  Result<std::vector<TimeBucket>> time_buckets(std::int64_t since_ms, std::int64_t until_ms, std::int64_t bucket_ms);
  /// Keeps the newest `days` days (at least one) that have rows, deletes what is older and says how many rows that were. A
  /// day ends with its newest row and begins 24 hours before it; time without rows is no day. So rows are as old as what
  /// was recorded after them says, up to `now_ms`, and no clock's word alone makes them older:
  ///
  ///     the clock jumps ahead            -> the same days as before are found and kept
  ///     rows are recorded by it          -> each of their days costs the oldest one, as a day does anyway
  ///     it is set back                   -> rows after now_ms stay, and count for nothing
  ///     nothing was recorded for months  -> what is old stays until as many days of newer rows are there
  ///
  /// kInvalidArgument for no days.
  Result<std::int64_t> prune_requests(std::int64_t now_ms, std::int64_t days);

  Result<bool> record_vote(const VoteRow& row);
  /// Notes that the vote was read back from the ledger at `block`. kNotFound for an unknown id.
  Status confirm_vote(std::string_view id, std::uint64_t block);
  /// Newest first.
  Result<std::vector<VoteRow>> votes(std::size_t limit);

  /// Small named values (schedules, registries). At most 1 MiB each: kTooLarge above.
  Status put(std::string_view scope, std::string_view name, std::span<const std::uint8_t> value);
  Status put(std::string_view scope, std::string_view name, std::string_view text);
  /// kNotFound if absent.
  Result<Blob> get(std::string_view scope, std::string_view name);
  Result<std::vector<std::pair<std::string, Blob>>> list(std::string_view scope);
  /// True if it was there.
  Result<bool> remove(std::string_view scope, std::string_view name);

 private:
  explicit Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  Result<Rows> read(std::string_view sql, std::span<const Value> parameters);

  std::unique_ptr<Database> database_;
  std::mutex mutex_;
};

/// Where the store is.
using StoreAddress = std::variant<std::filesystem::path, PostgresAddress>;

/// Reads POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB through `lookup` (null for an
/// unset name): if a host or a user is set, PostgreSQL with database "miner_data" unless named otherwise; else the
/// SQLite file `fallback`. kInvalidArgument for a bad port or a missing user or password.
Result<StoreAddress> store_address_from_environment(const std::function<const char*(const char*)>& lookup,
                                                    const std::filesystem::path& fallback);

/// Opens whichever it is.
Result<std::unique_ptr<Store>> open_store(const StoreAddress& address);

/// Text fit for a database and a page: valid UTF-8, no control characters ('?' instead), at most `limit` bytes.
std::string clean_text(std::string_view text, std::size_t limit = 500);

}  // namespace brainlock::store
