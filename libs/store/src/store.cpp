#include "brainlock/store/store.hpp"

#include <algorithm>
#include <bit>
#include <map>

#include "schema.hpp"
#include "vote_row.hpp"

namespace brainlock::store {
namespace {

constexpr std::size_t kMaxSettingBytes = std::size_t{1} << 20;
/// Rows in memory at once where a whole history is read.
constexpr std::size_t kPageRows = 256;
constexpr std::int64_t kDayMs = 24 * 3'600'000;

constexpr std::string_view kRequestColumns =
    "uuid, validator, miner, miner_uid, package, input_kind, input_seed, started_ms, finished_ms, success, reason, "
    "detail, response_s, network_s, bytes_sent, bytes_received, deviation, similarity";

Value key_value(const Key32& key) { return Value(std::span<const std::uint8_t>(key)); }

Key32 key_of(const Value& value) {
  Key32 key{};
  const Blob& bytes = value.as_blob();
  if (bytes.size() == key.size()) std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

Value optional_value(const std::optional<double>& value) { return value ? Value(*value) : Value(); }
std::optional<double> optional_of(const Value& value) {
  return value.is_null() ? std::nullopt : std::optional(value.as_double());
}

RequestRow request_of(const Row& row) {
  RequestRow out;
  out.uuid = row[0].as_text();
  out.validator = key_of(row[1]);
  out.miner = key_of(row[2]);
  out.miner_uid = static_cast<int>(row[3].as_int());
  out.package = row[4].as_text();
  out.input_kind = row[5].as_text();
  out.input_seed = std::bit_cast<std::uint64_t>(row[6].as_int());
  out.started_ms = row[7].as_int();
  out.finished_ms = row[8].as_int();
  out.success = row[9].as_int() != 0;
  out.reason = row[10].as_text();
  out.detail = row[11].as_text();
  out.response_s = row[12].as_double();
  out.network_s = row[13].as_double();
  out.bytes_sent = row[14].as_int();
  out.bytes_received = row[15].as_int();
  out.deviation = optional_of(row[16]);
  out.similarity = optional_of(row[17]);
  return out;
}

/// In the order of kRequestColumns.
std::vector<Value> values_of(const RequestRow& row) {
  return {Value(clean_text(row.uuid, 100)),
          key_value(row.validator),
          key_value(row.miner),
          Value(row.miner_uid),
          Value(clean_text(row.package, 200)),
          Value(clean_text(row.input_kind, 50)),
          Value(std::bit_cast<std::int64_t>(row.input_seed)),
          Value(row.started_ms),
          Value(row.finished_ms),
          Value(row.success),
          Value(clean_text(row.reason, 100)),
          Value(clean_text(row.detail)),
          Value(row.response_s),
          Value(row.network_s),
          Value(row.bytes_sent),
          Value(row.bytes_received),
          optional_value(row.deviation),
          optional_value(row.similarity)};
}

/// " WHERE ..." and its parameters.
struct Where {
  std::string text;
  std::vector<Value> parameters;
};

Where where_of(const RequestFilter& filter) {
  Where where{" WHERE finished_ms >= ? AND finished_ms < ?", {Value(filter.since_ms), Value(filter.until_ms)}};
  if (filter.miner) {
    where.text += " AND miner = ?";
    where.parameters.push_back(key_value(*filter.miner));
  }
  return where;
}

Value limit_value(std::size_t limit) {
  return Value(static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(std::unique_ptr<Database> database) {
  BRAINLOCK_TRY(migrate(*database, "store", store_migrations()));
  return std::unique_ptr<Store>(new Store(std::move(database)));
}

Result<Rows> Store::read(std::string_view sql, std::span<const Value> parameters) {
  const std::lock_guard lock(mutex_);
  Result<Rows> rows = database_->query(sql, parameters);
  if (rows.ok() || rows.error().code != ErrorCode::kUnavailable) return rows;
  BRAINLOCK_TRY(database_->reconnect());
  return database_->query(sql, parameters);
}

Result<bool> Store::record_request(const RequestRow& row) {
  BRAINLOCK_ASSIGN(const std::size_t stored, record_requests({&row, 1}));
  return stored == 1;
}

Result<std::size_t> Store::record_requests(std::span<const RequestRow> rows) {
  const std::string sql =
      "INSERT INTO requests (" + std::string(kRequestColumns) +
      ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO NOTHING";
  const std::lock_guard lock(mutex_);
  std::size_t stored = 0;
  BRAINLOCK_TRY(transact(*database_, [&]() -> Status {
    stored = 0;
    for (const RequestRow& row : rows) {
      BRAINLOCK_ASSIGN(const std::int64_t added, database_->execute(sql, values_of(row)));
      stored += static_cast<std::size_t>(added);
    }
    return {};
  }));
  return stored;
}

Result<std::vector<RequestRow>> Store::requests(const RequestFilter& filter) {
  Where where = where_of(filter);
  where.parameters.push_back(limit_value(filter.limit));
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT " + std::string(kRequestColumns) + " FROM requests" + where.text +
                                             " ORDER BY finished_ms DESC, id DESC LIMIT ?",
                                         where.parameters));
  std::vector<RequestRow> out;
  out.reserve(rows.size());
  for (const Row& row : rows) out.push_back(request_of(row));
  return out;
}

Result<std::int64_t> Store::count_requests(const RequestFilter& filter) {
  const Where where = where_of(filter);
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT count(*) FROM requests" + where.text, where.parameters));
  return rows.at(0).at(0).as_int();
}

Result<std::vector<Key32>> Store::miners_since(std::int64_t since_ms) {
  const Value parameters[] = {Value(since_ms)};
  BRAINLOCK_ASSIGN(const Rows rows,
                   read("SELECT DISTINCT miner FROM requests WHERE finished_ms >= ? ORDER BY miner", parameters));
  std::vector<Key32> out;
  for (const Row& row : rows) out.push_back(key_of(row[0]));
  return out;
}

Result<std::vector<std::pair<std::string, std::int64_t>>> Store::reasons(const RequestFilter& filter) {
  // Grouped in the order of the index (miner, reason, time): nothing is sorted, so a long history takes no more memory than a
  // short one. The plus signs keep a planner from the indexes by time, which would have it sort.
  std::vector<Value> parameters{Value(filter.since_ms), Value(filter.until_ms)};
  std::string where = " WHERE +finished_ms >= ? AND +finished_ms < ?";
  if (filter.miner) {
    where += " AND miner = ?";
    parameters.push_back(key_value(*filter.miner));
  }
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT reason, count(*) FROM requests" + where + " GROUP BY miner, reason", parameters));
  std::map<std::string, std::int64_t> counts;
  for (const Row& row : rows) counts[row[0].as_text()] += row[1].as_int();
  std::vector<std::pair<std::string, std::int64_t>> out(counts.begin(), counts.end());
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (out.size() > filter.limit) out.resize(filter.limit);
  return out;
}

Result<std::vector<TimeBucket>> Store::time_buckets(std::int64_t since_ms, std::int64_t until_ms,
                                                    std::int64_t bucket_ms) {
  if (bucket_ms <= 0) {
    return Error{ErrorCode::kInvalidArgument, "expected a bucket of at least 1 ms, got " + std::to_string(bucket_ms)};
  }
  struct Times {
    std::vector<double> good;
    std::size_t failures = 0;
  };
  std::vector<TimeBucket> out;
  // One bucket after another, and of a bucket only its times. Buckets begin at multiples of their length.
  for (std::int64_t start = since_ms - (since_ms % bucket_ms + bucket_ms) % bucket_ms; start < until_ms; start += bucket_ms) {
    std::map<Key32, Times> miners;
    // Page by page, after the last row of the page before.
    std::int64_t after_ms = std::max(start, since_ms), after_id = -1;
    for (std::size_t got = kPageRows; got == kPageRows;) {
      const Value parameters[] = {Value(std::min(start + bucket_ms, until_ms)), Value(after_ms), Value(after_id), limit_value(kPageRows)};
      BRAINLOCK_ASSIGN(const Rows rows, read("SELECT miner, success, response_s, finished_ms, id FROM requests WHERE finished_ms < ? AND "
                                             "(finished_ms, id) > (?, ?) ORDER BY finished_ms, id LIMIT ?",
                                             parameters));
      for (const Row& row : rows) {
        Times& times = miners[key_of(row[0])];
        if (row[1].as_int() != 0) times.good.push_back(row[2].as_double());
        else ++times.failures;
      }
      got = rows.size();
      if (got > 0) after_ms = rows.back()[3].as_int(), after_id = rows.back()[4].as_int();
    }
    for (auto& [miner, times] : miners) {
      std::sort(times.good.begin(), times.good.end());
      TimeBucket entry{miner, start, times.good.size(), times.failures, 0.0, 0.0};
      if (!times.good.empty()) {
        const std::size_t half = times.good.size() / 2;
        entry.fastest_s = times.good.front();
        entry.median_s = times.good.size() % 2 == 1 ? times.good[half] : (times.good[half - 1] + times.good[half]) / 2.0;
      }
      out.push_back(entry);
    }
  }
  return out;
}

Result<std::optional<std::int64_t>> Store::first_request_ms(std::int64_t since_ms) {
  const Value parameters[] = {Value(since_ms)};
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT MIN(finished_ms) FROM requests WHERE finished_ms >= ?", parameters));
  if (rows.empty() || rows[0][0].is_null()) return std::optional<std::int64_t>{};
  return std::optional(rows[0][0].as_int());
}

Result<std::int64_t> Store::prune_requests(std::int64_t now_ms, std::int64_t days) {
  if (days < 1) return Error{ErrorCode::kInvalidArgument, "expected at least one day to keep, got " + std::to_string(days)};
  const std::lock_guard lock(mutex_);
  std::int64_t removed = 0;
  BRAINLOCK_TRY(transact(*database_, [&]() -> Status {
    removed = 0;
    std::int64_t last_ms = now_ms;  // of what is not counted yet; a look into the index for each day
    for (std::int64_t day = 0; day < days; ++day) {
      BRAINLOCK_ASSIGN(const Rows newest, database_->query("SELECT MAX(finished_ms) FROM requests WHERE finished_ms <= ?", {Value(last_ms)}));
      if (newest.at(0).at(0).is_null()) return {};
      last_ms = newest[0][0].as_int() - kDayMs;
    }
    BRAINLOCK_ASSIGN(removed, database_->execute("DELETE FROM requests WHERE finished_ms <= ?", {Value(last_ms)}));
    return {};
  }));
  return removed;
}

Result<bool> Store::record_vote(const VoteRow& row) {
  const std::string id = clean_text(row.id, 100);
  const std::lock_guard lock(mutex_);
  bool stored = false;
  BRAINLOCK_TRY(transact(*database_, [&]() -> Status {
    BRAINLOCK_ASSIGN(
        const std::int64_t changed,
        database_->execute("INSERT INTO votes (vote_id, time_ms, block, netuid, accepted, reason, detail, "
                           "confirmed_block) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (vote_id) DO NOTHING",
                           {Value(id), Value(row.time_ms), Value(static_cast<std::int64_t>(row.block)),
                            Value(static_cast<int>(row.netuid)), Value(row.accepted),
                            Value(clean_text(row.reason, 100)), Value(clean_text(row.detail)),
                            row.confirmed_block ? Value(static_cast<std::int64_t>(*row.confirmed_block)) : Value()}));
    stored = changed == 1;
    if (!stored) return {};
    for (const auto& [uid, value] : row.weights) {
      const auto added = database_->execute("INSERT INTO vote_weights (vote_id, uid, value) VALUES (?, ?, ?)",
                                            {Value(id), Value(static_cast<int>(uid)), Value(static_cast<int>(value))});
      if (!added.ok()) return added.error();
    }
    return {};
  }));
  return stored;
}

Status Store::confirm_vote(std::string_view id, std::uint64_t block) {
  const std::lock_guard lock(mutex_);
  std::int64_t changed = 0;
  BRAINLOCK_TRY(transact(*database_, [&]() -> Status {
    BRAINLOCK_ASSIGN(changed,
                     database_->execute("UPDATE votes SET confirmed_block = ? WHERE vote_id = ?",
                                        {Value(static_cast<std::int64_t>(block)), Value(clean_text(id, 100))}));
    return {};
  }));
  if (changed == 0) return Error{ErrorCode::kNotFound, "no vote \"" + clean_text(id, 100) + "\""};
  return {};
}

Result<std::vector<VoteRow>> Store::votes(std::size_t limit) {
  const Value parameters[] = {limit_value(limit)};
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT " + std::string(kVoteColumns) + " FROM votes ORDER BY id DESC LIMIT ?", parameters));
  std::vector<VoteRow> out;
  for (const Row& row : rows) {
    VoteRow vote = vote_of(row);
    const Value id[] = {Value(vote.id)};
    BRAINLOCK_ASSIGN(const Rows weights,
                     read("SELECT uid, value FROM vote_weights WHERE vote_id = ? ORDER BY uid", id));
    for (const Row& weight : weights) {
      vote.weights.emplace_back(static_cast<std::uint16_t>(weight[0].as_int()),
                                static_cast<std::uint16_t>(weight[1].as_int()));
    }
    out.push_back(std::move(vote));
  }
  return out;
}

Status Store::put(std::string_view scope, std::string_view name, std::span<const std::uint8_t> value) {
  if (value.size() > kMaxSettingBytes) {
    return Error{ErrorCode::kTooLarge, "a setting holds at most " + std::to_string(kMaxSettingBytes) + " bytes, got " +
                                           std::to_string(value.size())};
  }
  const std::lock_guard lock(mutex_);
  return transact(*database_, [&]() -> Status {
    const auto done = database_->execute(
        "INSERT INTO settings (scope, name, value) VALUES (?, ?, ?) ON CONFLICT (scope, name) DO UPDATE SET value = "
        "excluded.value",
        {Value(scope), Value(name), Value(value)});
    return done.ok() ? Status{} : Status(done.error());
  });
}

Status Store::put(std::string_view scope, std::string_view name, std::string_view text) {
  return put(scope, name, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

Result<Blob> Store::get(std::string_view scope, std::string_view name) {
  const Value parameters[] = {Value(scope), Value(name)};
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT value FROM settings WHERE scope = ? AND name = ?", parameters));
  if (rows.empty())
    return Error{ErrorCode::kNotFound, "no setting \"" + std::string(scope) + "/" + std::string(name) + "\""};
  return rows[0][0].as_blob();
}

Result<std::vector<std::pair<std::string, Blob>>> Store::list(std::string_view scope) {
  const Value parameters[] = {Value(scope)};
  BRAINLOCK_ASSIGN(const Rows rows, read("SELECT name, value FROM settings WHERE scope = ? ORDER BY name", parameters));
  std::vector<std::pair<std::string, Blob>> out;
  for (const Row& row : rows) out.emplace_back(row[0].as_text(), row[1].as_blob());
  return out;
}

Result<bool> Store::remove(std::string_view scope, std::string_view name) {
  const std::lock_guard lock(mutex_);
  std::int64_t removed = 0;
  BRAINLOCK_TRY(transact(*database_, [&]() -> Status {
    BRAINLOCK_ASSIGN(
        removed, database_->execute("DELETE FROM settings WHERE scope = ? AND name = ?", {Value(scope), Value(name)}));
    return {};
  }));
  return removed == 1;
}

}  // namespace brainlock::store
