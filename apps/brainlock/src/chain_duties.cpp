#include "chain_duties.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace brainlock::app {
namespace {

constexpr std::int64_t kRetryMs = 60'000;
constexpr std::int64_t kBlocksBetweenReveals = 3;

}  // namespace

Status check_registered(const std::shared_ptr<ledger::Ledger>& ledger, const Hotkey& hotkey) {
  const auto on_chain = std::dynamic_pointer_cast<chain::ChainLedger>(ledger);
  if (!on_chain) return {};
  BRAINLOCK_ASSIGN(const auto graph, on_chain->metagraph());
  if (graph.find(hotkey.ledger_signer->account()) != nullptr) return {};
  return Error{ErrorCode::kDenied, "hotkey " + crypto::ss58_encode(hotkey.ledger_signer->account()) + " is not registered on " + ledger->describe() +
                                       "; `brainlock subnet register --netuid " + std::to_string(ledger->netuid()) + "` does that"};
}

Result<bool> announce_axon(const std::shared_ptr<ledger::Ledger>& ledger, const Hotkey& hotkey, const ledger::Axon& axon, const net::EventLog& log) {
  for (bool first = true;; first = false) {
    std::int64_t wait_ms = kRetryMs;
    const auto served = ledger->serve_axon(*hotkey.ledger_signer, axon);
    if (!served.ok()) {
      if (first) return served.error();
      net::log_event(log, net::EventLevel::kWarning, "address_failed", {{"error", served.error().to_string()}});
    } else if (served->accepted()) {
      net::log_event(log, "address_announced", {{"ip", axon.ip}, {"port", std::to_string(axon.port)}, {"block", std::to_string(served->block)}});
      return true;
    } else if (served->refusal != ledger::Refusal::kTooSoon) {
      return Error{ErrorCode::kDenied, "the ledger does not take the address: " + std::string(ledger::refusal_sentence(served->refusal)) + " " + served->message};
    } else {
      net::log_event(log, net::EventLevel::kWarning, "address_waits", {{"reason", served->message}});
      if (const auto time = ledger->block_time(); time.ok()) {
        wait_ms = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min<std::uint64_t>(served->blocks_to_wait, 100'000))) * time->block_interval_ms;
      }
    }
    if (wait_for_signal(wait_ms)) return false;
  }
}

VoteKeeper::VoteKeeper(std::shared_ptr<chain::ChainLedger> ledger, std::shared_ptr<ledger::Signer> signer, net::EventLog log)
    : ledger_(std::move(ledger)), signer_(std::move(signer)), log_(std::move(log)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Result<std::unique_ptr<VoteKeeper>> VoteKeeper::start(const std::shared_ptr<ledger::Ledger>& ledger, const Hotkey& hotkey, net::EventLog log) {
  auto on_chain = std::dynamic_pointer_cast<chain::ChainLedger>(ledger);
  if (!on_chain) return std::unique_ptr<VoteKeeper>{};
  BRAINLOCK_ASSIGN(const auto notice, on_chain->voting_notice());
  net::log_event(log, "voting", {{"ledger", ledger->describe()}, {"how", notice}});
  BRAINLOCK_ASSIGN(const auto graph, on_chain->metagraph());
  const auto* neuron = graph.find(hotkey.ledger_signer->account());
  if (neuron != nullptr && !neuron->validator_permit && graph.owner_hotkey != neuron->hotkey) {
    net::log_event(log, net::EventLevel::kWarning, "no_permit", {{"uid", std::to_string(neuron->uid)},
                                      {"advice", std::string(ledger::refusal_sentence(ledger::Refusal::kNoPermit)) +
                                                     " Votes are refused until the hotkey has stake enough to be among the subnet's validators."}});
  }
  return std::unique_ptr<VoteKeeper>(new VoteKeeper(std::move(on_chain), hotkey.ledger_signer, std::move(log)));
}

void VoteKeeper::run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    std::int64_t interval_ms = 12'000;
    const auto report = ledger_->reveal_due(*signer_);
    if (report.ok()) {
      for (const auto& message : report->messages) net::log_event(log_, "reveal", {{"message", message}});
    } else {
      net::log_event(log_, net::EventLevel::kWarning, "reveal_failed", {{"error", report.error().to_string()}});
    }
    if (const auto time = ledger_->block_time(); time.ok()) interval_ms = time->block_interval_ms;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, std::chrono::milliseconds(std::clamp<std::int64_t>(kBlocksBetweenReveals * interval_ms, 1'000, kRetryMs)),
                  [] { return false; });
  }
}

}  // namespace brainlock::app
