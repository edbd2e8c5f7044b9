// Operations of a subnet: what is read, and the four things that miners and validators write.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/chain/client.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::chain {

/// Whether the network has the subnet. Every reader below takes it for granted.
[[nodiscard]] Result<bool> subnet_exists(ChainClient& client, const BlockView& view, std::uint16_t netuid);

/// The rules of a subnet, from storage; items that a runtime lacks keep the usual value.
[[nodiscard]] Result<ledger::Hyperparameters> read_hyperparameters(ChainClient& client, const BlockView& view,
                                                                   std::uint16_t netuid);

/// All neurons at one block. One runtime call where the metadata describes it (version 15 and newer) and the node answers it in a
/// shape that is known, plain storage otherwise; then stake_rao is the hotkey's own alpha and weighted root stake, without what
/// other hotkeys pass on to it. Votes are read on request. kNotFound for an unknown subnet.
[[nodiscard]] Result<ledger::Metagraph> read_metagraph(ChainClient& client, const BlockView& view, std::uint16_t netuid,
                                                       bool with_weights);

/// Every hyperparameter-like item of the subnet as the runtime names it, for people: (name, JSON) pairs.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> list_hyperparameters(ChainClient& client,
                                                                                            const BlockView& view,
                                                                                            std::uint16_t netuid);

/// The uid of a hotkey; absent when it is not registered.
[[nodiscard]] Result<std::optional<ledger::Uid>> read_uid(ChainClient& client, const BlockView& view,
                                                          std::uint16_t netuid, const crypto::AccountId& hotkey);
[[nodiscard]] Result<std::optional<ledger::Axon>> read_axon(ChainClient& client, const BlockView& view,
                                                            std::uint16_t netuid, const crypto::AccountId& hotkey);
[[nodiscard]] Result<std::vector<ledger::Weight>> read_weights(ChainClient& client, const BlockView& view,
                                                               std::uint16_t netuid, ledger::Uid uid);
/// Free balance of an account in rao.
[[nodiscard]] Result<std::uint64_t> read_balance(ChainClient& client, const BlockView& view,
                                                 const crypto::AccountId& account);

/// Registers a hotkey, paid and owned by `coldkey`. With `limit_rao` the price may not be above it: by the chain's own
/// check where the runtime has one, else by comparing the price at the best block just before sending. Confirmed by
/// reading the uid in the block of inclusion.
[[nodiscard]] Result<ledger::Outcome> register_neuron(ChainClient& client, const ledger::Signer& coldkey,
                                                      std::uint16_t netuid, const crypto::AccountId& hotkey,
                                                      std::optional<std::uint64_t> limit_rao = {});

/// Announces an address; sends nothing when the chain has the same one. Confirmed by reading it back.
[[nodiscard]] Result<ledger::Outcome> serve_axon(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                                                 const ledger::Axon& axon);

/// Sets weights in the clear; refused by the chain where commit-reveal is on. The vote is checked against the metagraph
/// first, so that the usual refusals cost nothing and say how long to wait. Confirmed by reading the row back.
[[nodiscard]] Result<ledger::Outcome> set_weights_plain(ChainClient& client, const ledger::Signer& hotkey,
                                                        std::uint16_t netuid, std::span<const ledger::Weight> weights,
                                                        std::uint64_t version_key);

/// Why a vote would be refused at this metagraph, with the blocks to wait; an accepted Outcome when nothing speaks against it.
[[nodiscard]] ledger::Outcome judge_vote(const ledger::Metagraph& metagraph, const crypto::AccountId& hotkey,
                                         std::span<const ledger::Weight> weights, std::uint64_t version_key);

/// IP text to the chain's integer form, and back. kInvalidArgument for anything that is not an address.
struct ChainIp {
  U128 value = 0;
  std::uint8_t type = 4;  ///< 4 or 6
};
[[nodiscard]] Result<ChainIp> ip_to_chain(std::string_view text);
[[nodiscard]] Result<std::string> ip_from_chain(const ChainIp& ip);

/// A Submission as a ledger Outcome (refusal, message, block).
[[nodiscard]] ledger::Outcome outcome_of(const Submission& submission);

}  // namespace brainlock::chain
