// Reading a subnet.
#include <arpa/inet.h>

#include <algorithm>
#include <functional>

#include "brainlock/chain/subnet.hpp"

namespace brainlock::chain {
namespace {

using ledger::Axon;
using ledger::Metagraph;
using ledger::Neuron;

constexpr const char* kPallet = "SubtensorModule";

// A storage number of the subnet; `usual` when this runtime has no such item.
Result<std::uint64_t> number_or(ChainClient& client, const BlockView& view, const char* entry,
                                const std::vector<Value>& keys, std::uint64_t usual) {
  const auto value = client.read(view, kPallet, entry, keys);
  if (!value.ok()) {
    if (value.error().code == ErrorCode::kNotFound) return usual;
    return value.error();
  }
  if (value->kind() == Value::Kind::kBool) return *value->as_bool() ? std::uint64_t{1} : std::uint64_t{0};
  return value->as_u64();
}

// A number field of a record; bools count as 0 and 1.
Result<std::uint64_t> number_field(const Value& record, std::string_view name) {
  BRAINLOCK_ASSIGN(const auto* field, record.field(name));
  if (field->kind() == Value::Kind::kBool) return *field->as_bool() ? std::uint64_t{1} : std::uint64_t{0};
  auto number = field->inner().as_u64();
  if (!number.ok()) return number.error().in(name);
  return number;
}

Error not_one_a_neuron(std::string_view name) {
  return {ErrorCode::kMalformed, "metagraph field " + std::string(name) + " has not one item a neuron"};
}

Result<const Value*> list_field(const Value& record, std::string_view name, std::size_t size) {
  BRAINLOCK_ASSIGN(const auto* field, record.field(name));
  if (field->kind() != Value::Kind::kList || field->items().size() != size) return not_one_a_neuron(name);
  return field;
}

// An axon entry; absent when nothing was ever served.
Result<std::optional<Axon>> axon_of(const Value& value) {
  if (value.is_none()) return std::optional<Axon>{};
  const Value& record = value.inner();
  Axon axon;
  BRAINLOCK_ASSIGN(axon.served_block, number_field(record, "block"));
  BRAINLOCK_ASSIGN(const auto version, number_field(record, "version"));
  BRAINLOCK_ASSIGN(const auto port, number_field(record, "port"));
  BRAINLOCK_ASSIGN(const auto type, number_field(record, "ip_type"));
  BRAINLOCK_ASSIGN(const auto protocol, number_field(record, "protocol"));
  BRAINLOCK_ASSIGN(const auto* ip, record.field("ip"));
  ChainIp address;
  BRAINLOCK_ASSIGN(address.value, ip->as_u128());
  address.type = static_cast<std::uint8_t>(type);
  if (axon.served_block == 0 && address.value == 0 && port == 0) return std::optional<Axon>{};
  axon.version = static_cast<std::uint32_t>(version);
  axon.port = static_cast<std::uint16_t>(port);
  axon.protocol = static_cast<std::uint8_t>(protocol);
  // A neuron may have announced nonsense (type 6 is free to hold anything); it then has no address, and that is all.
  const auto text = ip_from_chain(address);
  if (!text.ok()) return std::optional<Axon>{};
  axon.ip = *text;
  return std::optional<Axon>(std::move(axon));
}

Result<std::vector<ledger::Weight>> weights_of(const Value& row) {
  std::vector<ledger::Weight> out;
  for (const auto& pair : row.items()) {
    if (pair.items().size() != 2) return Error{ErrorCode::kMalformed, "a weights row is not a list of pairs"};
    BRAINLOCK_ASSIGN(const auto uid, pair.items()[0].as_u16());
    BRAINLOCK_ASSIGN(const auto value, pair.items()[1].as_u16());
    out.push_back({uid, value});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.uid < b.uid; });
  return out;
}

// Fills neurons from the runtime's own metagraph.
Status fill_from_runtime(const Value& answer, Metagraph& out) {
  if (answer.is_none()) return Error{ErrorCode::kNotFound, "the runtime gives no metagraph of subnet " + std::to_string(out.netuid)};
  const Value& graph = answer.inner();
  BRAINLOCK_ASSIGN(const auto count, number_field(graph, "num_uids"));
  if (count > 65536) return Error{ErrorCode::kMalformed, "a subnet has at most 65536 neurons"};
  const auto size = static_cast<std::size_t>(count);
  BRAINLOCK_ASSIGN(const auto* hotkeys, list_field(graph, "hotkeys", size));
  BRAINLOCK_ASSIGN(const auto* coldkeys, list_field(graph, "coldkeys", size));
  BRAINLOCK_ASSIGN(const auto* axons, list_field(graph, "axons", size));
  out.neurons.resize(size);
  // These columns are vectors of the chain's storage, grown and reset each by its own code: one that is short says nothing of
  // the last neurons, which then keep zero and no permit, as the runtime itself reads it.
  const auto fill_flags = [&](std::string_view name, auto assign) -> Status {
    BRAINLOCK_ASSIGN(const auto* field, graph.field(name));
    if (field->kind() != Value::Kind::kList || field->items().size() > size) return not_one_a_neuron(name);
    for (std::size_t i = 0; i < field->items().size(); ++i) {
      BRAINLOCK_ASSIGN(const bool flag, field->items()[i].as_bool());
      assign(out.neurons[i], flag);
    }
    return {};
  };
  BRAINLOCK_TRY(fill_flags("active", [](Neuron& n, bool v) { n.active = v; }));
  BRAINLOCK_TRY(fill_flags("validator_permit", [](Neuron& n, bool v) { n.validator_permit = v; }));
  const auto fill_numbers = [&](std::string_view name, auto assign) -> Status {
    BRAINLOCK_ASSIGN(const auto* field, graph.field(name));
    BRAINLOCK_ASSIGN(const auto numbers, field->as_numbers());
    if (numbers.size() > size) return not_one_a_neuron(name);
    for (std::size_t i = 0; i < numbers.size(); ++i) assign(out.neurons[i], numbers[i]);
    return {};
  };
  const auto u16 = [](std::uint64_t n) { return static_cast<std::uint16_t>(std::min<std::uint64_t>(n, 65535)); };
  BRAINLOCK_TRY(fill_numbers("last_update", [](Neuron& n, std::uint64_t v) { n.last_update = v; }));
  BRAINLOCK_TRY(fill_numbers("total_stake", [](Neuron& n, std::uint64_t v) { n.stake_rao = v; }));
  BRAINLOCK_TRY(fill_numbers("emission", [](Neuron& n, std::uint64_t v) { n.emission_rao = v; }));
  BRAINLOCK_TRY(fill_numbers("dividends", [&](Neuron& n, std::uint64_t v) { n.dividends = u16(v); }));
  BRAINLOCK_TRY(fill_numbers("incentives", [&](Neuron& n, std::uint64_t v) { n.incentive = u16(v); }));
  BRAINLOCK_TRY(fill_numbers("consensus", [&](Neuron& n, std::uint64_t v) { n.consensus = u16(v); }));
  BRAINLOCK_TRY(fill_numbers("block_at_registration", [](Neuron& n, std::uint64_t v) { n.registered_at = v; }));
  for (std::size_t i = 0; i < size; ++i) {
    Neuron& neuron = out.neurons[i];
    neuron.uid = static_cast<ledger::Uid>(i);
    BRAINLOCK_ASSIGN(neuron.hotkey, hotkeys->items()[i].as_account());
    BRAINLOCK_ASSIGN(neuron.coldkey, coldkeys->items()[i].as_account());
    BRAINLOCK_ASSIGN(neuron.axon, axon_of(axons->items()[i]));
  }
  // Rules that the runtime works out: what is stored may be a remainder of older ones that nothing looks at any more.
  if (graph.field("max_weights_limit").ok()) {
    BRAINLOCK_ASSIGN(const auto limit, number_field(graph, "max_weights_limit"));
    out.parameters.max_weights_limit = u16(limit);
  }
  if (graph.field("activity_cutoff").ok()) {
    BRAINLOCK_ASSIGN(out.parameters.activity_cutoff, number_field(graph, "activity_cutoff"));
  }
  return {};
}

// Fills neurons from plain storage, which has kept its shape for longer than the runtime calls.
Status fill_from_storage(ChainClient& client, const BlockView& view, Metagraph& out) {
  const Value netuid = Value::number(out.netuid);
  BRAINLOCK_ASSIGN(const auto size, number_or(client, view, "SubnetworkN", {netuid}, 0));
  out.neurons.resize(static_cast<std::size_t>(size));
  std::vector<std::vector<Value>> by_uid, by_hotkey, owners, stakes;
  for (std::size_t i = 0; i < size; ++i) by_uid.push_back({netuid, Value::number(i)});
  BRAINLOCK_ASSIGN(const auto hotkeys, client.read_many(view, kPallet, "Keys", by_uid));
  for (const auto& hotkey : hotkeys) {
    by_hotkey.push_back({netuid, hotkey});
    owners.push_back({hotkey});
    stakes.push_back({hotkey, netuid});
  }
  BRAINLOCK_ASSIGN(const auto coldkeys, client.read_many(view, kPallet, "Owner", owners));
  BRAINLOCK_ASSIGN(const auto axons, client.read_many(view, kPallet, "Axons", by_hotkey));
  BRAINLOCK_ASSIGN(const auto registered, client.read_many(view, kPallet, "BlockAtRegistration", by_uid));
  auto alpha = client.read_many(view, kPallet, "TotalHotkeyAlpha", stakes);
  const bool dynamic = alpha.ok();
  if (!alpha.ok() && alpha.error().code == ErrorCode::kNotFound) {
    alpha = client.read_many(view, kPallet, "TotalHotkeyStake", owners);  // Before dynamic TAO stake was global.
  }
  if (!alpha.ok()) return alpha.error();
  // Stake on the root network counts with a weight that is a fraction of 2^64 - 1.
  std::vector<Value> root(hotkeys.size(), Value::number(0));
  std::uint64_t root_weight = 0;
  if (dynamic) {
    for (std::size_t i = 0; i < size; ++i) stakes[i][1] = Value::number(0);
    BRAINLOCK_ASSIGN(root, client.read_many(view, kPallet, "TotalHotkeyAlpha", stakes));
    BRAINLOCK_ASSIGN(root_weight, number_or(client, view, "TaoWeight", {}, 0));
  }
  for (std::size_t i = 0; i < size; ++i) {
    Neuron& neuron = out.neurons[i];
    neuron.uid = static_cast<ledger::Uid>(i);
    BRAINLOCK_ASSIGN(neuron.hotkey, hotkeys[i].as_account());
    BRAINLOCK_ASSIGN(neuron.coldkey, coldkeys[i].as_account());
    BRAINLOCK_ASSIGN(neuron.axon, axon_of(axons[i]));
    BRAINLOCK_ASSIGN(neuron.registered_at, registered[i].as_u64());
    BRAINLOCK_ASSIGN(neuron.stake_rao, (*alpha)[i].as_u64());
    BRAINLOCK_ASSIGN(const auto on_root, root[i].as_u64());
    const U128 weighted = static_cast<U128>(on_root) * root_weight / UINT64_MAX;
    neuron.stake_rao += std::min(static_cast<std::uint64_t>(weighted), UINT64_MAX - neuron.stake_rao);
  }
  const auto column = [&](const char* entry, auto assign) -> Status {
    const auto value = client.read(view, kPallet, entry, {netuid});
    if (!value.ok()) return value.error().code == ErrorCode::kNotFound ? Status{} : Status(value.error());
    for (std::size_t i = 0; i < std::min<std::size_t>(size, value->items().size()); ++i) {
      const Value& item = value->items()[i];
      if (item.kind() == Value::Kind::kBool) {
        assign(out.neurons[i], *item.as_bool() ? std::uint64_t{1} : std::uint64_t{0});
      } else {
        BRAINLOCK_ASSIGN(const auto number, item.as_u64());
        assign(out.neurons[i], number);
      }
    }
    return {};
  };
  BRAINLOCK_TRY(column("ValidatorPermit", [](Neuron& n, std::uint64_t v) { n.validator_permit = v != 0; }));
  BRAINLOCK_TRY(column("Active", [](Neuron& n, std::uint64_t v) { n.active = v != 0; }));
  BRAINLOCK_TRY(column("LastUpdate", [](Neuron& n, std::uint64_t v) { n.last_update = v; }));
  BRAINLOCK_TRY(column("Emission", [](Neuron& n, std::uint64_t v) { n.emission_rao = v; }));
  BRAINLOCK_TRY(column("Incentive", [](Neuron& n, std::uint64_t v) { n.incentive = static_cast<std::uint16_t>(v); }));
  BRAINLOCK_TRY(column("Dividends", [](Neuron& n, std::uint64_t v) { n.dividends = static_cast<std::uint16_t>(v); }));
  BRAINLOCK_TRY(column("Consensus", [](Neuron& n, std::uint64_t v) { n.consensus = static_cast<std::uint16_t>(v); }));
  return {};
}

// The runtime's metagraph where it describes and gives one; false leaves the work to plain storage. A node that refuses the call,
// and a runtime that gives other fields than are known here, are no reason to know nothing. A lost connection is one, and so is
// an answer that is not what the metadata says.
Result<bool> try_runtime(ChainClient& client, const BlockView& view, Metagraph& out) {
  if (!view.metadata->runtime_method("SubnetInfoRuntimeApi", "get_metagraph").ok()) return false;
  const auto answer = client.call(view, "SubnetInfoRuntimeApi", "get_metagraph", {Value::number(out.netuid)});
  if (!answer.ok()) {
    const auto code = answer.error().code;
    if (code == ErrorCode::kDenied || code == ErrorCode::kUnsupported || code == ErrorCode::kNotFound) return false;
    return answer.error();
  }
  return fill_from_runtime(*answer, out).ok();
}

// Block of the last epoch such that the next one is a tempo later. Newer runtimes store it; older ones run an epoch where
// (block + netuid + 1) is a multiple of tempo + 1.
Result<ledger::BlockNumber> last_epoch(ChainClient& client, const BlockView& view, const Metagraph& graph) {
  const std::uint64_t tempo = graph.parameters.tempo;
  const auto stored = client.read(view, kPallet, "LastEpochBlock", {Value::number(graph.netuid)});
  if (stored.ok()) return stored->as_u64();
  if (stored.error().code != ErrorCode::kNotFound) return stored.error();
  const std::uint64_t next = view.number + tempo - (view.number + graph.netuid + 1) % (tempo + 1);
  return next > tempo ? next - tempo : 0;
}

}  // namespace

Result<ChainIp> ip_to_chain(std::string_view text) {
  BRAINLOCK_ASSIGN(const auto canonical, ledger::canonical_ip(text));
  ChainIp out;
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, canonical.c_str(), &v4) == 1) {
    out.value = ntohl(v4.s_addr);
    return out;
  }
  if (inet_pton(AF_INET6, canonical.c_str(), &v6) != 1) return Error{ErrorCode::kInvalidArgument, "not an IP address"};
  out.type = 6;
  for (std::uint8_t byte : v6.s6_addr) out.value = out.value << 8 | byte;
  return out;
}

Result<std::string> ip_from_chain(const ChainIp& ip) {
  char text[INET6_ADDRSTRLEN] = {};
  if (ip.type == 4 && ip.value <= 0xffffffffu) {
    const in_addr v4{htonl(static_cast<std::uint32_t>(ip.value))};
    inet_ntop(AF_INET, &v4, text, sizeof text);
    return std::string(text);
  }
  if (ip.type != 6) return Error{ErrorCode::kInvalidArgument, "not an address of type 4 or 6"};
  in6_addr v6{};
  for (int i = 0; i < 16; ++i) v6.s6_addr[i] = static_cast<std::uint8_t>(ip.value >> (8 * (15 - i)));
  inet_ntop(AF_INET6, &v6, text, sizeof text);
  return std::string(text);
}

Result<bool> subnet_exists(ChainClient& client, const BlockView& view, std::uint16_t netuid) {
  BRAINLOCK_ASSIGN(const auto added, client.read(view, kPallet, "NetworksAdded", {Value::number(netuid)}));
  return added.as_bool();
}

Result<ledger::Hyperparameters> read_hyperparameters(ChainClient& client, const BlockView& view, std::uint16_t netuid) {
  ledger::Hyperparameters out;
  const std::vector<Value> key{Value::number(netuid)};
  // Name, whether it is per subnet, and where it goes; an item that a runtime lacks keeps the usual value.
  std::vector<ChainClient::Item> items;
  std::vector<std::function<void(std::uint64_t)>> assign;
  const auto want = [&](const char* entry, auto& field, bool per_subnet = true) {
    items.push_back({entry, per_subnet ? key : std::vector<Value>{}});
    assign.push_back([&field](std::uint64_t number) { field = static_cast<std::remove_reference_t<decltype(field)>>(number); });
  };
  std::uint64_t cutoff_factor_milli = 0;
  want("Tempo", out.tempo);
  want("WeightsSetRateLimit", out.weights_rate_limit);
  want("ServingRateLimit", out.serving_rate_limit);
  want("MinAllowedWeights", out.min_allowed_weights);
  want("MaxWeightsLimit", out.max_weights_limit);
  want("MaxAllowedUids", out.max_allowed_uids);
  want("MaxAllowedValidators", out.max_allowed_validators);
  want("ImmunityPeriod", out.immunity_period);
  want("Kappa", out.kappa);
  want("BondsMovingAverage", out.bonds_moving_average);
  want("StakeThreshold", out.stake_threshold_rao, false);
  want("WeightsVersionKey", out.weights_version);
  want("NetworkRegistrationAllowed", out.registration_allowed);
  want("Burn", out.registration_cost_rao);
  want("CommitRevealWeightsEnabled", out.commit_reveal_enabled);
  want("RevealPeriodEpochs", out.reveal_period_epochs);
  want("ActivityCutoff", out.activity_cutoff);
  want("ActivityCutoffFactorMilli", cutoff_factor_milli);
  BRAINLOCK_ASSIGN(const auto values, client.read_items(view, kPallet, items));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) continue;
    if (values[i]->kind() == Value::Kind::kBool) {
      assign[i](*values[i]->as_bool() ? 1 : 0);
    } else {
      const auto number = values[i]->as_u64();
      if (!number.ok()) return number.error().in(items[i].entry);
      assign[i](*number);
    }
  }
  // The cut-off became a multiple of the tempo, in thousandths; older runtimes store blocks.
  if (cutoff_factor_milli > 0) out.activity_cutoff = cutoff_factor_milli * out.tempo / 1000;
  return out;
}

Result<Metagraph> read_metagraph(ChainClient& client, const BlockView& view, std::uint16_t netuid, bool with_weights) {
  BRAINLOCK_ASSIGN(const bool exists, subnet_exists(client, view, netuid));
  if (!exists) return Error{ErrorCode::kNotFound, "the network has no subnet " + std::to_string(netuid)};
  Metagraph out;
  out.netuid = netuid;
  out.block = view.number;
  BRAINLOCK_ASSIGN(out.parameters, read_hyperparameters(client, view, netuid));
  BRAINLOCK_ASSIGN(out.last_epoch_block, last_epoch(client, view, out));
  const auto owner = client.read(view, kPallet, "SubnetOwnerHotkey", {Value::number(netuid)});
  if (owner.ok()) {
    if (const auto account = owner->inner().as_account(); account.ok() && *account != crypto::AccountId{}) {
      out.owner_hotkey = *account;
    }
  }
  BRAINLOCK_ASSIGN(const bool filled, try_runtime(client, view, out));
  if (!filled) {
    out.neurons.clear();
    BRAINLOCK_TRY(fill_from_storage(client, view, out));
  }
  if (const auto trust = client.read(view, kPallet, "ValidatorTrust", {Value::number(netuid)}); trust.ok()) {
    for (std::size_t i = 0; i < std::min(out.neurons.size(), trust->items().size()); ++i) {
      if (const auto value = trust->items()[i].as_u16(); value.ok()) out.neurons[i].validator_trust = *value;
    }
  }
  if (with_weights) {
    std::vector<std::vector<Value>> rows;
    for (std::size_t i = 0; i < out.neurons.size(); ++i) rows.push_back({Value::number(netuid), Value::number(i)});
    BRAINLOCK_ASSIGN(const auto found, client.read_many(view, kPallet, "Weights", rows));
    for (std::size_t i = 0; i < found.size(); ++i) {
      BRAINLOCK_ASSIGN(out.neurons[i].weights, weights_of(found[i]));
    }
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> list_hyperparameters(ChainClient& client, const BlockView& view,
                                                                              std::uint16_t netuid) {
  // The runtime's own list where it describes one; the newest form first.
  for (const char* method : {"get_subnet_hyperparams_v3", "get_subnet_hyperparams_v2", "get_subnet_hyperparams"}) {
    if (!view.metadata->runtime_method("SubnetInfoRuntimeApi", method).ok()) continue;
    const auto answer = client.call(view, "SubnetInfoRuntimeApi", method, {Value::number(netuid)});
    if (!answer.ok()) continue;
    if (answer->is_none()) return Error{ErrorCode::kNotFound, "the network has no subnet " + std::to_string(netuid)};
    std::vector<std::pair<std::string, std::string>> out;
    const Value& found = answer->inner();
    for (std::size_t i = 0; i < found.items().size(); ++i) {
      const Value& item = found.items()[i];
      if (found.kind() == Value::Kind::kRecord) {
        out.emplace_back(found.field_names()[i], to_json(item));
      } else if (item.items().size() == 2) {
        const auto name = item.items()[0].as_bytes();
        const Value& value = item.items()[1];
        out.emplace_back(name.ok() ? std::string(name->begin(), name->end()) : std::to_string(i),
                         to_json(value.items().size() == 1 ? value.items()[0] : value));
      }
    }
    if (!out.empty()) return out;
  }
  BRAINLOCK_ASSIGN(const auto p, read_hyperparameters(client, view, netuid));
  const auto text = [](auto number) { return std::to_string(number); };
  return std::vector<std::pair<std::string, std::string>>{
      {"tempo", text(p.tempo)},
      {"weights_rate_limit", text(p.weights_rate_limit)},
      {"serving_rate_limit", text(p.serving_rate_limit)},
      {"min_allowed_weights", text(p.min_allowed_weights)},
      {"max_weights_limit", text(p.max_weights_limit)},
      {"max_allowed_uids", text(p.max_allowed_uids)},
      {"max_allowed_validators", text(p.max_allowed_validators)},
      {"immunity_period", text(p.immunity_period)},
      {"activity_cutoff", text(p.activity_cutoff)},
      {"kappa", text(p.kappa)},
      {"bonds_moving_average", text(p.bonds_moving_average)},
      {"stake_threshold_rao", text(p.stake_threshold_rao)},
      {"weights_version", text(p.weights_version)},
      {"registration_allowed", p.registration_allowed ? "true" : "false"},
      {"registration_cost_rao", text(p.registration_cost_rao)},
      {"commit_reveal_enabled", p.commit_reveal_enabled ? "true" : "false"},
      {"reveal_period_epochs", text(p.reveal_period_epochs)}};
}

Result<std::optional<ledger::Uid>> read_uid(ChainClient& client, const BlockView& view, std::uint16_t netuid,
                                            const crypto::AccountId& hotkey) {
  BRAINLOCK_ASSIGN(const auto uid, client.read(view, kPallet, "Uids", {Value::number(netuid), Value::bytes(hotkey)}));
  if (uid.is_none()) return std::optional<ledger::Uid>{};
  BRAINLOCK_ASSIGN(const auto number, uid.as_u16());
  return std::optional<ledger::Uid>(number);
}

Result<std::optional<Axon>> read_axon(ChainClient& client, const BlockView& view, std::uint16_t netuid,
                                      const crypto::AccountId& hotkey) {
  BRAINLOCK_ASSIGN(const auto axon, client.read(view, kPallet, "Axons", {Value::number(netuid), Value::bytes(hotkey)}));
  return axon_of(axon);
}

Result<std::vector<ledger::Weight>> read_weights(ChainClient& client, const BlockView& view, std::uint16_t netuid,
                                                 ledger::Uid uid) {
  BRAINLOCK_ASSIGN(const auto row, client.read(view, kPallet, "Weights", {Value::number(netuid), Value::number(uid)}));
  return weights_of(row);
}

Result<std::uint64_t> read_balance(ChainClient& client, const BlockView& view, const crypto::AccountId& account) {
  BRAINLOCK_ASSIGN(const auto info, client.read(view, "System", "Account", {Value::bytes(account)}));
  BRAINLOCK_ASSIGN(const auto* data, info.field("data"));
  return number_field(*data, "free");
}

}  // namespace brainlock::chain
