#include "brainlock/ledger/embedded_ledger.hpp"

#include <algorithm>
#include <chrono>

#include "brainlock/ledger/yuma.hpp"
#include "brainlock/store/database.hpp"
#include "brainlock/store/inspect.hpp"
#include "ledger_table.hpp"
#include "rules.hpp"

namespace brainlock::ledger {
namespace {

/// Epochs that are worked out after a long absence; bonds have converged long before.
constexpr std::uint64_t kMostMissedEpochs = 64;

using table::StoredNeuron;

StoredNeuron* find(std::vector<StoredNeuron>& neurons, const AccountId& hotkey) {
  const auto found =
      std::find_if(neurons.begin(), neurons.end(), [&](const StoredNeuron& s) { return s.neuron.hotkey == hotkey; });
  return found == neurons.end() ? nullptr : &*found;
}

}  // namespace

WallClock system_wall_clock() {
  return [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
}

EmbeddedLedger::EmbeddedLedger(std::unique_ptr<store::Database> database, std::filesystem::path path, WallClock clock)
    : database_(std::move(database)), path_(std::move(path)), clock_(std::move(clock)) {}

EmbeddedLedger::~EmbeddedLedger() = default;

Result<std::unique_ptr<EmbeddedLedger>> EmbeddedLedger::create(const std::filesystem::path& path,
                                                               const Genesis& genesis, WallClock clock) {
  if (genesis.block_interval_ms < 1) {
    return Error{ErrorCode::kInvalidArgument, "block_interval_ms must be at least 1"};
  }
  BRAINLOCK_TRY(table::check_parameters(genesis.parameters));
  BRAINLOCK_ASSIGN(auto database, store::open_sqlite(path));
  BRAINLOCK_TRY(store::migrate(*database, "ledger", table::migrations()));
  const std::int64_t now = clock();
  const auto write = [&]() -> Status {
    BRAINLOCK_ASSIGN(const auto present, table::read_number(*database, "genesis_ms"));
    if (present) return Error{ErrorCode::kInvalidArgument, path.string() + " holds a ledger already"};
    BRAINLOCK_TRY(table::write_number(*database, "netuid", genesis.netuid));
    BRAINLOCK_TRY(table::write_number(*database, "genesis_ms", now));
    BRAINLOCK_TRY(table::write_number(*database, "block_interval_ms", genesis.block_interval_ms));
    BRAINLOCK_TRY(table::write_number(*database, "emission_per_block_rao",
                                      static_cast<std::int64_t>(genesis.emission_per_block_rao)));
    BRAINLOCK_TRY(table::write_number(*database, "last_epoch_block", 0));
    if (genesis.owner_hotkey) BRAINLOCK_TRY(table::write_account(*database, "owner_hotkey", *genesis.owner_hotkey));
    return table::write_parameters(*database, genesis.parameters);
  };
  BRAINLOCK_TRY(store::transact(*database, write));
  std::unique_ptr<EmbeddedLedger> ledger(new EmbeddedLedger(std::move(database), path, std::move(clock)));
  BRAINLOCK_TRY(ledger->load());
  return ledger;
}

Result<std::unique_ptr<EmbeddedLedger>> EmbeddedLedger::open(const std::filesystem::path& path, WallClock clock) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) {
    return Error{ErrorCode::kNotFound, "no ledger file " + path.string()};
  }
  BRAINLOCK_ASSIGN(auto database, store::open_sqlite(path));
  BRAINLOCK_TRY(store::migrate(*database, "ledger", table::migrations()));
  std::unique_ptr<EmbeddedLedger> ledger(new EmbeddedLedger(std::move(database), path, std::move(clock)));
  BRAINLOCK_TRY(ledger->load());
  return ledger;
}

Result<std::unique_ptr<EmbeddedLedger>> EmbeddedLedger::open_copy(const std::filesystem::path& path, WallClock clock) {
  BRAINLOCK_ASSIGN(auto database, store::copy_sqlite_to_memory(path));
  BRAINLOCK_TRY(store::migrate(*database, "ledger", table::migrations()));
  std::unique_ptr<EmbeddedLedger> ledger(new EmbeddedLedger(std::move(database), path, std::move(clock)));
  BRAINLOCK_TRY(ledger->load());
  return ledger;
}

Status EmbeddedLedger::load() {
  const auto need = [&](std::string_view name) -> Result<std::int64_t> {
    BRAINLOCK_ASSIGN(const auto value, table::read_number(*database_, name));
    if (!value) return Error{ErrorCode::kCorrupted, path_.string() + " is no ledger: it has no " + std::string(name)};
    return *value;
  };
  BRAINLOCK_ASSIGN(genesis_ms_, need("genesis_ms"));
  BRAINLOCK_ASSIGN(block_interval_ms_, need("block_interval_ms"));
  BRAINLOCK_ASSIGN(const std::int64_t netuid, need("netuid"));
  BRAINLOCK_ASSIGN(const std::int64_t emission, need("emission_per_block_rao"));
  BRAINLOCK_ASSIGN(owner_hotkey_, table::read_account(*database_, "owner_hotkey"));
  if (block_interval_ms_ < 1) return Error{ErrorCode::kCorrupted, path_.string() + ": block_interval_ms is below 1"};
  netuid_ = static_cast<std::uint16_t>(netuid);
  emission_per_block_rao_ = static_cast<std::uint64_t>(emission);
  return {};
}

std::string EmbeddedLedger::describe() const { return "embedded ledger " + path_.string(); }

BlockNumber EmbeddedLedger::clock_block() const {
  const std::int64_t elapsed = clock_() - genesis_ms_;
  return elapsed < 0 ? 1 : static_cast<BlockNumber>(elapsed / block_interval_ms_) + 1;
}

Result<BlockTime> EmbeddedLedger::block_time() {
  const std::int64_t elapsed = std::max<std::int64_t>(clock_() - genesis_ms_, 0);
  return BlockTime{static_cast<BlockNumber>(elapsed / block_interval_ms_) + 1, block_interval_ms_,
                   block_interval_ms_ - elapsed % block_interval_ms_};
}

Status EmbeddedLedger::at_block(const std::function<Status(BlockNumber)>& work) {
  const std::lock_guard lock(mutex_);
  return store::transact(*database_, [&]() -> Status {
    BRAINLOCK_ASSIGN(const BlockNumber block, catch_up());
    return work(block);
  });
}

Result<Outcome> EmbeddedLedger::decide_at_block(const std::function<Result<Outcome>(BlockNumber)>& work) {
  Outcome outcome;
  const Status done = at_block([&](BlockNumber block) -> Status {
    BRAINLOCK_ASSIGN(outcome, work(block));
    return {};
  });
  return done.ok() ? Result<Outcome>(std::move(outcome)) : Result<Outcome>(done.error());
}

Result<BlockNumber> EmbeddedLedger::catch_up() {
  BRAINLOCK_ASSIGN(const Hyperparameters parameters, table::read_parameters(*database_));
  BRAINLOCK_ASSIGN(const auto last, table::read_number(*database_, "last_epoch_block"));
  BlockNumber last_epoch = static_cast<BlockNumber>(last.value_or(0));
  // A clock that was set back does not undo an epoch.
  const BlockNumber block = std::max(clock_block(), last_epoch);
  const BlockNumber tempo = std::max<BlockNumber>(parameters.tempo, 1);
  const std::uint64_t due = (block - last_epoch) / tempo;
  if (due == 0) return block;
  if (due > kMostMissedEpochs) last_epoch += (due - kMostMissedEpochs) * tempo;
  while (last_epoch + tempo <= block) {
    last_epoch += tempo;
    BRAINLOCK_TRY(run_epoch_at(last_epoch, parameters));
  }
  BRAINLOCK_TRY(table::write_number(*database_, "last_epoch_block", static_cast<std::int64_t>(last_epoch)));
  return block;
}

Status EmbeddedLedger::run_epoch_at(BlockNumber block, const Hyperparameters& parameters) {
  BRAINLOCK_ASSIGN(std::vector<StoredNeuron> neurons, table::read_neurons(*database_));
  BRAINLOCK_ASSIGN(const auto commits, table::read_commits_due(*database_, block));
  for (const table::Commit& commit : commits) {
    if (commit.uid < neurons.size()) neurons[commit.uid].neuron.weights = commit.weights;
  }
  BRAINLOCK_TRY(table::erase_commits_due(*database_, block));

  EpochInput input;
  input.block = block;
  input.parameters = parameters;
  input.emission_rao = emission_per_block_rao_ * parameters.tempo;
  for (const StoredNeuron& stored : neurons) {
    const Neuron& neuron = stored.neuron;
    if (owner_hotkey_ && neuron.hotkey == *owner_hotkey_) input.owner = neuron.uid;
    input.neurons.push_back({neuron.stake_rao, neuron.validator_permit, neuron.last_update, neuron.registered_at,
                             neuron.weights, stored.bonds});
  }
  BRAINLOCK_ASSIGN(auto shares, run_epoch(input));
  for (std::size_t i = 0; i < neurons.size(); ++i) {
    Neuron& neuron = neurons[i].neuron;
    neuron.validator_permit = shares[i].validator_permit;
    neuron.active = shares[i].active;
    neuron.consensus = shares[i].consensus;
    neuron.incentive = shares[i].incentive;
    neuron.dividends = shares[i].dividends;
    neuron.validator_trust = shares[i].validator_trust;
    neuron.emission_rao = shares[i].emission_rao;
    neurons[i].bonds = std::move(shares[i].bonds);
    BRAINLOCK_TRY(table::write_neuron(*database_, neurons[i]));
  }
  return {};
}

Result<Metagraph> EmbeddedLedger::metagraph(bool with_weights) {
  Metagraph graph;
  const Status read = at_block([&](BlockNumber block) -> Status {
    graph = {};
    graph.netuid = netuid_;
    graph.block = block;
    graph.owner_hotkey = owner_hotkey_;
    BRAINLOCK_ASSIGN(graph.parameters, table::read_parameters(*database_));
    BRAINLOCK_ASSIGN(const auto last, table::read_number(*database_, "last_epoch_block"));
    graph.last_epoch_block = static_cast<BlockNumber>(last.value_or(0));
    BRAINLOCK_ASSIGN(auto neurons, table::read_neurons(*database_));
    for (StoredNeuron& stored : neurons) {
      if (!with_weights) stored.neuron.weights.clear();
      graph.neurons.push_back(std::move(stored.neuron));
    }
    return {};
  });
  return read.ok() ? Result<Metagraph>(std::move(graph)) : Result<Metagraph>(read.error());
}

Result<std::vector<Weight>> EmbeddedLedger::weights(Uid uid) {
  BRAINLOCK_ASSIGN(Metagraph graph, metagraph(true));
  if (uid >= graph.neurons.size()) {
    return Error{ErrorCode::kNotFound,
                 "no uid " + std::to_string(uid) + " among " + std::to_string(graph.neurons.size())};
  }
  auto weights = std::move(graph.neurons[uid].weights);
  std::sort(weights.begin(), weights.end(), [](const Weight& a, const Weight& b) { return a.uid < b.uid; });
  return weights;
}

Result<Outcome> EmbeddedLedger::register_neuron(const Signer& coldkey, const AccountId& hotkey) {
  return decide_at_block([&](BlockNumber block) -> Result<Outcome> {
    BRAINLOCK_ASSIGN(const Hyperparameters parameters, table::read_parameters(*database_));
    BRAINLOCK_ASSIGN(std::vector<StoredNeuron> neurons, table::read_neurons(*database_));
    const AccountId payer = coldkey.account();
    BRAINLOCK_ASSIGN(const std::uint64_t balance, table::read_balance(*database_, payer));
    std::vector<Neuron> plain;
    for (const StoredNeuron& stored : neurons) plain.push_back(stored.neuron);
    const Outcome outcome = rules::judge_registration(plain, parameters, owner_hotkey_, hotkey, balance, block);
    if (!outcome.accepted()) return outcome;

    BRAINLOCK_TRY(table::erase_commits(*database_, *outcome.uid));
    StoredNeuron fresh;
    fresh.neuron.uid = *outcome.uid;
    fresh.neuron.hotkey = hotkey;
    fresh.neuron.coldkey = payer;
    fresh.neuron.last_update = block;
    fresh.neuron.registered_at = block;
    fresh.neuron.active = true;
    BRAINLOCK_TRY(table::write_neuron(*database_, fresh));
    if (parameters.registration_cost_rao > 0) {
      BRAINLOCK_TRY(table::write_balance(*database_, payer, balance - parameters.registration_cost_rao));
    }
    return outcome;
  });
}

Result<Outcome> EmbeddedLedger::serve_axon(const Signer& hotkey, const Axon& axon) {
  return decide_at_block([&](BlockNumber block) -> Result<Outcome> {
    BRAINLOCK_ASSIGN(const Hyperparameters parameters, table::read_parameters(*database_));
    BRAINLOCK_ASSIGN(std::vector<StoredNeuron> neurons, table::read_neurons(*database_));
    StoredNeuron* stored = find(neurons, hotkey.account());
    const Outcome outcome = rules::judge_axon(stored != nullptr ? &stored->neuron : nullptr, parameters, axon, block);
    if (!outcome.accepted() || rules::same_axon(stored->neuron.axon, axon)) return outcome;
    stored->neuron.axon = axon;
    stored->neuron.axon->ip = canonical_ip(axon.ip).value();  // judged already
    stored->neuron.axon->served_block = block;
    BRAINLOCK_TRY(table::write_neuron(*database_, *stored));
    return outcome;
  });
}

Result<Outcome> EmbeddedLedger::set_weights(const Signer& hotkey, std::span<const Weight> weights,
                                            std::uint64_t version_key) {
  return decide_at_block([&](BlockNumber block) -> Result<Outcome> {
    BRAINLOCK_ASSIGN(const Hyperparameters parameters, table::read_parameters(*database_));
    BRAINLOCK_ASSIGN(std::vector<StoredNeuron> neurons, table::read_neurons(*database_));
    StoredNeuron* stored = find(neurons, hotkey.account());
    const bool owner = owner_hotkey_ && *owner_hotkey_ == hotkey.account();
    Outcome outcome = rules::judge_vote(stored != nullptr ? &stored->neuron : nullptr, neurons.size(), parameters,
                                        owner, weights, version_key, block);
    if (!outcome.accepted()) return outcome;
    const std::vector<Weight> vote = rules::upscale(weights);
    stored->neuron.last_update = block;
    stored->neuron.active = true;
    if (parameters.commit_reveal_enabled) {
      BRAINLOCK_ASSIGN(const auto last, table::read_number(*database_, "last_epoch_block"));
      const BlockNumber due =
          static_cast<BlockNumber>(last.value_or(0)) + parameters.reveal_period_epochs * parameters.tempo;
      BRAINLOCK_TRY(table::write_commit(*database_, {stored->neuron.uid, due, vote}));
      outcome.revealed_at_block = due;
      outcome.message = "committed; counts from block " + std::to_string(due);
    } else {
      stored->neuron.weights = vote;
    }
    BRAINLOCK_TRY(table::write_neuron(*database_, *stored));
    return outcome;
  });
}

Status EmbeddedLedger::set_stake(const AccountId& hotkey, std::uint64_t stake_rao) {
  return at_block([&](BlockNumber) -> Status {
    BRAINLOCK_ASSIGN(std::vector<StoredNeuron> neurons, table::read_neurons(*database_));
    StoredNeuron* stored = find(neurons, hotkey);
    if (stored == nullptr) return Error{ErrorCode::kNotFound, "the hotkey is not registered"};
    stored->neuron.stake_rao = stake_rao;
    return table::write_neuron(*database_, *stored);
  });
}

Status EmbeddedLedger::credit(const AccountId& coldkey, std::uint64_t rao) {
  return at_block([&](BlockNumber) -> Status {
    BRAINLOCK_ASSIGN(const std::uint64_t balance, table::read_balance(*database_, coldkey));
    if (rao > UINT64_MAX - balance) return Error{ErrorCode::kInvalidArgument, "the balance would pass 2^64 rao"};
    return table::write_balance(*database_, coldkey, balance + rao);
  });
}

Result<std::uint64_t> EmbeddedLedger::balance(const AccountId& coldkey) {
  const std::lock_guard lock(mutex_);
  return table::read_balance(*database_, coldkey);
}

Status EmbeddedLedger::set_parameters(const Hyperparameters& parameters) {
  BRAINLOCK_TRY(table::check_parameters(parameters));
  return at_block([&](BlockNumber) { return table::write_parameters(*database_, parameters); });
}

}  // namespace brainlock::ledger
