// Clock, address, registration, permit, axon, votes.
#include <algorithm>
#include <cstdlib>

#include "brainlock/crypto/ss58.hpp"
#include "brainlock/protocol/epistula.hpp"
#include "judge.hpp"
#include "text.hpp"

namespace brainlock::doctor {
namespace {

constexpr std::int64_t kDateTrust = 3'000;      ///< whole seconds, and the way there and back
constexpr std::int64_t kAuthorTrust = 2'000;    ///< how far the clock of a block's author may be off, in our favour
constexpr const char* kSetClock = "`timedatectl set-ntp true`, or chrony; `timedatectl` shows its state";

std::string where(const std::string& ip, std::uint16_t port) {
  return (ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + std::to_string(port);
}

std::string wallet_options(const Setup& setup) { return "--wallet.name " + setup.wallet + " --wallet.hotkey " + setup.hotkey; }

std::uint64_t blocks_since(const ledger::Metagraph& graph, ledger::BlockNumber then) { return graph.block > then ? graph.block - then : 0; }

}  // namespace

Finding judge_clock(const ClockEvidence& evidence) {
  const std::int64_t window = protocol::kTimeWindowMs;
  const std::string refused = "; a request further off than " + std::to_string(window / 1000) + " s is refused";
  if (evidence.date_offset_ms) {
    const std::int64_t offset = *evidence.date_offset_ms;
    const std::string text = "this clock is " + duration_text(offset) + (offset > 0 ? " ahead of" : " behind") + " that of the chain's endpoint";
    if (std::abs(offset) > window) return failure(text + refused, kSetClock);
    if (std::abs(offset) > kDateTrust) return warning(text + refused, kSetClock);
  }
  if (evidence.block_age_ms && *evidence.block_age_ms < -kAuthorTrust) {
    const std::string text = "this clock is at least " + duration_text(*evidence.block_age_ms) + " behind: the chain's newest block is from its future";
    return *evidence.block_age_ms < -window ? failure(text + refused, kSetClock) : warning(text + refused, kSetClock);
  }
  if (evidence.block_age_ms && *evidence.block_age_ms > 3 * evidence.block_interval_ms + window) {
    const std::string age = duration_text(*evidence.block_age_ms);
    if (evidence.date_offset_ms || evidence.synchronised.value_or(false)) {
      return warning("the clock is right, but the node's newest block is " + age + " old: the node is behind", "wait until it has caught up, or name another by --endpoint");
    }
    const std::string text = "the chain's newest block is " + age + " old by this clock: the clock is ahead, or the node is behind";
    return *evidence.block_age_ms > 10 * evidence.block_interval_ms ? failure(text, std::string(kSetClock) + "; or another --endpoint") : warning(text, std::string(kSetClock) + "; or another --endpoint");
  }
  std::string agrees;
  if (evidence.date_offset_ms) agrees = "within " + duration_text(std::abs(*evidence.date_offset_ms) + 1000) + " of the chain's endpoint";
  if (evidence.block_age_ms) agrees += (agrees.empty() ? "newest block " : ", newest block ") + duration_text(*evidence.block_age_ms) + " old";
  if (evidence.synchronised.value_or(false)) return ok(agrees.empty() ? "kept by a time service, says the kernel" : agrees + ", kept by a time service");
  const std::string kept = evidence.synchronised ? "no time service keeps it, says the kernel" : "the kernel does not say whether a time service keeps it";
  if (agrees.empty()) return warning("nothing to compare with, and " + kept, kSetClock);
  if (!evidence.synchronised) return ok(agrees);
  return warning(agrees + "; but " + kept, kSetClock);
}

std::string non_public_kind(std::string_view ip) {
  if (!ledger::is_non_public_ip(ip)) return {};
  const std::string text(ip);
  const auto begins = [&](std::string_view prefix) { return text.starts_with(prefix); };
  unsigned a = 0, b = 0;
  if (std::sscanf(text.c_str(), "%u.%u.", &a, &b) == 2) {
    if (a == 127) return "a loop-back address";
    if (a == 100 && b >= 64 && b < 128) return "an address of a provider's own network (carrier-grade NAT)";
    if (a == 10 || (a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168)) return "a private address";
    if (a == 169 && b == 254) return "a link-local address";
    return "no address of the public internet";
  }
  if (text == "::1") return "a loop-back address";
  if (begins("fc") || begins("fd")) return "a private address";
  if (begins("fe8") || begins("fe9") || begins("fea") || begins("feb")) return "a link-local address";
  return "no address of the public internet";
}

Finding judge_address(const Setup& setup, const std::vector<std::string>& own_addresses) {
  const auto& miner = setup.miner;
  const bool on_chain = setup.ledger_file.empty();
  if (miner.external_ip.empty() && !miner.proxies.empty()) return ok("no address is announced here: one machine behind the proxy does it for all, or `brainlock subnet axon`");
  if (miner.external_ip.empty()) {
    return warning("no address is announced: validators find this miner only if the ledger has one from before", "--external-ip ADDRESS, the public address of this machine");
  }
  const auto ip = ledger::canonical_ip(miner.external_ip);
  if (!ip.ok()) return failure("--external-ip " + miner.external_ip + " is not an IP address", "--external-ip takes an IPv4 or IPv6 address, no name");
  const std::uint16_t port = miner.external_port != 0 ? miner.external_port : miner.port;
  const std::string kind = non_public_kind(*ip);
  if (!kind.empty() && on_chain) {
    return failure(where(*ip, port) + " is " + kind + ": nobody outside can reach it", "--external-ip with the public address that your provider or router shows");
  }
  if (!kind.empty()) return ok(where(*ip, port) + " is " + kind + ", as an embedded ledger takes it");
  const bool own = std::find(own_addresses.begin(), own_addresses.end(), *ip) != own_addresses.end();
  const std::string between = miner.proxies.empty() ? "a router" : "the proxy";
  return ok(where(*ip, port) + (own ? " is an address of this machine" : " is on no interface here: " + between + " has to pass port " + std::to_string(port) + " on to port " + std::to_string(miner.port)));
}

Finding judge_registration(const Setup& setup, const ledger::Metagraph& graph, const ledger::AccountId& account) {
  const auto* neuron = graph.find(account);
  if (neuron != nullptr) return ok("uid " + std::to_string(neuron->uid) + " of subnet " + std::to_string(graph.netuid) + ", since block " + std::to_string(neuron->registered_at));
  const std::string network = setup.ledger_file.empty() ? " --endpoint " + setup.endpoints + " --netuid " + std::to_string(setup.netuid) : "";
  return failure("hotkey " + crypto::ss58_encode(account) + " is not registered on subnet " + std::to_string(graph.netuid),
                 setup.ledger_file.empty() ? "`brainlock subnet register" + network + " " + wallet_options(setup) + "`" : "register it on that ledger");
}

Finding judge_permit(const ledger::Metagraph& graph, const ledger::Neuron& neuron) {
  const std::string stake = "stake " + tao_text(neuron.stake_rao) + " TAO";
  if (graph.owner_hotkey == neuron.hotkey) return ok("the subnet's owner needs none; " + stake);
  if (neuron.validator_permit) return ok("validator permit, " + stake);
  std::uint64_t least = UINT64_MAX;
  std::size_t permits = 0;
  for (const auto& other : graph.neurons) {
    if (!other.validator_permit) continue;
    ++permits;
    least = std::min(least, other.stake_rao);
  }
  std::string found = "no validator permit: votes and questions are refused; " + stake + ", threshold " + tao_text(graph.parameters.stake_threshold_rao) + ", " + std::to_string(permits) + " of " +
                      std::to_string(graph.parameters.max_allowed_validators) + " permits taken";
  if (permits > 0) found += ", the least with " + tao_text(least);
  return failure(found, "more stake on the hotkey; permits are given anew at block " + std::to_string(graph.next_epoch_block()));
}

Finding judge_axon(const Setup& setup, const ledger::Metagraph& graph, const ledger::Neuron& neuron, bool running) {
  const std::string has = neuron.axon ? where(neuron.axon->ip, neuron.axon->port) : "";
  if (setup.role == Role::kValidator) {
    if (!neuron.axon) return ok("no address, as for a validator");
    return warning("the ledger has " + has + " for this hotkey: other validators take it for a miner", "give the validator a hotkey of its own, apart from the miner's");
  }
  if (setup.miner.external_ip.empty()) {
    if (!neuron.axon) return skipped("no address is announced");
    return ok("the ledger has " + has + " from before");
  }
  const auto ip = ledger::canonical_ip(setup.miner.external_ip);
  const std::uint16_t port = setup.miner.external_port != 0 ? setup.miner.external_port : setup.miner.port;
  const std::string ours = where(ip.ok() ? *ip : setup.miner.external_ip, port);
  if (has == ours) return ok("the ledger has " + ours + " since block " + std::to_string(neuron.axon->served_block));
  if (neuron.axon) {
    return failure("the ledger sends validators to " + has + ", this set-up announces " + ours,
                   "start the miner anew: it announces its address, at most every " + std::to_string(graph.parameters.serving_rate_limit) + " blocks; or correct --external-ip");
  }
  if (running) return failure("the miner runs, and the ledger has no address for it", "its log says why (address_failed, address_waits); start it anew with --external-ip");
  return warning("the ledger has no address yet", "the miner announces " + ours + " when it starts");
}

Finding judge_votes(const ledger::Metagraph& graph, const ledger::Neuron& neuron, const VoteEvidence& evidence) {
  if (evidence.impossible) return failure("this program cannot vote here: " + evidence.how, "a newer brainlock, and brainlock-pairing beside it");
  if (evidence.version_key < graph.parameters.weights_version) {
    return failure("the subnet takes votes of version key " + std::to_string(graph.parameters.weights_version) + " or newer, this set-up gives " + std::to_string(evidence.version_key),
                   "--version-key " + std::to_string(graph.parameters.weights_version));
  }
  const std::uint64_t age = blocks_since(graph, neuron.last_update), wait = graph.blocks_until_weights_allowed(neuron.uid);
  const std::string next = wait == 0 ? "the next is allowed now" : "the next is allowed in " + std::to_string(wait) + " blocks";
  const std::string how = evidence.how.empty() ? "" : "; " + evidence.how;
  const std::string pending = evidence.pending_commits == 0 ? "" : ", " + std::to_string(evidence.pending_commits) + " wait for their reveal";
  const std::string look = "`journalctl -u brainlock-validator -o cat | grep -E ' vote|no_vote|vote_failed '` says why";
  const bool refused = evidence.last && !evidence.last->accepted;
  const std::string reason = refused ? "; the last try, at block " + std::to_string(evidence.last->block) + ", was refused: " + evidence.last->reason + " " + evidence.last->detail : "";
  if (evidence.weights == 0 && evidence.pending_commits == 0) {
    const std::string found = "no vote on the ledger" + reason + "; " + next + how;
    if (!evidence.running) return warning(found, refused ? look : "the validator votes when a miner has a score");
    return warning(found, look);
  }
  if (age > graph.parameters.activity_cutoff) {
    const std::string found = "the last vote is " + std::to_string(age) + " blocks old: it stopped counting after " + std::to_string(graph.parameters.activity_cutoff) + reason + "; " + next;
    return evidence.running ? failure(found, look) : warning(found, "start the validator; it votes when a miner has a score");
  }
  if (refused) return warning("the ledger has a vote of " + std::to_string(evidence.weights) + " weights, " + std::to_string(age) + " blocks old" + reason + "; " + next, look);
  return ok("a vote of " + std::to_string(evidence.weights) + " weights, " + std::to_string(age) + " blocks old" + pending + "; " + next + how);
}

}  // namespace brainlock::doctor
