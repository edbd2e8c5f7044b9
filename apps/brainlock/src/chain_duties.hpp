// What a service on a real chain does besides its work; nothing for an embedded ledger.
#pragma once

#include <memory>
#include <thread>

#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/net/event_log.hpp"
#include "commands.hpp"
#include "node.hpp"

namespace brainlock::app {

/// kDenied, with the command that helps, when the hotkey has no uid on the chain's subnet. Embedded ledgers are not asked: their
/// services may be started first and registered later.
Status check_registered(const std::shared_ptr<ledger::Ledger>& ledger, const Hotkey& hotkey);

/// Tells the ledger where the server is. A chain that took another address a short while ago says when it takes this one: then
/// the miner serves on and announces it in time. Returns when the address is known, or with false when a signal to stop came.
Result<bool> announce_axon(const std::shared_ptr<ledger::Ledger>& ledger, const Hotkey& hotkey, const ledger::Axon& axon, const net::EventLog& log);

/// Reveals committed votes in the background, at once and every few blocks, until it is destroyed: a vote that was committed before
/// a restart is revealed by the next run.
class VoteKeeper {
 public:
  /// Logs how votes are cast on this subnet, and whether the hotkey may. Null for an embedded ledger.
  static Result<std::unique_ptr<VoteKeeper>> start(const std::shared_ptr<ledger::Ledger>& ledger, const Hotkey& hotkey, net::EventLog log);

 private:
  VoteKeeper(std::shared_ptr<chain::ChainLedger> ledger, std::shared_ptr<ledger::Signer> signer, net::EventLog log);
  void run(const std::stop_token& stop);
  std::shared_ptr<chain::ChainLedger> ledger_;
  std::shared_ptr<ledger::Signer> signer_;
  net::EventLog log_;
  std::jthread thread_;  // Last: it stops before the rest goes.
};

}  // namespace brainlock::app
