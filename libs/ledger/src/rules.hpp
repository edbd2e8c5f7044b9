// What a ledger accepts, as pure functions: the chain's checks in the chain's order.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "brainlock/ledger/ledger.hpp"

namespace brainlock::ledger::rules {

/// A place for `hotkey`: a free uid, or the one with the least emission that is not immune (ties: the older one).
Outcome judge_registration(std::span<const Neuron> neurons, const Hyperparameters& parameters,
                           const std::optional<AccountId>& owner_hotkey, const AccountId& hotkey,
                           std::uint64_t balance_rao, BlockNumber block);

/// `neuron` is null for an unregistered hotkey.
Outcome judge_axon(const Neuron* neuron, const Hyperparameters& parameters, const Axon& axon, BlockNumber block);

/// Equal but for the block.
bool same_axon(const std::optional<Axon>& present, const Axon& wanted);

Outcome judge_vote(const Neuron* neuron, std::size_t neurons, const Hyperparameters& parameters, bool owner,
                   std::span<const Weight> weights, std::uint64_t version_key, BlockNumber block);

/// The vote with its largest value at 65535, zeros left out, in uid order.
std::vector<Weight> upscale(std::span<const Weight> weights);

}  // namespace brainlock::ledger::rules
