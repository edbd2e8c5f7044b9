#include "ledger_table.hpp"

#include <algorithm>
#include <bit>
#include <string>

namespace brainlock::ledger::table {
namespace {

using store::Blob;
using store::Database;
using store::Row;
using store::Rows;
using store::Value;

Status status_of(const Result<std::int64_t>& done) { return done.ok() ? Status{} : Status(done.error()); }

Value number(std::uint64_t value) { return Value(std::bit_cast<std::int64_t>(value)); }
std::uint64_t unsigned_of(const Value& value) { return std::bit_cast<std::uint64_t>(value.as_int()); }
std::uint16_t u16_of(const Value& value) { return static_cast<std::uint16_t>(value.as_int()); }

/// (uid, value) pairs, four little-endian bytes each.
Value pack(const std::vector<Weight>& weights) {
  Blob bytes;
  bytes.reserve(weights.size() * 4);
  for (const Weight& weight : weights) {
    for (std::uint16_t word : {weight.uid, weight.value}) {
      bytes.push_back(static_cast<std::uint8_t>(word & 0xff));
      bytes.push_back(static_cast<std::uint8_t>(word >> 8));
    }
  }
  return Value(std::move(bytes));
}

Result<std::vector<Weight>> unpack(const Value& value) {
  const Blob& bytes = value.as_blob();
  if (bytes.size() % 4 != 0) return Error{ErrorCode::kCorrupted, "a weight list of the ledger is cut"};
  std::vector<Weight> weights(bytes.size() / 4);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i].uid = static_cast<Uid>(bytes[4 * i] | (bytes[4 * i + 1] << 8));
    weights[i].value = static_cast<std::uint16_t>(bytes[4 * i + 2] | (bytes[4 * i + 3] << 8));
  }
  return weights;
}

/// Every hyperparameter under the name that it has in the table.
template <typename Visitor>
void for_each_parameter(Hyperparameters& p, Visitor visit) {
  visit("tempo", p.tempo);
  visit("weights_rate_limit", p.weights_rate_limit);
  visit("serving_rate_limit", p.serving_rate_limit);
  visit("min_allowed_weights", p.min_allowed_weights);
  visit("max_weights_limit", p.max_weights_limit);
  visit("max_allowed_uids", p.max_allowed_uids);
  visit("max_allowed_validators", p.max_allowed_validators);
  visit("immunity_period", p.immunity_period);
  visit("activity_cutoff", p.activity_cutoff);
  visit("kappa", p.kappa);
  visit("bonds_moving_average", p.bonds_moving_average);
  visit("stake_threshold_rao", p.stake_threshold_rao);
  visit("weights_version", p.weights_version);
  visit("registration_allowed", p.registration_allowed);
  visit("registration_cost_rao", p.registration_cost_rao);
  visit("commit_reveal_enabled", p.commit_reveal_enabled);
  visit("reveal_period_epochs", p.reveal_period_epochs);
}

}  // namespace

std::span<const store::Migration> migrations() {
  static const std::vector<store::Migration> kSteps = {
      {1,
       {
           "CREATE TABLE ledger_numbers (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
           "CREATE TABLE ledger_accounts (name TEXT PRIMARY KEY, account {BLOB} NOT NULL)",
           "CREATE TABLE ledger_balances (coldkey {BLOB} PRIMARY KEY, rao BIGINT NOT NULL)",
           R"(CREATE TABLE ledger_neurons (
                uid BIGINT PRIMARY KEY,
                hotkey {BLOB} NOT NULL UNIQUE,
                coldkey {BLOB} NOT NULL,
                stake BIGINT NOT NULL,
                permit BIGINT NOT NULL,
                active BIGINT NOT NULL,
                last_update BIGINT NOT NULL,
                registered_at BIGINT NOT NULL,
                incentive BIGINT NOT NULL,
                dividends BIGINT NOT NULL,
                consensus BIGINT NOT NULL,
                trust BIGINT NOT NULL,
                emission BIGINT NOT NULL,
                axon_ip TEXT,
                axon_port BIGINT NOT NULL,
                axon_version BIGINT NOT NULL,
                axon_protocol BIGINT NOT NULL,
                axon_block BIGINT NOT NULL,
                weights {BLOB} NOT NULL,
                bonds {BLOB} NOT NULL))",
           R"(CREATE TABLE ledger_commits (
                uid BIGINT NOT NULL,
                due_block BIGINT NOT NULL,
                weights {BLOB} NOT NULL,
                PRIMARY KEY (uid, due_block)))",
       }},
  };
  return kSteps;
}

Value account_value(const AccountId& account) { return Value(std::span<const std::uint8_t>(account)); }

std::optional<AccountId> account_of(const Value& value) {
  const Blob& bytes = value.as_blob();
  AccountId account{};
  if (bytes.size() != account.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), account.begin());
  return account;
}

Result<std::optional<std::int64_t>> read_number(Database& database, std::string_view name) {
  BRAINLOCK_ASSIGN(const Rows rows, database.query("SELECT value FROM ledger_numbers WHERE name = ?", {Value(name)}));
  return rows.empty() ? std::nullopt : std::optional(rows[0][0].as_int());
}

Status write_number(Database& database, std::string_view name, std::int64_t value) {
  return status_of(database.execute(
      "INSERT INTO ledger_numbers (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      {Value(name), Value(value)}));
}

Result<std::optional<AccountId>> read_account(Database& database, std::string_view name) {
  BRAINLOCK_ASSIGN(const Rows rows,
                   database.query("SELECT account FROM ledger_accounts WHERE name = ?", {Value(name)}));
  return rows.empty() ? std::nullopt : account_of(rows[0][0]);
}

Status write_account(Database& database, std::string_view name, const AccountId& account) {
  return status_of(
      database.execute("INSERT INTO ledger_accounts (name, account) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
                       "account = excluded.account",
                       {Value(name), account_value(account)}));
}

Result<Hyperparameters> read_parameters(Database& database) {
  BRAINLOCK_ASSIGN(const Rows rows, database.query("SELECT name, value FROM ledger_numbers"));
  Hyperparameters parameters;
  for_each_parameter(parameters, [&](std::string_view name, auto& field) {
    for (const Row& row : rows) {
      if (row[0].as_text() == name) field = static_cast<std::remove_reference_t<decltype(field)>>(unsigned_of(row[1]));
    }
  });
  return parameters;
}

Status write_parameters(Database& database, const Hyperparameters& parameters) {
  Hyperparameters copy = parameters;
  Status status;
  for_each_parameter(copy, [&](std::string_view name, auto& field) {
    if (status.ok()) status = write_number(database, name, static_cast<std::int64_t>(field));
  });
  return status;
}

Status check_parameters(const Hyperparameters& p) {
  const auto refuse = [](const char* name, const char* rule) {
    return Error{ErrorCode::kInvalidArgument, std::string(name) + " must be " + rule};
  };
  if (p.tempo == 0) return refuse("tempo", "at least 1 block");
  if (p.max_allowed_uids == 0 || p.max_allowed_uids > 4096) return refuse("max_allowed_uids", "1 to 4096");
  if (p.max_allowed_validators == 0) return refuse("max_allowed_validators", "at least 1");
  if (p.max_weights_limit == 0) return refuse("max_weights_limit", "at least 1");
  if (p.bonds_moving_average > 1'000'000) return refuse("bonds_moving_average", "at most 1000000");
  if (p.commit_reveal_enabled && (p.reveal_period_epochs == 0 || p.reveal_period_epochs > 100)) {
    return refuse("reveal_period_epochs", "1 to 100");
  }
  return {};
}

Result<std::vector<StoredNeuron>> read_neurons(Database& database) {
  BRAINLOCK_ASSIGN(const Rows rows,
                   database.query("SELECT uid, hotkey, coldkey, stake, permit, active, last_update, registered_at, "
                                  "incentive, dividends, consensus, trust, emission, axon_ip, axon_port, axon_version, "
                                  "axon_protocol, axon_block, weights, bonds FROM ledger_neurons ORDER BY uid"));
  std::vector<StoredNeuron> out;
  out.reserve(rows.size());
  for (const Row& row : rows) {
    StoredNeuron stored;
    Neuron& neuron = stored.neuron;
    const auto hotkey = account_of(row[1]);
    const auto coldkey = account_of(row[2]);
    if (!hotkey || !coldkey || row[0].as_int() != static_cast<std::int64_t>(out.size())) {
      return Error{ErrorCode::kCorrupted, "neuron " + std::to_string(out.size()) + " of the ledger is damaged"};
    }
    neuron.uid = u16_of(row[0]);
    neuron.hotkey = *hotkey;
    neuron.coldkey = *coldkey;
    neuron.stake_rao = unsigned_of(row[3]);
    neuron.validator_permit = row[4].as_int() != 0;
    neuron.active = row[5].as_int() != 0;
    neuron.last_update = unsigned_of(row[6]);
    neuron.registered_at = unsigned_of(row[7]);
    neuron.incentive = u16_of(row[8]);
    neuron.dividends = u16_of(row[9]);
    neuron.consensus = u16_of(row[10]);
    neuron.validator_trust = u16_of(row[11]);
    neuron.emission_rao = unsigned_of(row[12]);
    if (!row[13].is_null()) {
      neuron.axon = Axon{row[13].as_text(), u16_of(row[14]), static_cast<std::uint32_t>(row[15].as_int()),
                         static_cast<std::uint8_t>(row[16].as_int()), unsigned_of(row[17])};
    }
    BRAINLOCK_ASSIGN(neuron.weights, unpack(row[18]));
    BRAINLOCK_ASSIGN(stored.bonds, unpack(row[19]));
    out.push_back(std::move(stored));
  }
  return out;
}

Status write_neuron(Database& database, const StoredNeuron& stored) {
  const Neuron& n = stored.neuron;
  const Axon axon = n.axon.value_or(Axon{});
  BRAINLOCK_TRY(
      status_of(database.execute("DELETE FROM ledger_neurons WHERE uid = ?", {Value(static_cast<int>(n.uid))})));
  return status_of(database.execute(
      "INSERT INTO ledger_neurons (uid, hotkey, coldkey, stake, permit, active, last_update, registered_at, incentive, "
      "dividends, consensus, trust, emission, axon_ip, axon_port, axon_version, axon_protocol, axon_block, weights, "
      "bonds) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {Value(static_cast<int>(n.uid)),
       account_value(n.hotkey),
       account_value(n.coldkey),
       number(n.stake_rao),
       Value(n.validator_permit),
       Value(n.active),
       number(n.last_update),
       number(n.registered_at),
       Value(static_cast<int>(n.incentive)),
       Value(static_cast<int>(n.dividends)),
       Value(static_cast<int>(n.consensus)),
       Value(static_cast<int>(n.validator_trust)),
       number(n.emission_rao),
       n.axon ? Value(axon.ip) : Value(),
       Value(static_cast<int>(axon.port)),
       Value(static_cast<std::int64_t>(axon.version)),
       Value(static_cast<int>(axon.protocol)),
       number(axon.served_block),
       pack(n.weights),
       pack(stored.bonds)}));
}

Result<std::vector<Commit>> read_commits_due(Database& database, BlockNumber block) {
  BRAINLOCK_ASSIGN(const Rows rows, database.query("SELECT uid, due_block, weights FROM ledger_commits "
                                                   "WHERE due_block <= ? ORDER BY due_block, uid",
                                                   {number(block)}));
  std::vector<Commit> out;
  for (const Row& row : rows) {
    Commit commit{u16_of(row[0]), unsigned_of(row[1]), {}};
    BRAINLOCK_ASSIGN(commit.weights, unpack(row[2]));
    out.push_back(std::move(commit));
  }
  return out;
}

Status write_commit(Database& database, const Commit& commit) {
  return status_of(
      database.execute("INSERT INTO ledger_commits (uid, due_block, weights) VALUES (?, ?, ?) "
                       "ON CONFLICT (uid, due_block) DO UPDATE SET weights = excluded.weights",
                       {Value(static_cast<int>(commit.uid)), number(commit.due_block), pack(commit.weights)}));
}

Status erase_commits(Database& database, Uid uid) {
  return status_of(database.execute("DELETE FROM ledger_commits WHERE uid = ?", {Value(static_cast<int>(uid))}));
}

Status erase_commits_due(Database& database, BlockNumber block) {
  return status_of(database.execute("DELETE FROM ledger_commits WHERE due_block <= ?", {number(block)}));
}

Result<std::uint64_t> read_balance(Database& database, const AccountId& coldkey) {
  BRAINLOCK_ASSIGN(const Rows rows,
                   database.query("SELECT rao FROM ledger_balances WHERE coldkey = ?", {account_value(coldkey)}));
  return rows.empty() ? 0 : unsigned_of(rows[0][0]);
}

Status write_balance(Database& database, const AccountId& coldkey, std::uint64_t rao) {
  return status_of(database.execute(
      "INSERT INTO ledger_balances (coldkey, rao) VALUES (?, ?) ON CONFLICT (coldkey) DO UPDATE SET rao = excluded.rao",
      {account_value(coldkey), number(rao)}));
}

}  // namespace brainlock::ledger::table
