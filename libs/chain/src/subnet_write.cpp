// The transactions of miners and validators, each confirmed by reading back what it must change.
#include <algorithm>
#include <set>

#include "brainlock/chain/subnet.hpp"

namespace brainlock::chain {
namespace {

using ledger::Outcome;
using ledger::Refusal;

constexpr const char* kPallet = "SubtensorModule";

Outcome refuse(Refusal refusal, std::string message, std::uint64_t block, std::uint64_t wait = 0) {
  Outcome out;
  out.refusal = refusal;
  out.message = std::move(message);
  out.block = block;
  out.blocks_to_wait = wait;
  return out;
}

std::string next_allowed(std::uint64_t blocks) { return "next allowed in " + std::to_string(blocks) + " blocks"; }

// Included and without a failure event, yet the storage does not show it.
Error not_confirmed(std::string_view what, std::uint64_t block) {
  return {ErrorCode::kInternal,
          "the transaction is in block " + std::to_string(block) + " but the chain does not show " + std::string(what)};
}

}  // namespace

Outcome outcome_of(const Submission& submission) {
  Outcome out;
  out.block = submission.block_number;
  if (submission.refusal) {
    out.refusal = submission.refusal->refusal;
    out.message = submission.refusal->to_string();
  }
  return out;
}

Result<Outcome> register_neuron(ChainClient& client, const ledger::Signer& coldkey, std::uint16_t netuid,
                                const crypto::AccountId& hotkey, std::optional<std::uint64_t> limit_rao) {
  BRAINLOCK_ASSIGN(const auto view, client.best());
  BRAINLOCK_ASSIGN(const bool exists, subnet_exists(client, view, netuid));
  if (!exists) return refuse(Refusal::kSubnetUnknown, "the network has no subnet " + std::to_string(netuid), view.number);
  BRAINLOCK_ASSIGN(const auto registered, read_uid(client, view, netuid, hotkey));
  if (registered) {
    auto out = refuse(Refusal::kAlreadyRegistered, "the hotkey has uid " + std::to_string(*registered), view.number);
    out.uid = registered;
    return out;
  }
  BRAINLOCK_ASSIGN(const auto rules, read_hyperparameters(client, view, netuid));
  if (!rules.registration_allowed) return refuse(Refusal::kRegistrationClosed, "registration is closed", view.number);
  if (limit_rao && rules.registration_cost_rao > *limit_rao) {
    return refuse(Refusal::kOther,
                  "the price of " + std::to_string(rules.registration_cost_rao) + " rao is above the limit of " +
                      std::to_string(*limit_rao),
                  view.number);
  }
  BRAINLOCK_ASSIGN(const auto balance, read_balance(client, view, coldkey.account()));
  if (balance < rules.registration_cost_rao) {
    return refuse(Refusal::kNotEnoughBalance,
                  "registration costs " + std::to_string(rules.registration_cost_rao) + " rao, the coldkey has " +
                      std::to_string(balance),
                  view.number);
  }
  const Arguments plain{{"netuid", Value::number(netuid)}, {"hotkey", Value::bytes(hotkey)}};
  Arguments limited = plain;
  limited.emplace_back("limit_price", Value::number(limit_rao.value_or(0)));
  // Where the runtime has no such call, or one of another shape, the comparison above is the limit.
  const bool chain_limits = limit_rao && encode_call(*view.metadata, kPallet, "register_limit", limited).ok();
  BRAINLOCK_ASSIGN(const auto sent, client.submit(coldkey, kPallet, chain_limits ? "register_limit" : "burned_register", chain_limits ? limited : plain));
  Outcome out = outcome_of(sent);
  if (!out.accepted()) return out;
  BRAINLOCK_ASSIGN(const auto after, client.at(sent.block));
  BRAINLOCK_ASSIGN(out.uid, read_uid(client, after, netuid, hotkey));
  if (!out.uid) return not_confirmed("a uid of the hotkey", sent.block_number);
  out.message = "registered with uid " + std::to_string(*out.uid);
  return out;
}

Result<Outcome> serve_axon(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                           const ledger::Axon& axon) {
  BRAINLOCK_ASSIGN(const auto view, client.best());
  auto parsed = ip_to_chain(axon.ip);
  if (!parsed.ok()) return refuse(Refusal::kBadAddress, parsed.error().message, view.number);
  if (axon.port == 0) return refuse(Refusal::kBadPort, "port 0 cannot be announced", view.number);
  BRAINLOCK_ASSIGN(const auto uid, read_uid(client, view, netuid, hotkey.account()));
  if (!uid) return refuse(Refusal::kNotRegistered, "the hotkey is not registered on this subnet", view.number);
  const auto same = [&](const std::optional<ledger::Axon>& other) {
    if (!other) return false;
    const auto ip = ip_to_chain(other->ip);
    return ip.ok() && ip->value == parsed->value && ip->type == parsed->type && other->port == axon.port &&
           other->version == axon.version && other->protocol == axon.protocol;
  };
  BRAINLOCK_ASSIGN(const auto present, read_axon(client, view, netuid, hotkey.account()));
  if (same(present)) {
    Outcome out;
    out.block = view.number;
    out.uid = uid;
    out.message = "the chain has this address already";
    return out;
  }
  BRAINLOCK_ASSIGN(const auto rules, read_hyperparameters(client, view, netuid));
  // What is sent now is applied in the next block.
  if (present && rules.serving_rate_limit > 0 && view.number + 1 < present->served_block + rules.serving_rate_limit) {
    const auto wait = present->served_block + rules.serving_rate_limit - (view.number + 1);
    return refuse(Refusal::kTooSoon, next_allowed(wait), view.number, wait);
  }
  const Arguments arguments{{"netuid", Value::number(netuid)},       {"version", Value::number(axon.version)},
                            {"ip", Value::number(parsed->value)},    {"port", Value::number(axon.port)},
                            {"ip_type", Value::number(parsed->type)}, {"protocol", Value::number(axon.protocol)},
                            {"placeholder1", Value::number(0)},      {"placeholder2", Value::number(0)}};
  BRAINLOCK_ASSIGN(const auto sent, client.submit(hotkey, kPallet, "serve_axon", arguments));
  Outcome out = outcome_of(sent);
  out.uid = uid;
  if (!out.accepted()) return out;
  BRAINLOCK_ASSIGN(const auto after, client.at(sent.block));
  BRAINLOCK_ASSIGN(const auto stored, read_axon(client, after, netuid, hotkey.account()));
  if (!same(stored)) return not_confirmed("the new address", sent.block_number);
  return out;
}

Outcome judge_vote(const ledger::Metagraph& graph, const crypto::AccountId& hotkey,
                   std::span<const ledger::Weight> weights, std::uint64_t version_key) {
  const auto& rules = graph.parameters;
  const auto no = [&](Refusal refusal, std::string message, std::uint64_t wait = 0) {
    return refuse(refusal, std::move(message), graph.block, wait);
  };
  const auto* neuron = graph.find(hotkey);
  if (neuron == nullptr) return no(Refusal::kNotRegistered, "the hotkey is not registered on this subnet");
  const bool owner = graph.owner_hotkey == hotkey;
  const bool self_only = weights.size() == 1 && weights.front().uid == neuron->uid;
  std::uint16_t largest = 0;
  std::uint64_t total = 0;
  std::set<ledger::Uid> seen;
  for (const auto& weight : weights) {
    largest = std::max(largest, weight.value);
    total += weight.value;
    if (!seen.insert(weight.uid).second) return no(Refusal::kDuplicateUid, "uid " + std::to_string(weight.uid) + " appears twice");
    if (weight.uid >= graph.neurons.size()) return no(Refusal::kUnknownUid, "there is no uid " + std::to_string(weight.uid));
  }
  if (largest == 0) return no(Refusal::kNoWeights, "every weight is zero");
  if (!owner && neuron->stake_rao < rules.stake_threshold_rao) {
    return no(Refusal::kStakeTooLow, "stake is " + std::to_string(neuron->stake_rao) + " rao, the threshold " +
                                         std::to_string(rules.stake_threshold_rao));
  }
  if (rules.weights_version != 0 && version_key < rules.weights_version) {
    return no(Refusal::kVersionTooOld, "version key " + std::to_string(version_key) + " is below the subnet's " +
                                           std::to_string(rules.weights_version));
  }
  // A vote that is sent now is applied in the next block.
  if (const auto wait = graph.blocks_until_weights_allowed(neuron->uid); wait > 1) {
    return no(Refusal::kTooSoon, next_allowed(wait - 1), wait - 1);
  }
  if (!owner && !self_only && !neuron->validator_permit) {
    return no(Refusal::kNoPermit, "the hotkey has no validator permit");
  }
  const auto least = std::min<std::size_t>(rules.min_allowed_weights, graph.neurons.size());
  if (!self_only && weights.size() < least) {
    return no(Refusal::kTooFewWeights, std::to_string(weights.size()) + " weights, at least " + std::to_string(least) + " are wanted");
  }
  // Here above all because a commit is taken with any weights and is lost when they cannot be revealed.
  if (!self_only && rules.max_weights_limit < 65535 && std::uint64_t{largest} * 65535 > std::uint64_t{rules.max_weights_limit} * total) {
    return no(Refusal::kWeightTooLarge, "one weight is " + std::to_string(largest * 100 / total) + " % of the vote, the subnet's limit is " +
                                            std::to_string(rules.max_weights_limit * 100 / 65535) + " %");
  }
  Outcome out;
  out.block = graph.block;
  out.uid = neuron->uid;
  return out;
}

Result<Outcome> set_weights_plain(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                                  std::span<const ledger::Weight> weights, std::uint64_t version_key) {
  BRAINLOCK_ASSIGN(const auto view, client.best());
  BRAINLOCK_ASSIGN(const auto graph, read_metagraph(client, view, netuid, false));
  Outcome judged = judge_vote(graph, hotkey.account(), weights, version_key);
  if (!judged.accepted()) return judged;
  std::vector<std::uint16_t> uids, values;
  for (const auto& weight : weights) {
    uids.push_back(weight.uid);
    values.push_back(weight.value);
  }
  const Arguments arguments{{"netuid", Value::number(netuid)},
                            {"dests", Value::numbers(uids)},
                            {"weights", Value::numbers(values)},
                            {"version_key", Value::number(version_key)}};
  BRAINLOCK_ASSIGN(const auto sent, client.submit(hotkey, kPallet, "set_weights", arguments));
  Outcome out = outcome_of(sent);
  out.uid = judged.uid;
  if (!out.accepted()) return out;
  BRAINLOCK_ASSIGN(const auto after, client.at(sent.block));
  BRAINLOCK_ASSIGN(const auto stored, read_weights(client, after, netuid, *out.uid));
  // The chain rescales so that the largest is 65535 and leaves a vote alone that is so already.
  std::vector<ledger::Weight> wanted(weights.begin(), weights.end());
  std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.uid < b.uid; });
  const bool rescaled = std::none_of(wanted.begin(), wanted.end(), [](const auto& w) { return w.value == 65535; });
  const bool same_row = std::equal(wanted.begin(), wanted.end(), stored.begin(), stored.end(), [&](const auto& a, const auto& b) {
    return a.uid == b.uid && (rescaled || a.value == b.value);
  });
  if (!same_row) return not_confirmed("the new weights", sent.block_number);
  return out;
}

}  // namespace brainlock::chain
