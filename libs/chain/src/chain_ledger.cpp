#include "brainlock/chain/chain_ledger.hpp"

#include <algorithm>
#include <chrono>

#include "brainlock/chain/subnet.hpp"

namespace brainlock::chain {
namespace {

constexpr std::int64_t kUsualBlockMs = 12'000;
constexpr std::int64_t kNoClockBeforeMs = 1'600'000'000'000;   // nodes whose blocks are sealed by hand count from 0

}  // namespace

Result<std::unique_ptr<ChainLedger>> ChainLedger::open(std::shared_ptr<Transport> transport, ChainLedgerOptions options) {
  std::unique_ptr<ChainLedger> ledger(new ChainLedger(std::move(transport), std::move(options)));
  BRAINLOCK_ASSIGN(const auto view, ledger->client_.best());
  BRAINLOCK_TRY(check_signing_rules(*view.metadata));
  BRAINLOCK_ASSIGN(const bool exists, subnet_exists(ledger->client_, view, ledger->options_.netuid));
  if (!exists) {
    return Error{ErrorCode::kNotFound, "the network at " + ledger->client_.rpc().transport().describe() +
                                           " has no subnet " + std::to_string(ledger->options_.netuid)};
  }
  return ledger;
}

std::string ChainLedger::describe() const {
  return "subnet " + std::to_string(options_.netuid) + " of the chain at " +
         const_cast<ChainClient&>(client_).rpc().transport().describe();
}

Result<ledger::BlockTime> ChainLedger::block_time() {
  BRAINLOCK_ASSIGN(const auto view, client_.best());
  ledger::BlockTime out;
  out.block = view.number;
  out.block_interval_ms = kUsualBlockMs;
  if (const auto slot = constant_value(*view.metadata, "Aura", "SlotDuration"); slot.ok()) {
    BRAINLOCK_ASSIGN(const auto ms, slot->as_u64());
    if (ms > 0 && ms <= 600'000) out.block_interval_ms = static_cast<std::int64_t>(ms);
  }
  out.until_next_block_ms = out.block_interval_ms;
  if (const auto now = client_.read(view, "Timestamp", "Now"); now.ok()) {
    BRAINLOCK_ASSIGN(const auto made, now->as_u64());
    const auto here = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    const auto made_ms = static_cast<std::int64_t>(std::min<std::uint64_t>(made, INT64_MAX));
    if (made_ms >= kNoClockBeforeMs) out.made_ms = made_ms;
    const std::int64_t age = here.count() - made_ms;
    out.until_next_block_ms = std::clamp<std::int64_t>(out.block_interval_ms - age, 0, out.block_interval_ms);
  }
  return out;
}

Result<ledger::Metagraph> ChainLedger::metagraph(bool with_weights) {
  BRAINLOCK_ASSIGN(const auto view, client_.best());
  return read_metagraph(client_, view, options_.netuid, with_weights);
}

Result<std::vector<ledger::Weight>> ChainLedger::weights(ledger::Uid uid) {
  BRAINLOCK_ASSIGN(const auto view, client_.best());
  return read_weights(client_, view, options_.netuid, uid);
}

Result<ledger::Outcome> ChainLedger::register_neuron(const ledger::Signer& coldkey, const ledger::AccountId& hotkey) {
  return chain::register_neuron(client_, coldkey, options_.netuid, hotkey);
}

Result<ledger::Outcome> ChainLedger::serve_axon(const ledger::Signer& hotkey, const ledger::Axon& axon) {
  return chain::serve_axon(client_, hotkey, options_.netuid, axon);
}

Result<ledger::Outcome> ChainLedger::set_weights(const ledger::Signer& hotkey, std::span<const ledger::Weight> weights,
                                                 std::uint64_t version_key) {
  const std::lock_guard lock(voting_);
  BRAINLOCK_ASSIGN(const auto view, client_.best());
  BRAINLOCK_ASSIGN(const auto scheme, vote_scheme(client_, view, options_.netuid, bool(options_.pairing)));
  switch (scheme) {
    case VoteScheme::kPlain: return set_weights_plain(client_, hotkey, options_.netuid, weights, version_key);
    case VoteScheme::kUnsupported: {
      ledger::Outcome out;
      out.refusal = ledger::Refusal::kCommitRevealOnly;
      out.message = vote_notice(scheme);
      out.block = view.number;
      return out;
    }
    case VoteScheme::kTimelocked: return commit_timelocked(client_, hotkey, options_.netuid, weights, version_key, options_.pairing);
    case VoteScheme::kHashCommit: break;
  }
  if (options_.commit_folder.empty()) {
    return Error{ErrorCode::kInvalidArgument, "this subnet takes commits, and no folder for pending votes was given"};
  }
  BRAINLOCK_ASSIGN(const auto revealed, chain::reveal_due(client_, hotkey, options_.netuid, store_));
  (void)revealed;
  return commit_weights(client_, hotkey, options_.netuid, weights, version_key, store_);
}

Result<RevealReport> ChainLedger::reveal_due(const ledger::Signer& hotkey) {
  const std::lock_guard lock(voting_);
  if (options_.commit_folder.empty()) return RevealReport{};
  return chain::reveal_due(client_, hotkey, options_.netuid, store_);
}

Result<std::string> ChainLedger::voting_notice() {
  BRAINLOCK_ASSIGN(const auto view, client_.best());
  return read_vote_notice(client_, view, options_.netuid, bool(options_.pairing));
}

}  // namespace brainlock::chain
