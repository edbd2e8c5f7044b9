// A node for tests, real or in memory, and what tests need of it besides the client: blocks when they are wanted,
// accounts, and a subnet whose rules can be changed. What is wanted is asked for as the subnet's owner, then with sudo,
// then with a test node's own means (dev_setStorage, dev_newBlock); where nobody may change the rules of the subnets
// that there are, //Alice registers one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/key_signer.hpp"

namespace brainlock::chain {

inline constexpr const char* kDevelopmentKeys[] = {"//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie"};

inline ledger::KeySigner development_signer(const std::string& uri) {
  return ledger::KeySigner(crypto::Sr25519KeyPair::from_uri(uri).value());
}

/// An item of storage and the call of AdminUtils that sets it.
struct Setting {
  const char* entry;
  const char* call;
  const char* argument;
  bool per_subnet = true;
};
inline constexpr Setting kCommitReveal{"CommitRevealWeightsEnabled", "sudo_set_commit_reveal_weights_enabled",
                                       "enabled"};
inline constexpr Setting kWeightsRateLimit{"WeightsSetRateLimit", "sudo_set_weights_set_rate_limit",
                                           "weights_set_rate_limit"};
inline constexpr Setting kWeightsVersion{"WeightsVersionKey", "sudo_set_weights_version_key", "weights_version_key"};
inline constexpr Setting kTempo{"Tempo", "sudo_set_tempo", "tempo"};
inline constexpr Setting kStakeThreshold{"StakeThreshold", "sudo_set_stake_threshold", "min_stake", false};
inline constexpr Setting kRegistrationAllowed{"NetworkRegistrationAllowed", "sudo_set_network_registration_allowed",
                                              "registration_allowed"};
inline constexpr Setting kSubtokenEnabled{"SubtokenEnabled", "sudo_set_subtoken_enabled", "subtoken_enabled"};
inline constexpr Setting kMaxWeight{"MaxWeightsLimit", "sudo_set_max_weight_limit", "max_weight_limit"};
inline constexpr Setting kTargetRegistrations{"TargetRegistrationsPerInterval",
                                              "sudo_set_target_registrations_per_interval",
                                              "target_registrations_per_interval"};

/// Not thread-safe. What a test cannot go on without is a std::runtime_error that says what is missing.
class LiveNode {
 public:
  LiveNode(std::shared_ptr<Transport> transport, std::optional<std::uint16_t> chosen)
      : transport_(std::move(transport)), client_(transport_), netuid_(chosen.value_or(1)), may_choose_(!chosen) {}

  const std::shared_ptr<Transport>& shared_transport() const { return transport_; }
  ChainClient& client() { return client_; }
  const ledger::KeySigner& alice() const { return alice_; }
  std::uint16_t netuid() const { return netuid_; }

  BlockView view() {
    auto best = client_.best();
    if (!best.ok()) throw std::runtime_error("the node does not tell its best block: " + best.error().to_string());
    return *best;
  }
  std::uint64_t number() { return view().number; }

  /// The subnet that was named, else the first whose rules a development account may change, else the first that there
  /// is, else one of //Alice's making.
  bool find_subnet() {
    const auto best = view();
    if (!may_choose_) return exists(best, netuid_);
    const bool root = is_ours(client_.read(best, "Sudo", "Key", {}));
    std::optional<std::uint16_t> first;
    for (std::uint16_t number = 1; number < 64; ++number) {
      if (!exists(best, number)) continue;
      if (!first) first = number;
      if (!root && !is_ours(client_.read(best, kPallet, "SubnetOwner", {Value::number(number)}))) continue;
      netuid_ = number;
      return true;
    }
    if (!first) return make_subnet();
    netuid_ = *first;
    return true;
  }

  /// A subnet that //Alice owns, once. False where the node lets nobody make one, or where one was named.
  bool make_subnet() {
    if (!may_choose_) return false;
    may_choose_ = false;
    const auto before = view();
    const auto owner = fresh();
    (void)client_.submit(alice_, kPallet, "register_network", {{"hotkey", Value::bytes(owner.account())}});
    const auto after = view();
    for (std::uint16_t number = 1; number < 256; ++number) {
      if (exists(before, number) || !exists(after, number)) continue;
      netuid_ = number;
      (void)client_.submit(alice_, kPallet, "start_call", {{"netuid", Value::number(number)}});
      return true;
    }
    return false;
  }

  /// Lets blocks pass: a test node makes them when asked, others with each transaction or by themselves.
  void advance(std::uint64_t blocks) {
    const std::uint64_t target = number() + blocks;
    for (std::uint64_t now = number(); now < target;) {
      const auto count = std::min<std::uint64_t>(target - now, 25);
      const auto made =
          transport_->request("dev_newBlock", "[{\"count\":" + std::to_string(count) + "}]", Milliseconds{120'000});
      if (!made.ok() || made->error) send_remarks(static_cast<int>(count));
      const auto before = now;
      for (int tries = 0; tries < 1200 && now == before; ++tries) {
        now = number();
        if (now == before) std::this_thread::sleep_for(Milliseconds{100});
      }
      if (now == before) {
        throw std::runtime_error("no block after number " + std::to_string(before) +
                                 ": the node makes none when asked, with transactions or in time");
      }
    }
  }

  /// Whether so many blocks pass within a quarter of an hour; two are made to see.
  bool can_wait(std::uint64_t blocks) {
    if (blocks < 3) return true;
    const auto before = std::chrono::steady_clock::now();
    advance(2);
    const auto spent =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before).count();
    return static_cast<std::uint64_t>(spent) / 2 * blocks < 900'000;
  }

  /// A new key with funds: hotkeys need none on newer runtimes, older ones want an account that exists.
  ledger::KeySigner fresh() {
    ledger::KeySigner key(crypto::Sr25519KeyPair::from_mini_secret(crypto::generate_mini_secret().view()).value());
    fund(key.account());
    return key;
  }
  void fund(const crypto::AccountId& account) {
    (void)client_.submit(
        alice_, "Balances", "transfer_keep_alive",
        {{"dest", Value::variant("Id", {{"", Value::bytes(account)}})}, {"value", Value::number(1'000'000'000)}});
  }

  /// What an item of the subnet is now; absent where this runtime has no such item.
  std::optional<Value> now(const Setting& setting) {
    const auto value = client_.read(view(), kPallet, setting.entry, keys(setting));
    return value.ok() ? std::optional<Value>(*value) : std::nullopt;
  }

  /// Brings an item to a value; false when nobody here may, and why_not() says what the chain answered.
  bool put(const Setting& setting, const Value& wanted) {
    why_not_ = "no development account may";
    if (now(setting) == wanted) return true;
    const auto ways = ways_to_set(setting, wanted);
    for (const Way& way : ways) {
      (void)client_.submit(development_signer(way.who), way.pallet, way.call, way.arguments);
      if (now(setting) == wanted) return true;
    }
    if (write_storage(setting, wanted)) return true;
    return std::any_of(ways.begin(), ways.end(), [&](const Way& way) { return insist(way, setting, wanted); });
  }
  const std::string& why_not() const { return why_not_; }

  /// The same until put_back().
  bool arrange(const Setting& setting, const Value& wanted) {
    const auto before = now(setting);
    if (!before) return false;
    if (*before == wanted) return true;
    changed_.push_back({setting, *before, netuid_});
    return put(setting, wanted);
  }
  void put_back() {
    while (!changed_.empty()) {
      const auto last = changed_.back();
      changed_.pop_back();
      netuid_ = last.netuid;
      (void)put(last.setting, last.value);
    }
  }

  /// Commit-reveal on or off, on a subnet of //Alice's own if need be. Short waits first, where they can be had: with it on a
  /// runtime may refuse another tempo.
  bool commit_reveal(bool on) {
    hurry();
    if (arrange(kCommitReveal, Value::boolean(on))) return true;
    if (!make_subnet()) return false;
    hurry();
    return arrange(kCommitReveal, Value::boolean(on));
  }
  /// Otherwise a vote is a hundred blocks away, a reveal two epochs, and a vote for one neuron may be too much for it.
  void hurry() {
    (void)arrange(kWeightsRateLimit, Value::number(20));
    (void)arrange(kTempo, Value::number(40));
    (void)arrange(kStakeThreshold, Value::number(0));
    (void)arrange(kMaxWeight, Value::number(65535));
  }

  /// Registers a hotkey that //Alice owns. Registration takes few neurons a block and interval, and may be closed at
  /// first.
  Result<ledger::Outcome> register_patiently(const crypto::AccountId& hotkey) {
    for (int attempt = 0;; ++attempt) {
      auto out = register_neuron(client_, alice_, netuid_, hotkey);
      if (!out.ok() || attempt == 8) return out;
      if (out->refusal == ledger::Refusal::kRegistrationClosed && attempt == 0) {
        (void)arrange(kRegistrationAllowed, Value::boolean(true));
        (void)arrange(kSubtokenEnabled, Value::boolean(true));
      } else if (out->refusal == ledger::Refusal::kTooSoon) {
        // Not put back: what was registered here would keep others waiting for the rest of the interval.
        if (attempt == 1) (void)put(kTargetRegistrations, Value::number(100));
        advance(attempt < 2 ? 1 : 100);
      } else {
        return out;
      }
    }
  }

 private:
  static constexpr const char* kPallet = "SubtensorModule";
  struct Change {
    Setting setting;
    Value value;
    std::uint16_t netuid;
  };

  /// Somebody here who may change a rule, and the call that does it.
  struct Way {
    const char* who;
    const char* pallet;
    const char* call;
    Arguments arguments;
  };

  std::vector<Way> ways_to_set(const Setting& setting, const Value& wanted) {
    Arguments arguments{{setting.argument, wanted}};
    if (setting.per_subnet) arguments.insert(arguments.begin(), {"netuid", Value::number(netuid_)});
    const auto best = view();
    const auto owner = client_.read(best, kPallet, "SubnetOwner", {Value::number(netuid_)});
    const auto root = client_.read(best, "Sudo", "Key", {});
    std::vector<Way> ways;
    for (const char* uri : kDevelopmentKeys) {
      const Value account = Value::bytes(development_signer(uri).account());
      if (setting.per_subnet && owner.ok() && *owner == account) ways.push_back({uri, "AdminUtils", setting.call, arguments});
      if (root.ok() && !root->is_none() && root->inner() == account) {
        const Value inner = Value::variant("AdminUtils", {{"", Value::variant(setting.call, arguments)}});
        ways.push_back({uri, "Sudo", "sudo", {{"call", inner}}});
      }
    }
    return ways;
  }

  // A test node's own means.
  bool write_storage(const Setting& setting, const Value& wanted) {
    const auto best = view();
    const auto key = storage_key(*best.metadata, kPallet, setting.entry, keys(setting));
    scale_codec::Encoder bytes;
    if (!key.ok() ||
        !encode_value(bytes, *best.metadata, (*best.metadata->storage(kPallet, setting.entry))->value, wanted).ok())
      return false;
    (void)transport_->request(
        "dev_setStorage",
        "[[[\"" + crypto::hex_encode_0x(*key) + "\",\"" + crypto::hex_encode_0x(bytes.data()) + "\"]]]",
        Milliseconds{30'000});
    return now(setting) == wanted;
  }

  // Sends a change until it is so. The chain takes none in the last blocks of an epoch (AdminFreezeWindow, 10 unless changed;
  // root's refusal is in an event alone), and few from an owner in several epochs. Both pass.
  bool insist(const Way& way, const Setting& setting, const Value& wanted) {
    const auto tempo = now(kTempo);
    const std::uint64_t epoch = (tempo && tempo->as_u64().ok() ? *tempo->as_u64() : 10) + 1;
    const std::uint64_t most = std::min<std::uint64_t>(epoch, 64);
    std::uint64_t epochs = 0;
    for (std::uint64_t tries = 0; tries <= most; ++tries) {
      const auto before = number();
      const auto sent = client_.submit(development_signer(way.who), way.pallet, way.call, way.arguments);
      if (now(setting) == wanted) return true;
      if (!sent.ok()) {
        why_not_ = sent.error().to_string();
        return false;
      }
      why_not_ = sent->refusal ? sent->refusal->to_string() : std::string(setting.call) + " had no effect";
      std::uint64_t wait = 1;
      if (sent->refusal && sent->refusal->name.ends_with("TxRateLimitExceeded")) {
        if (++epochs > 5) return false;
        wait = epoch;
      } else if (sent->refusal && !sent->refusal->name.ends_with("ProhibitedDuringWeightsWindow")) {
        return false;
      }
      if (!can_wait(wait)) {
        why_not_ += "; the wait is too long for a test";
        return false;
      }
      // Each block of an epoch is tried: a short one may have no more than one in which a rule changes.
      if (wait > 1 || number() == before) advance(wait);
    }
    return false;
  }

  static bool is_ours(const Result<Value>& account) {
    if (!account.ok() || account->is_none()) return false;
    return std::any_of(std::begin(kDevelopmentKeys), std::end(kDevelopmentKeys), [&](const char* uri) {
      return account->inner() == Value::bytes(development_signer(uri).account());
    });
  }
  bool exists(const BlockView& at, std::uint16_t number) {
    const auto known = subnet_exists(client_, at, number);
    return known.ok() && *known;
  }
  std::vector<Value> keys(const Setting& setting) const {
    return setting.per_subnet ? std::vector<Value>{Value::number(netuid_)} : std::vector<Value>{};
  }
  // Transactions that do nothing, sent without following them.
  void send_remarks(int count) {
    const auto before = view();
    auto context = client_.signing_context(alice_.account(), {});
    const auto call = encode_call(*before.metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{0})}});
    if (!context.ok() || !call.ok()) throw std::runtime_error("a remark cannot be signed");
    for (int i = 0; i < count; ++i, ++context->nonce) {
      const auto extrinsic = sign_extrinsic(*before.metadata, *call, *context, alice_);
      (void)transport_->request("author_submitExtrinsic", "[\"" + crypto::hex_encode_0x(*extrinsic) + "\"]",
                                Milliseconds{60'000});
    }
  }

  std::shared_ptr<Transport> transport_;
  ChainClient client_;
  std::uint16_t netuid_;
  bool may_choose_;
  std::vector<Change> changed_;
  std::string why_not_;
  ledger::KeySigner alice_ = development_signer("//Alice");
};

}  // namespace brainlock::chain
