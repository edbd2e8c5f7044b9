// What facts mean: pure functions, apart from the looking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/doctor/setup.hpp"
#include "brainlock/ledger/types.hpp"
#include "brainlock/miner/fhe_engine.hpp"

namespace brainlock::doctor {

// The machine.
Finding judge_kernels(const MachineFacts& machine);
Finding judge_processors(const MachineFacts& machine, unsigned threads);
Finding judge_limits(const MachineFacts& machine, Role role);
/// Without packages: what there is.
Finding judge_memory(const MachineFacts& machine);
/// `running`: the miner runs already, so that its own memory is not among what is available.
Finding judge_miner_memory(const MachineFacts& machine, const miner::RamForecast& need, double max_ram_gb, unsigned in_flight, bool running);
Finding judge_validator_memory(const MachineFacts& machine, std::uint64_t key_bytes);
/// `devices` as --device takes it; `need`: of what is to be served, absent where that is not known.
Finding judge_gpus(const MachineFacts& machine, const std::string& devices, const std::optional<miner::RamForecast>& need);
/// `free_bytes` where the data go; `key_bytes`: of the largest key file.
Finding judge_disk(Role role, const std::string& folder, std::uint64_t free_bytes, std::uint64_t free_files, std::uint64_t key_bytes);

// The clock.
struct ClockEvidence {
  std::optional<bool> synchronised;             ///< the kernel's word
  std::optional<std::int64_t> date_offset_ms;   ///< this clock less a server's, in whole seconds
  std::optional<std::int64_t> block_age_ms;     ///< this clock less the newest block's time
  std::int64_t block_interval_ms = 12'000;
};
Finding judge_clock(const ClockEvidence& evidence);

// The network.
/// "a private address", "a loop-back address", ...; empty for one of the public internet.
std::string non_public_kind(std::string_view ip);
Finding judge_address(const Setup& setup, const std::vector<std::string>& own_addresses);

// The subnet.
Finding judge_registration(const Setup& setup, const ledger::Metagraph& graph, const ledger::AccountId& account);
Finding judge_permit(const ledger::Metagraph& graph, const ledger::Neuron& neuron);
/// `running`: the miner runs, so that it should have announced its address.
Finding judge_axon(const Setup& setup, const ledger::Metagraph& graph, const ledger::Neuron& neuron, bool running);

struct VoteEvidence {
  std::size_t weights = 0;                      ///< of the vote that the ledger holds
  std::size_t pending_commits = 0;              ///< on disk, waiting for their reveal
  bool running = false;                         ///< the validator's page answers
  std::uint64_t version_key = 0;
  std::string how;                              ///< how votes are cast; empty where the ledger has one way only
  bool impossible = false;                      ///< in no way that this program knows
  std::optional<store::VoteRow> last;           ///< as the store has it
};
Finding judge_votes(const ledger::Metagraph& graph, const ledger::Neuron& neuron, const VoteEvidence& evidence);

}  // namespace brainlock::doctor
