// The ledger interface over a real chain.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "brainlock/chain/client.hpp"
#include "brainlock/chain/commit_reveal.hpp"
#include "brainlock/chain/timelocked_vote.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::chain {

struct ChainLedgerOptions {
  std::uint16_t netuid = 0;
  std::filesystem::path commit_folder;  ///< where pending votes are kept; needed by validators
  PairingFunction pairing = {};         ///< for sealed votes; empty: votes are never sealed
};

/// A subnet of a Substrate chain as miners and validators see it. Every call reads or writes over the network.
class ChainLedger final : public ledger::Ledger {
 public:
  /// Reads the network once, so that a wrong endpoint, an unknown subnet (kNotFound) or a runtime that cannot be signed for
  /// (kUnsupported) shows at start-up.
  [[nodiscard]] static Result<std::unique_ptr<ChainLedger>> open(std::shared_ptr<Transport> transport,
                                                                 ChainLedgerOptions options);

  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] std::uint16_t netuid() const override { return options_.netuid; }
  [[nodiscard]] Result<ledger::BlockTime> block_time() override;
  [[nodiscard]] Result<ledger::Metagraph> metagraph(bool with_weights = false) override;
  [[nodiscard]] Result<std::vector<ledger::Weight>> weights(ledger::Uid uid) override;
  [[nodiscard]] Result<ledger::Outcome> register_neuron(const ledger::Signer& coldkey,
                                                        const ledger::AccountId& hotkey) override;
  [[nodiscard]] Result<ledger::Outcome> serve_axon(const ledger::Signer& hotkey, const ledger::Axon& axon) override;
  /// Reveals earlier commits that are due, then sets or commits the vote.
  [[nodiscard]] Result<ledger::Outcome> set_weights(const ledger::Signer& hotkey,
                                                    std::span<const ledger::Weight> weights,
                                                    std::uint64_t version_key) override;

  /// Reveals commits that are due; a validator calls it at start-up and every few blocks.
  [[nodiscard]] Result<RevealReport> reveal_due(const ledger::Signer& hotkey);
  /// What a validator should know about voting here; see read_vote_notice().
  [[nodiscard]] Result<std::string> voting_notice();
  [[nodiscard]] ChainClient& client() { return client_; }

 private:
  ChainLedger(std::shared_ptr<Transport> transport, ChainLedgerOptions options)
      : client_(std::move(transport)), options_(std::move(options)), store_(options_.commit_folder) {}
  ChainClient client_;
  ChainLedgerOptions options_;
  CommitStore store_;
  std::mutex voting_;  // One vote or reveal at a time: they share nonces and files.
};

}  // namespace brainlock::chain
