// The embedded ledger's tables, as plain reads and writes. No rules here; the caller holds a transaction where needed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "brainlock/ledger/types.hpp"
#include "brainlock/store/database.hpp"

namespace brainlock::ledger::table {

std::span<const store::Migration> migrations();

/// Named numbers (block counters, parameters).
Result<std::optional<std::int64_t>> read_number(store::Database& database, std::string_view name);
Status write_number(store::Database& database, std::string_view name, std::int64_t value);

/// Named accounts (the subnet's owner).
Result<std::optional<AccountId>> read_account(store::Database& database, std::string_view name);
Status write_account(store::Database& database, std::string_view name, const AccountId& account);

Result<Hyperparameters> read_parameters(store::Database& database);
Status write_parameters(store::Database& database, const Hyperparameters& parameters);
/// kInvalidArgument with the name of the parameter that makes no sense.
Status check_parameters(const Hyperparameters& parameters);

/// A neuron with what only the ledger needs.
struct StoredNeuron {
  Neuron neuron;  // weights filled
  std::vector<Weight> bonds;
};
Result<std::vector<StoredNeuron>> read_neurons(store::Database& database);
Status write_neuron(store::Database& database, const StoredNeuron& stored);  // inserts or replaces its uid

/// A committed vote that is not in force yet.
struct Commit {
  Uid uid = 0;
  BlockNumber due_block = 0;
  std::vector<Weight> weights;
};
Result<std::vector<Commit>> read_commits_due(store::Database& database, BlockNumber block);  // oldest first
Status write_commit(store::Database& database, const Commit& commit);
Status erase_commits(store::Database& database, Uid uid);
Status erase_commits_due(store::Database& database, BlockNumber block);

Result<std::uint64_t> read_balance(store::Database& database, const AccountId& coldkey);
Status write_balance(store::Database& database, const AccountId& coldkey, std::uint64_t rao);

store::Value account_value(const AccountId& account);
std::optional<AccountId> account_of(const store::Value& value);

}  // namespace brainlock::ledger::table
