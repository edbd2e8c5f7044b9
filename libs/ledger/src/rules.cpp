#include "rules.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace brainlock::ledger::rules {
namespace {

Outcome refused(Refusal why, BlockNumber block, std::string message = {}) {
  Outcome outcome;
  outcome.refusal = why;
  outcome.block = block;
  outcome.message = message.empty() ? std::string(refusal_sentence(why)) : std::move(message);
  return outcome;
}

Outcome too_soon(BlockNumber block, std::uint64_t wait) {
  Outcome outcome = refused(Refusal::kTooSoon, block, "next allowed in " + std::to_string(wait) + " blocks");
  outcome.blocks_to_wait = wait;
  return outcome;
}

Outcome accepted(BlockNumber block, Uid uid, std::string message) {
  Outcome outcome;
  outcome.block = block;
  outcome.uid = uid;
  outcome.message = std::move(message);
  return outcome;
}

/// Blocks still to wait after `last`, or 0.
std::uint64_t remaining(BlockNumber last, std::uint64_t limit, BlockNumber block) {
  if (last == 0 || limit == 0 || block >= last + limit) return 0;
  return last + limit - block;
}

}  // namespace

Outcome judge_registration(std::span<const Neuron> neurons, const Hyperparameters& parameters,
                           const std::optional<AccountId>& owner_hotkey, const AccountId& hotkey,
                           std::uint64_t balance_rao, BlockNumber block) {
  for (const Neuron& neuron : neurons) {
    if (neuron.hotkey == hotkey) {
      Outcome outcome =
          refused(Refusal::kAlreadyRegistered, block, "already registered as uid " + std::to_string(neuron.uid));
      outcome.uid = neuron.uid;
      return outcome;
    }
  }
  if (!parameters.registration_allowed) return refused(Refusal::kRegistrationClosed, block);
  if (balance_rao < parameters.registration_cost_rao) {
    return refused(Refusal::kNotEnoughBalance, block,
                   "registration costs " + std::to_string(parameters.registration_cost_rao) + " rao, the coldkey has " +
                       std::to_string(balance_rao));
  }
  if (neurons.size() < parameters.max_allowed_uids) {
    const auto uid = static_cast<Uid>(neurons.size());
    return accepted(block, uid, "registered as uid " + std::to_string(uid));
  }
  const Neuron* weakest = nullptr;
  for (const Neuron& neuron : neurons) {
    const bool immune = block < neuron.registered_at + parameters.immunity_period;
    const bool owner = owner_hotkey && neuron.hotkey == *owner_hotkey;
    if (immune || owner) continue;
    if (weakest == nullptr || neuron.emission_rao < weakest->emission_rao ||
        (neuron.emission_rao == weakest->emission_rao && neuron.registered_at < weakest->registered_at)) {
      weakest = &neuron;
    }
  }
  if (weakest == nullptr) return refused(Refusal::kSubnetFull, block);
  return accepted(block, weakest->uid,
                  "registered as uid " + std::to_string(weakest->uid) + ", replacing the neuron that earned least");
}

bool same_axon(const std::optional<Axon>& present, const Axon& wanted) {
  if (!present) return false;
  const auto ip = canonical_ip(wanted.ip);
  return ip.ok() && present->ip == *ip && present->port == wanted.port && present->version == wanted.version &&
         present->protocol == wanted.protocol;
}

Outcome judge_axon(const Neuron* neuron, const Hyperparameters& parameters, const Axon& axon, BlockNumber block) {
  if (neuron == nullptr) return refused(Refusal::kNotRegistered, block);
  const auto ip = canonical_ip(axon.ip);
  // Nobody can connect to "every address", "nobody" or "everybody".
  if (!ip.ok() || *ip == "0.0.0.0" || *ip == "::" || *ip == "255.255.255.255" || ip->starts_with("ff")) {
    return refused(Refusal::kBadAddress, block);
  }
  if (axon.port == 0) return refused(Refusal::kBadPort, block);
  if (same_axon(neuron->axon, axon)) return accepted(block, neuron->uid, "served already");
  if (neuron->axon) {
    const auto wait = remaining(neuron->axon->served_block, parameters.serving_rate_limit, block);
    if (wait > 0) return too_soon(block, wait);
  }
  return accepted(block, neuron->uid, "served");
}

Outcome judge_vote(const Neuron* neuron, std::size_t neurons, const Hyperparameters& parameters, bool owner,
                   std::span<const Weight> weights, std::uint64_t version_key, BlockNumber block) {
  const bool has_value = std::any_of(weights.begin(), weights.end(), [](const Weight& w) { return w.value > 0; });
  if (!has_value) return refused(Refusal::kNoWeights, block);
  if (neuron == nullptr) return refused(Refusal::kNotRegistered, block);
  if (!owner && neuron->stake_rao < parameters.stake_threshold_rao) {
    return refused(Refusal::kStakeTooLow, block,
                   "the stake is " + std::to_string(neuron->stake_rao) + " rao, the threshold " +
                       std::to_string(parameters.stake_threshold_rao));
  }
  if (version_key < parameters.weights_version) {
    return refused(Refusal::kVersionTooOld, block,
                   "version key " + std::to_string(version_key) + " is below the subnet's " +
                       std::to_string(parameters.weights_version));
  }
  if (const auto wait = remaining(neuron->last_update, parameters.weights_rate_limit, block); wait > 0) {
    return too_soon(block, wait);
  }
  const bool only_itself = weights.size() == 1 && weights[0].uid == neuron->uid;
  if (!neuron->validator_permit && !owner && !only_itself) return refused(Refusal::kNoPermit, block);
  std::set<Uid> seen;
  std::uint64_t total = 0;
  std::uint16_t largest = 0;
  for (const Weight& weight : weights) {
    if (!seen.insert(weight.uid).second) {
      return refused(Refusal::kDuplicateUid, block, "the vote names uid " + std::to_string(weight.uid) + " twice");
    }
    if (weight.uid >= neurons) {
      return refused(
          Refusal::kUnknownUid, block,
          "the vote names uid " + std::to_string(weight.uid) + ", the subnet has " + std::to_string(neurons));
    }
    total += weight.value;
    largest = std::max(largest, weight.value);
  }
  const std::size_t least = std::min<std::size_t>(parameters.min_allowed_weights, neurons);
  if (!only_itself && weights.size() < least) {
    return refused(
        Refusal::kTooFewWeights, block,
        "the vote names " + std::to_string(weights.size()) + " neurons, the least is " + std::to_string(least));
  }
  if (parameters.max_weights_limit < 65535 && !only_itself &&
      static_cast<std::uint64_t>(largest) * 65535 > static_cast<std::uint64_t>(parameters.max_weights_limit) * total) {
    return refused(Refusal::kWeightTooLarge, block);
  }
  return accepted(block, neuron->uid, "set");
}

std::vector<Weight> upscale(std::span<const Weight> weights) {
  std::uint32_t largest = 1;
  for (const Weight& weight : weights) largest = std::max<std::uint32_t>(largest, weight.value);
  std::vector<Weight> out;
  for (const Weight& weight : weights) {
    const std::uint32_t value = (weight.value * 65535U + largest / 2) / largest;
    if (value > 0) out.push_back({weight.uid, static_cast<std::uint16_t>(value)});
  }
  std::sort(out.begin(), out.end(), [](const Weight& a, const Weight& b) { return a.uid < b.uid; });
  return out;
}

}  // namespace brainlock::ledger::rules
