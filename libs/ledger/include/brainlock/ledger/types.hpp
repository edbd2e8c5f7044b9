// What miners and validators know about a subnet: accounts, neurons, addresses, weights, parameters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::ledger {

/// A 32-byte public key. Identity is these bytes and nothing else: one key has many spellings as text.
using AccountId = std::array<std::uint8_t, 32>;
using BlockNumber = std::uint64_t;
using Uid = std::uint16_t;

/// Stakes and emissions are in rao: 1e9 rao = 1 TAO (or alpha).
inline constexpr std::uint64_t kRaoPerTao = 1'000'000'000;

/// Where a neuron's server listens.
struct Axon {
  std::string ip;  ///< canonical text of an IPv4 or IPv6 address
  std::uint16_t port = 0;
  std::uint32_t version = 0;     ///< the neuron's software version, a free number
  std::uint8_t protocol = 4;     ///< a free number on the chain; 4 is what others write
  BlockNumber served_block = 0;  ///< when it was announced; filled by the ledger
  bool operator==(const Axon&) const = default;
};

/// One validator's vote for one neuron. Only ratios count; the largest of a vote is 65535 after normalisation.
struct Weight {
  Uid uid = 0;
  std::uint16_t value = 0;
  bool operator==(const Weight&) const = default;
};

/// A row of the metagraph. Fractions are stored as the chain stores them: 65535 = 1.
struct Neuron {
  Uid uid = 0;
  AccountId hotkey{};
  AccountId coldkey{};
  std::uint64_t stake_rao = 0;  ///< what permits and thresholds are judged by
  bool validator_permit = false;
  bool active = false;          ///< set weights within the activity cut-off
  std::optional<Axon> axon;     ///< absent if never served
  BlockNumber last_update = 0;  ///< block of the newest accepted weights; registration block at first
  BlockNumber registered_at = 0;
  std::uint16_t incentive = 0;        ///< part of the miners' reward (sums to about 65535)
  std::uint16_t dividends = 0;        ///< part of the validators' reward (sums to about 65535)
  std::uint16_t consensus = 0;        ///< the stake-weighted median of what validators gave it
  std::uint16_t validator_trust = 0;  ///< how much of its vote lies within consensus
  std::uint64_t emission_rao = 0;     ///< paid to it at the last epoch
  std::vector<Weight> weights;        ///< its vote as the ledger holds it; filled on request only
};

/// The rules that a subnet runs under. Defaults are the chain's usual ones.
struct Hyperparameters {
  std::uint16_t tempo = 360;               ///< blocks between epochs
  std::uint64_t weights_rate_limit = 100;  ///< blocks between two votes of one neuron
  std::uint64_t serving_rate_limit = 50;   ///< blocks between two axon announcements of one neuron; 0 = none
  std::uint16_t min_allowed_weights = 1;
  std::uint16_t max_weights_limit = 65535;  ///< largest part that one weight may have; 65535 = no limit
  std::uint16_t max_allowed_uids = 256;
  std::uint16_t max_allowed_validators = 64;
  std::uint16_t immunity_period = 4096;          ///< blocks in which a new neuron cannot be replaced
  std::uint64_t activity_cutoff = 5000;          ///< blocks after which an unchanged vote stops counting
  std::uint16_t kappa = 32767;                   ///< the majority, 65535 = everyone
  std::uint64_t bonds_moving_average = 900'000;  ///< part of the old bonds that stays, 1e6 = all
  std::uint64_t stake_threshold_rao = 0;         ///< least stake that may vote
  std::uint64_t weights_version = 0;             ///< least version key of a vote; 0 = any
  bool registration_allowed = true;
  std::uint64_t registration_cost_rao = 0;
  bool commit_reveal_enabled = false;  ///< votes are committed first and become readable later
  std::uint64_t reveal_period_epochs = 1;
};

/// A consistent picture of the subnet at one block.
struct Metagraph {
  std::uint16_t netuid = 0;
  BlockNumber block = 0;
  BlockNumber last_epoch_block = 0;
  Hyperparameters parameters;
  std::optional<AccountId> owner_hotkey;  ///< exempt from permit and threshold rules
  std::vector<Neuron> neurons;            ///< index == uid

  /// The neuron with this hotkey, or null if it is not registered.
  [[nodiscard]] const Neuron* find(const AccountId& hotkey) const;
  /// Uids of the neurons with a validator permit, most stake first, ties by uid: a *rank* that every reader of the
  /// same block agrees on.
  [[nodiscard]] std::vector<Uid> validators_by_rank() const;
  /// Block of the next epoch.
  [[nodiscard]] BlockNumber next_epoch_block() const { return last_epoch_block + parameters.tempo; }
  /// Blocks until neuron `uid` may set weights again; 0 = now. An unknown uid gives 0 (it is refused for another
  /// reason).
  [[nodiscard]] std::uint64_t blocks_until_weights_allowed(Uid uid) const;
};

/// Canonical text of an IPv4 or IPv6 literal; kInvalidArgument for anything else (also for host names).
Result<std::string> canonical_ip(std::string_view text);
/// Whether an address is loopback, private, link-local, multicast, unspecified or otherwise not of the public internet:
/// a validator that takes addresses from strangers must not be steered into its own network. Not an address -> true.
bool is_non_public_ip(std::string_view text);

/// Turns scores (any scale) into a vote: v = round-half-even(score / max * 65535), uids are the indices, zeros are left
/// out. An empty result means "nothing to say". kInvalidArgument for a negative, NaN or infinite score or more than
/// 65536 of them.
Result<std::vector<Weight>> quantise_weights(std::span<const double> scores);

/// A vote of `self` as the subnet's rules take it, changed as little as they allow; a subnet without such rules leaves it alone. Weights above
/// max_weights_limit of all are cut to it, the others kept in proportion. Where it names fewer than min_allowed_weights, the smallest weight
/// there is goes to as many others, those that serve an address first. In uid order; empty stays empty. What no vote can meet (a
/// limit of a third with two neurons) is left for the ledger to refuse.
std::vector<Weight> fit_vote(std::vector<Weight> weights, const Metagraph& metagraph, Uid self);

}  // namespace brainlock::ledger
