// The rules of FakeChain: what the pool refuses, what a call does. Written from the chain's documentation; it holds no
// tests of its own.
#include <algorithm>
#include <set>

#include "brainlock/chain/commit_reveal.hpp"
#include "fake_chain.hpp"

namespace brainlock::chain {
namespace {

constexpr const char* kPallet = "SubtensorModule";

}  // namespace

// What the chain's transaction extension refuses before inclusion, judged as of the next block.
std::optional<RpcError> FakeChain::judge(const crypto::AccountId& signer, const Value& call) const {
  const Value key = Value::bytes(signer);
  const std::uint64_t next = number() + 1;
  if (call.name() == "serve_axon") {
    const Value n = **call.field("netuid");
    if (get(kPallet, "Uids", {n, key}).is_none()) return refuse(10);
    if (*(*call.field("ip"))->as_u128() == (*(*call.field("ip_type"))->as_u64() == 4 ? 0x7f000001 : 1))
      return refuse(11);
    if (*(*call.field("port"))->as_u64() == 0) return refuse(13);
    const auto before = get(kPallet, "Axons", {n, key});
    if (!before.is_none() &&
        next < *(*before.inner().field("block"))->as_u64() + *get(kPallet, "ServingRateLimit", {n}).as_u64()) {
      return refuse(12);
    }
  }
  if (call.name() == "burned_register" || call.name() == "register_limit") {
    const Value n = **call.field("netuid");
    if (number_of("RegistrationsThisInterval", n) >= 3 * number_of("TargetRegistrationsPerInterval", n))
      return refuse(6);
  }
  if (call.name() == "reveal_weights") {
    const Value n = **call.field("netuid");
    const auto commits = get(kPallet, "WeightCommits", {n, key});
    if (commits.is_none()) return refuse(16);
    const auto hash = hash_of_reveal(signer, call);
    const auto& list = commits.items();
    const auto match =
        std::find_if(list.begin(), list.end(), [&](const Value& c) { return *c.items()[0].as_account() == hash; });
    if (match == list.end()) return refuse(16);
    if (epoch(n, next) != reveal_epoch(n, *match)) return refuse(17);
  }
  if ((call.name() == "set_weights" || call.name() == "commit_weights") && !checks_late) {
    const Value n = **call.field("netuid");
    const Value uid = get(kPallet, "Uids", {n, key});
    if (uid.is_none()) return refuse(10);
    if (too_fast(n, uid, next)) return refuse(6);
  }
  return {};
}

std::uint64_t FakeChain::number_of(const char* entry, const Value& netuid) const {
  return *get(kPallet, entry, {netuid}).as_u64();
}

// Both as the chain counts them: an epoch has tempo + 1 blocks, and its first is shifted by the number of the subnet.
std::uint64_t FakeChain::epoch(const Value& netuid, std::uint64_t block) const {
  if (epochs_counted) return 10 + block / 50;
  return (block + *netuid.as_u64() + 1) / (number_of("Tempo", netuid) + 1);
}

std::uint64_t FakeChain::reveal_epoch(const Value& netuid, const Value& commit) const {
  const std::uint64_t noted = *commit.items()[1].as_u64();
  return (epochs_counted ? noted : epoch(netuid, noted)) + *get(kPallet, "RevealPeriodEpochs", {netuid}).as_u64();
}

bool FakeChain::too_fast(const Value& netuid, const Value& uid, std::uint64_t block) const {
  const auto updates = get(kPallet, "LastUpdate", {netuid}).items();
  const std::uint64_t last = *updates[*uid.as_u64()].as_u64();
  return last != 0 && block < last + number_of("WeightsSetRateLimit", netuid);
}

// The rules of a vote in the order of the chain; the name of the first that is broken.
std::string FakeChain::vote_error(const Value& n, const Value& key, const std::vector<Value>& uids,
                                  const std::vector<Value>& values, std::uint64_t version, bool rate) const {
  const Value uid = get(kPallet, "Uids", {n, key});
  const std::uint64_t size = number_of("SubnetworkN", n);
  if (uids.size() > size) return "UidsLengthExceedUidsInSubNet";
  if (uid.is_none()) return "HotKeyNotRegisteredInSubNet";
  if (const auto wanted = number_of("WeightsVersionKey", n); wanted != 0 && version < wanted)
    return "IncorrectWeightVersionKey";
  if (rate && too_fast(n, uid, number())) return "SettingWeightsTooFast";
  const bool self_only = uids.size() == 1 && uids.front() == uid;
  if (!self_only && !*get(kPallet, "ValidatorPermit", {n}).items()[*uid.as_u64()].as_bool())
    return "NeuronNoValidatorPermit";
  std::set<std::uint64_t> seen;
  for (const auto& other : uids) {
    if (!seen.insert(*other.as_u64()).second) return "DuplicateUids";
  }
  if (!seen.empty() && *seen.rbegin() >= size) return "UidVecContainInvalidOne";
  if (!self_only && uids.size() < std::min(size, number_of("MinAllowedWeights", n))) return "WeightVecLengthIsLow";
  std::uint64_t total = 0, largest = 0;
  for (const auto& value : values) {
    total += *value.as_u64();
    largest = std::max(largest, *value.as_u64());
  }
  if (!self_only && largest * 65535 > number_of("MaxWeightsLimit", n) * total) return "MaxWeightExceeded";
  return {};
}

crypto::Hash256 FakeChain::hash_of_reveal(const crypto::AccountId& signer, const Value& a) const {
  PendingCommit commit;
  commit.netuid = *(*a.field("netuid"))->as_u16();
  commit.hotkey = signer;
  const auto numbers = [&](const char* name) {
    std::vector<std::uint16_t> out;
    for (const auto& item : (*a.field(name))->items()) out.push_back(*item.as_u16());
    return out;
  };
  commit.uids = numbers("uids");
  commit.values = numbers("values");
  commit.salt = numbers("salt");
  commit.version_key = *(*a.field("version_key"))->as_u64();
  return commit.hash();
}

// Applies a call; returns the name of the module error, or nothing.
std::string FakeChain::dispatch(const crypto::AccountId& signer, const std::string& call, const Value& a) {
  const Value key = Value::bytes(signer);
  const std::uint64_t now = number();
  if (call == "burned_register" || call == "register_limit") {
    const Value n = **a.field("netuid"), hotkey = **a.field("hotkey");
    const auto uid = number_of("SubnetworkN", n);
    if (const auto limit = a.field("limit_price"); limit.ok() && *(*limit)->as_u64() < number_of("Burn", n))
      return "RegistrationPriceLimitExceeded";
    if (!*get(kPallet, "NetworksAdded", {n}).as_bool()) return "SubNetworkDoesNotExist";
    if (!*get(kPallet, "NetworkRegistrationAllowed", {n}).as_bool()) return "SubNetRegistrationDisabled";
    if (!get(kPallet, "Uids", {n, hotkey}).is_none()) return "HotKeyAlreadyRegisteredInSubNet";
    if (!pay(key, number_of("Burn", n))) return "NotEnoughBalanceToStake";
    put(kPallet, "RegistrationsThisInterval", {n}, Value::number(number_of("RegistrationsThisInterval", n) + 1));
    put(kPallet, "SubnetworkN", {n}, Value::number(uid + 1));
    put(kPallet, "Keys", {n, Value::number(uid)}, hotkey);
    put(kPallet, "Uids", {n, hotkey}, Value::number(uid));
    put(kPallet, "Owner", {hotkey}, key);
    put(kPallet, "BlockAtRegistration", {n, Value::number(uid)}, Value::number(now));
    for (const char* column : {"ValidatorPermit", "LastUpdate"}) {
      auto items = get(kPallet, column, {n}).items();
      items.push_back(std::string(column) == "LastUpdate" ? Value::number(now) : Value::boolean(false));
      put(kPallet, column, {n}, Value::list(items));
    }
    return {};
  }
  const auto stamp = [&](const Value& n) {
    auto updates = get(kPallet, "LastUpdate", {n}).items();
    updates[*get(kPallet, "Uids", {n, key}).as_u64()] = Value::number(now);
    put(kPallet, "LastUpdate", {n}, Value::list(updates));
  };
  const auto store_row = [&](const Value& n, const char* uids, const char* values) {
    std::vector<Value> row;
    const auto u = (*a.field(uids))->items(), v = (*a.field(values))->items();
    for (std::size_t i = 0; i < u.size(); ++i) row.push_back(Value::list({u[i], v[i]}));
    put(kPallet, "Weights", {n, get(kPallet, "Uids", {n, key})}, Value::list(row));
  };
  if (call == "sudo") {
    const auto root = get("Sudo", "Key", {});
    const Value inner = (*a.field("call"))->items().front();
    if (!root.is_none() && root.inner() == key) (void)set_rule(inner.name(), inner);
  } else if (call.starts_with("sudo_set_")) {
    const auto n = a.field("netuid");
    if (!n.ok() || get(kPallet, "SubnetOwner", {**n}) != key) return {};
    if (const auto last = owner_changes_.find(call); last != owner_changes_.end() && now < last->second + owner_interval)
      return "TxRateLimitExceeded";
    if (set_rule(call, a)) owner_changes_[call] = now;
  } else if (call == "register_network") {
    std::uint16_t number = 1;
    while (*get(kPallet, "NetworksAdded", {Value::number(number)}).as_bool()) ++number;
    add_subnet(number, 1);
    const Value n = Value::number(number);
    put(kPallet, "SubnetOwner", {n}, key);
    put(kPallet, "CommitRevealWeightsEnabled", {n}, Value::boolean(true));
  } else if (call == "serve_axon") {
    std::vector<std::pair<std::string, Value>> fields{{"block", Value::number(now)}};
    for (const char* name : {"version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2"}) {
      fields.emplace_back(name, **a.field(name));
    }
    put(kPallet, "Axons", {**a.field("netuid"), key}, Value::record(fields));
  } else if (call == "set_weights") {
    const Value n = **a.field("netuid");
    if (*get(kPallet, "CommitRevealWeightsEnabled", {n}).as_bool()) return "CommitRevealEnabled";
    const auto error = vote_error(n, key, (*a.field("dests"))->items(), (*a.field("weights"))->items(),
                                  *(*a.field("version_key"))->as_u64(), true);
    if (!error.empty()) return error;
    store_row(n, "dests", "weights");
    stamp(n);
  } else if (call == "commit_weights") {
    const Value n = **a.field("netuid");
    if (!*get(kPallet, "CommitRevealWeightsEnabled", {n}).as_bool()) return "CommitRevealDisabled";
    const Value uid = get(kPallet, "Uids", {n, key});
    if (uid.is_none()) return "HotKeyNotRegisteredInSubNet";
    if (too_fast(n, uid, now)) return "CommittingWeightsTooFast";
    auto commits = live_commits(n, key);
    if (commits.size() >= 10) return "TooManyUnrevealedCommits";
    const std::uint64_t tempo = number_of("Tempo", n);
    const std::uint64_t due = epoch(n, now) + *get(kPallet, "RevealPeriodEpochs", {n}).as_u64();
    const std::uint64_t first = due * (tempo + 1) - (*n.as_u64() + 1);
    commits.push_back(epochs_counted ? Value::list({**a.field("commit_hash"), Value::number(epoch(n, now)),
                                                    Value::number(now), Value::number(0)})
                                     : Value::list({**a.field("commit_hash"), Value::number(now), Value::number(first),
                                                    Value::number(first + tempo)}));
    put(kPallet, "WeightCommits", {n, key}, Value::list(commits));
    stamp(n);
  } else if (call == "commit_timelocked_weights") {
    const Value n = **a.field("netuid");
    if (!*get(kPallet, "CommitRevealWeightsEnabled", {n}).as_bool()) return "CommitRevealDisabled";
    if (*(*a.field("commit_reveal_version"))->as_u64() != *get(kPallet, "CommitRevealWeightsVersion", {}).as_u64()) return "IncorrectCommitRevealVersion";
    const Value uid = get(kPallet, "Uids", {n, key});
    if (uid.is_none()) return "HotKeyNotRegisteredInSubNet";
    if (too_fast(n, uid, now)) return "CommittingWeightsTooFast";
    // In the block that begins an epoch the commit is that epoch's.
    const Value of = Value::number(epoch(n, now));
    auto commits = get(kPallet, "TimelockedWeightCommits", {n, of}).items();
    commits.push_back(Value::list({key, Value::number(now), **a.field("commit"), **a.field("reveal_round")}));
    put(kPallet, "TimelockedWeightCommits", {n, of}, Value::list(commits));
    stamp(n);
  } else if (call == "reveal_weights") {
    const Value n = **a.field("netuid");
    if (!*get(kPallet, "CommitRevealWeightsEnabled", {n}).as_bool()) return "CommitRevealDisabled";
    const auto hash = hash_of_reveal(signer, a);
    auto commits = live_commits(n, key);
    if (commits.empty()) return "NoWeightsCommitFound";
    const auto match = std::find_if(commits.begin(), commits.end(),
                                    [&](const Value& c) { return *c.items()[0].as_account() == hash; });
    if (match == commits.end()) return "InvalidRevealCommitHashNotMatch";
    if (epoch(n, now) != reveal_epoch(n, *match)) return "RevealTooEarly";
    const auto error = vote_error(n, key, (*a.field("uids"))->items(), (*a.field("values"))->items(),
                                  *(*a.field("version_key"))->as_u64(), false);
    if (!error.empty()) return error;
    commits.erase(commits.begin(), match + 1);  // Those before it go with it.
    if (commits.empty()) {
      remove(kPallet, "WeightCommits", {n, key});
    } else {
      put(kPallet, "WeightCommits", {n, key}, Value::list(commits));
    }
    store_row(n, "uids", "values");
  }
  return {};
}

// What the calls of AdminUtils change, here those that tests make. False at the end of an epoch, when nothing changes.
bool FakeChain::set_rule(const std::string& call, const Value& arguments) {
  if (const auto subnet = arguments.field("netuid"); subnet.ok()) {
    const std::uint64_t epoch_blocks = number_of("Tempo", **subnet) + 1;
    const std::uint64_t into_epoch = (number() + *(*subnet)->as_u64() + 1) % epoch_blocks;
    if (into_epoch + frozen_blocks >= epoch_blocks) return false;
  }
  constexpr const char* kRules[][2] = {
      {"sudo_set_commit_reveal_weights_enabled", "CommitRevealWeightsEnabled"},
      {"sudo_set_weights_set_rate_limit", "WeightsSetRateLimit"},
      {"sudo_set_weights_version_key", "WeightsVersionKey"},
      {"sudo_set_tempo", "Tempo"},
      {"sudo_set_max_weight_limit", "MaxWeightsLimit"},
      {"sudo_set_stake_threshold", "StakeThreshold"},
      {"sudo_set_network_registration_allowed", "NetworkRegistrationAllowed"},
      {"sudo_set_target_registrations_per_interval", "TargetRegistrationsPerInterval"}};
  for (const auto& [name, entry] : kRules) {
    if (call != name) continue;
    const auto n = arguments.field("netuid");
    put(kPallet, entry, n.ok() ? std::vector<Value>{**n} : std::vector<Value>{}, arguments.items().back());
  }
  return true;
}

// The commits of a hotkey less those whose epoch has passed.
std::vector<Value> FakeChain::live_commits(const Value& netuid, const Value& key) const {
  std::vector<Value> out;
  const auto all = get(kPallet, "WeightCommits", {netuid, key});
  if (all.is_none()) return out;
  for (const auto& commit : all.items()) {
    if (!out.empty() || epoch(netuid, number()) <= reveal_epoch(netuid, commit)) out.push_back(commit);
  }
  return out;
}

// Changes one field of an account, or of the balances in it.
void FakeChain::set_account(const Value& account, const char* field, const Value& value) {
  const auto changed = [&](const auto& self, const Value& record) -> Value {
    std::vector<std::pair<std::string, Value>> fields;
    for (std::size_t i = 0; i < record.items().size(); ++i) {
      const auto& name = record.field_names()[i];
      const Value& old = record.items()[i];
      fields.emplace_back(name, name == field ? value : old.kind() == Value::Kind::kRecord ? self(self, old) : old);
    }
    return Value::record(std::move(fields));
  };
  put("System", "Account", {account}, changed(changed, get("System", "Account", {account})));
}

bool FakeChain::pay(const Value& account, std::uint64_t rao) {
  const auto info = get("System", "Account", {account});
  const std::uint64_t free = *(*(*info.field("data"))->field("free"))->as_u64();
  if (free < rao) return false;
  set_account(account, "free", Value::number(free - rao));
  return true;
}

void FakeChain::remove(const char* pallet, const char* entry, const std::vector<Value>& keys) {
  storage_.erase(crypto::hex_encode_0x(*storage_key(*metadata_, pallet, entry, keys)));
  blocks_.back().storage = storage_;
}

}  // namespace brainlock::chain
