// Against a node: set BRAINLOCK_TEST_CHAIN to its address. The development accounts //Alice and others must be funded there;
// blocks may come by themselves, when a test node is asked, or with each transaction alone. Skipped otherwise. The subnet is
// BRAINLOCK_TEST_NETUID, else the first that there is, else one that //Alice registers.
// What a test needs otherwise (commit-reveal on or off, a short tempo, open registration) it asks for as subnet owner, then with
// sudo, then with a test node's own means; afterwards it is put back. What nobody may change is waited for, or the test says why it
// is skipped. BRAINLOCK_TEST_VALIDATOR names the secret URI of a hotkey with a permit; without one a new neuron votes for itself,
// which needs none.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <thread>

#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;

constexpr const char* kPallet = "SubtensorModule";
constexpr const char* kDevelopmentKeys[] = {"//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie"};

ledger::KeySigner signer(const std::string& uri) { return ledger::KeySigner(crypto::Sr25519KeyPair::from_uri(uri).value()); }

class LiveChain : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* endpoint = std::getenv("BRAINLOCK_TEST_CHAIN");
    if (endpoint == nullptr || *endpoint == '\0') GTEST_SKIP() << "BRAINLOCK_TEST_CHAIN is not set";
    if (const char* number = std::getenv("BRAINLOCK_TEST_NETUID")) netuid = static_cast<std::uint16_t>(std::atoi(number));
    auto opened = open_transport(endpoint);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    transport = std::move(*opened);
    client = std::make_unique<ChainClient>(transport);
    const auto best = client->best();
    ASSERT_TRUE(best.ok()) << best.error().to_string();
    RecordProperty("spec_version", static_cast<int>(best->version.spec_version));
    const auto rules = check_signing_rules(*best->metadata);
    ASSERT_TRUE(rules.ok()) << rules.error().to_string();
    if (!find_subnet()) GTEST_SKIP() << "the chain has no subnet, and //Alice cannot register one; BRAINLOCK_TEST_NETUID names one";
  }
  void TearDown() override {
    while (!changed.empty()) {
      const Change last = changed.back();
      changed.pop_back();
      (void)put(last);
    }
  }
  bool find_subnet() {
    if (std::getenv("BRAINLOCK_TEST_NETUID") != nullptr) return *subnet_exists(*client, view(), netuid);
    for (int attempt = 0; attempt < 2; ++attempt) {
      for (std::uint16_t number = 1; number < 64; ++number) {
        netuid = number;
        if (const auto exists = subnet_exists(*client, view(), number); exists.ok() && *exists) return true;
      }
      if (attempt > 0) break;
      const auto owner = fresh();
      (void)client->submit(alice, kPallet, "register_network", {{"hotkey", Value::bytes(owner.account())}});
    }
    return false;
  }
  // The best block. A test cannot go on without one.
  BlockView view() {
    auto best = client->best();
    if (!best.ok()) throw std::runtime_error("the node does not tell its best block: " + best.error().to_string());
    return *best;
  }
  static ledger::Outcome must(const Result<ledger::Outcome>& outcome) {
    EXPECT_TRUE(outcome.ok()) << (outcome.ok() ? "" : outcome.error().to_string());
    return outcome.ok() ? *outcome : ledger::Outcome{};
  }
  // Sends a call as it is, so that the chain itself judges it.
  Submission send(const ledger::Signer& from, const char* pallet, const char* call, const Arguments& arguments) {
    const auto sent = client->submit(from, pallet, call, arguments);
    EXPECT_TRUE(sent.ok()) << (sent.ok() ? "" : sent.error().to_string());
    return sent.ok() ? *sent : Submission{};
  }
  static Refusal refusal_of(const Submission& sent) { return outcome_of(sent).refusal; }
  static std::string words(const Submission& sent) { return sent.refusal ? sent.refusal->to_string() : "no refusal"; }

  std::uint64_t number() { return view().number; }
  // Lets blocks pass: a test node makes them when asked, others with each transaction or by themselves. Where none comes within two
  // minutes the test ends and says so.
  void advance(std::uint64_t blocks) {
    const std::uint64_t target = number() + blocks;
    for (std::uint64_t now = number(); now < target;) {
      const auto count = std::min<std::uint64_t>(target - now, 25);
      const auto made = transport->request("dev_newBlock", "[{\"count\":" + std::to_string(count) + "}]", Milliseconds{120'000});
      if (!made.ok() || made->error) send_remarks(static_cast<int>(count));
      const auto before = now;
      for (int tries = 0; tries < 1200 && now == before; ++tries) {
        now = number();
        if (now == before) std::this_thread::sleep_for(Milliseconds{100});
      }
      if (now == before) {
        throw std::runtime_error("no block after number " + std::to_string(before) + ": the node makes none when asked, with transactions or in time");
      }
    }
  }
  // Transactions that do nothing, sent without following them.
  void send_remarks(int count) {
    const auto before = view();
    auto context = client->signing_context(alice.account(), {});
    const auto call = encode_call(*before.metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{0})}});
    ASSERT_TRUE(context.ok()) << context.error().to_string();
    for (int i = 0; i < count; ++i, ++context->nonce) {
      const auto extrinsic = sign_extrinsic(*before.metadata, *call, *context, alice);
      (void)transport->request("author_submitExtrinsic", "[\"" + crypto::hex_encode_0x(*extrinsic) + "\"]", Milliseconds{60'000});
    }
  }
  // Hotkeys need no funds on newer runtimes; older ones want an account that exists.
  ledger::KeySigner fresh() {
    ledger::KeySigner key(crypto::Sr25519KeyPair::from_mini_secret(crypto::generate_mini_secret().view()).value());
    (void)client->submit(alice, "Balances", "transfer_keep_alive",
                         {{"dest", Value::variant("Id", {{"", Value::bytes(key.account())}})}, {"value", Value::number(1'000'000'000)}});
    return key;
  }
  // Registration takes few neurons a block and interval, and may be closed at first.
  std::optional<ledger::Uid> register_patiently(const crypto::AccountId& hotkey) {
    ledger::Outcome out;
    for (int attempt = 0; attempt < 9; ++attempt) {
      out = must(register_neuron(*client, alice, netuid, hotkey));
      if (out.refusal == Refusal::kRegistrationClosed && attempt == 0) {
        (void)arrange("NetworkRegistrationAllowed", Value::boolean(true), "sudo_set_network_registration_allowed", "registration_allowed");
        (void)arrange("SubtokenEnabled", Value::boolean(true), "sudo_set_subtoken_enabled", "subtoken_enabled");
      } else if (out.refusal == Refusal::kTooSoon) {
        if (attempt == 1) {
          // Not put back: what was registered here would keep others waiting for the rest of the interval.
          (void)put({"TargetRegistrationsPerInterval", Value::number(100), "sudo_set_target_registrations_per_interval",
                     "target_registrations_per_interval"});
        }
        advance(attempt < 2 ? 1 : 100);
      } else {
        break;
      }
    }
    EXPECT_TRUE(out.accepted()) << out.message;
    return out.accepted() ? out.uid : std::nullopt;
  }

  struct Change {
    const char* entry;
    Value value;
    const char* call;
    const char* argument;
  };
  std::optional<Value> setting(const char* entry) {
    const auto now = client->read(view(), kPallet, entry, {Value::number(netuid)});
    return now.ok() ? std::optional<Value>(*now) : std::nullopt;
  }
  // Brings an item of the subnet to a value; false when nobody here may.
  bool put(const Change& wanted) {
    const auto is_so = [&] { return setting(wanted.entry) == wanted.value; };
    if (is_so()) return true;
    const Arguments arguments{{"netuid", Value::number(netuid)}, {wanted.argument, wanted.value}};
    const auto owner = setting("SubnetOwner");
    const auto root = client->read(view(), "Sudo", "Key", {});
    for (const char* uri : kDevelopmentKeys) {
      const auto key = signer(uri);
      const Value account = Value::bytes(key.account());
      if (owner == account) {
        (void)client->submit(key, "AdminUtils", wanted.call, arguments);
        if (is_so()) return true;
      }
      if (root.ok() && !root->is_none() && root->inner() == account) {
        const Value inner = Value::variant("AdminUtils", {{"", Value::variant(wanted.call, arguments)}});
        (void)client->submit(key, "Sudo", "sudo", {{"call", inner}});
        if (is_so()) return true;
      }
    }
    const auto now = view();
    const std::vector<Value> keys{Value::number(netuid)};
    const auto key = storage_key(*now.metadata, kPallet, wanted.entry, keys);
    scale_codec::Encoder bytes;
    if (!key.ok() || !encode_value(bytes, *now.metadata, (*now.metadata->storage(kPallet, wanted.entry))->value, wanted.value).ok()) return false;
    (void)transport->request("dev_setStorage", "[[[\"" + crypto::hex_encode_0x(*key) + "\",\"" + crypto::hex_encode_0x(bytes.data()) + "\"]]]",
                             Milliseconds{30'000});
    return is_so();
  }
  // The same until the test is over.
  bool arrange(const char* entry, const Value& value, const char* call, const char* argument) {
    const auto before = setting(entry);
    if (!before) return false;
    if (*before == value) return true;
    changed.push_back({entry, *before, call, argument});
    return put({entry, value, call, argument});
  }
  bool commit_reveal(bool on) {
    return arrange("CommitRevealWeightsEnabled", Value::boolean(on), "sudo_set_commit_reveal_weights_enabled", "enabled");
  }
  // Short waits where that can be had: otherwise a vote is a hundred blocks away, and a reveal two epochs.
  void hurry() {
    (void)arrange("WeightsSetRateLimit", Value::number(20), "sudo_set_weights_set_rate_limit", "weights_set_rate_limit");
    (void)arrange("Tempo", Value::number(40), "sudo_set_tempo", "tempo");
  }

  // A hotkey that may vote, and a vote that it may cast.
  struct Voter {
    ledger::KeySigner key;
    ledger::Uid uid;
    std::vector<ledger::Weight> vote;
  };
  std::optional<Voter> voter() {
    std::vector<std::string> candidates(std::begin(kDevelopmentKeys), std::end(kDevelopmentKeys));
    if (const char* uri = std::getenv("BRAINLOCK_TEST_VALIDATOR")) candidates.insert(candidates.begin(), uri);
    const auto graph = read_metagraph(*client, view(), netuid, false);
    EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().to_string());
    if (!graph.ok()) return {};
    for (const auto& uri : candidates) {
      auto key = signer(uri);
      const auto* neuron = graph->find(key.account());
      if (neuron == nullptr || !neuron->validator_permit) continue;
      std::vector<ledger::Weight> vote;
      const auto least = std::max<std::size_t>(graph->parameters.min_allowed_weights, 2);
      for (const auto& other : graph->neurons) {
        if (other.uid != neuron->uid && vote.size() < least) {
          vote.push_back({other.uid, static_cast<std::uint16_t>(vote.empty() ? 65535 : 30000)});
        }
      }
      if (!vote.empty()) return Voter{std::move(key), neuron->uid, std::move(vote)};
    }
    auto key = fresh();
    const auto uid = register_patiently(key.account());
    if (!uid) return {};
    return Voter{std::move(key), *uid, {{*uid, 65535}}};
  }
  void wait_until_allowed(ledger::Uid uid) {
    const auto graph = read_metagraph(*client, view(), netuid, false);
    ASSERT_TRUE(graph.ok()) << graph.error().to_string();
    advance(graph->blocks_until_weights_allowed(uid));
  }
  Arguments plain_vote(const std::vector<ledger::Weight>& vote) const {
    std::vector<std::uint16_t> uids, values;
    for (const auto& weight : vote) {
      uids.push_back(weight.uid);
      values.push_back(weight.value);
    }
    return {{"netuid", Value::number(netuid)}, {"dests", Value::numbers(uids)}, {"weights", Value::numbers(values)}, {"version_key", Value::number(version_key)}};
  }
  Arguments axon_call(std::uint32_t ip, std::uint16_t port) const {
    return {{"netuid", Value::number(netuid)}, {"version", Value::number(1)}, {"ip", Value::number(ip)}, {"port", Value::number(port)},
            {"ip_type", Value::number(4)}, {"protocol", Value::number(4)}, {"placeholder1", Value::number(0)}, {"placeholder2", Value::number(0)}};
  }

  static constexpr std::uint64_t version_key = ~std::uint64_t{0} >> 1;  // Not below any subnet's.
  std::uint16_t netuid = 1;
  std::vector<Change> changed;  ///< what to put back
  std::shared_ptr<Transport> transport;
  std::unique_ptr<ChainClient> client;
  ledger::KeySigner alice = signer("//Alice");
};

TEST_F(LiveChain, RegisterServeAndSeeItInTheMetagraph) {
  const auto hotkey = fresh();
  const ledger::Axon axon{.ip = "1.2.3.4", .port = 8091, .version = 1, .protocol = 4, .served_block = 0};
  EXPECT_EQ(must(serve_axon(*client, hotkey, netuid, axon)).refusal, Refusal::kNotRegistered);
  const auto sent = send(hotkey, kPallet, "serve_axon", axon_call(0x01020304, 8091));
  EXPECT_EQ(refusal_of(sent), Refusal::kNotRegistered) << words(sent);

  const auto uid = register_patiently(hotkey.account());
  ASSERT_TRUE(uid.has_value());
  EXPECT_EQ(must(register_neuron(*client, alice, netuid, hotkey.account())).refusal, Refusal::kAlreadyRegistered);

  const ledger::Axon loopback{.ip = "127.0.0.1", .port = 8091, .version = 1, .protocol = 4, .served_block = 0};
  const auto refused = must(serve_axon(*client, hotkey, netuid, loopback));
  EXPECT_EQ(refused.refusal, Refusal::kBadAddress) << refused.message;
  const auto no_port = send(hotkey, kPallet, "serve_axon", axon_call(0x01020304, 0));
  EXPECT_EQ(refusal_of(no_port), Refusal::kBadPort) << words(no_port);

  const auto served = must(serve_axon(*client, hotkey, netuid, axon));
  EXPECT_TRUE(served.accepted()) << served.message;
  const auto before = number();
  EXPECT_TRUE(must(serve_axon(*client, hotkey, netuid, axon)).accepted());  // Nothing is sent: the chain has it.
  const auto rules = read_hyperparameters(*client, view(), netuid);
  ASSERT_TRUE(rules.ok()) << rules.error().to_string();
  if (rules->serving_rate_limit > 2 && number() <= before + 1) {
    const auto soon = send(hotkey, kPallet, "serve_axon", axon_call(0x01020305, 8092));
    EXPECT_EQ(refusal_of(soon), Refusal::kTooSoon) << words(soon);
  }

  const auto graph = read_metagraph(*client, view(), netuid, true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  const auto* neuron = graph->find(hotkey.account());
  ASSERT_NE(neuron, nullptr);
  EXPECT_EQ(neuron->uid, *uid);
  EXPECT_EQ(neuron->coldkey, alice.account());
  ASSERT_TRUE(neuron->axon.has_value());
  EXPECT_EQ(neuron->axon->ip, "1.2.3.4");
  EXPECT_EQ(neuron->axon->port, 8091);
  EXPECT_EQ(neuron->axon->served_block, served.block);
  EXPECT_GT(neuron->registered_at, 0u);
}

TEST_F(LiveChain, BadSignatureWrongGenesisAndReplay) {
  const auto now = view();
  const auto call = encode_call(*now.metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
  ASSERT_TRUE(call.ok());
  auto context = client->signing_context(alice.account(), {});
  ASSERT_TRUE(context.ok()) << context.error().to_string();
  const auto submit = [&](const crypto::Bytes& extrinsic) {
    const auto sent = client->submit_signed(extrinsic);
    EXPECT_TRUE(sent.ok()) << (sent.ok() ? "" : sent.error().to_string());
    return sent.ok() ? *sent : Submission{};
  };
  auto wrong = *context;
  wrong.genesis[0] ^= 1;
  const auto other_chain = submit(*sign_extrinsic(*now.metadata, *call, wrong, alice));
  ASSERT_TRUE(other_chain.refusal.has_value());
  EXPECT_EQ(other_chain.refusal->name, "BadProof") << words(other_chain);
  auto bad = *sign_extrinsic(*now.metadata, *call, *context, alice);
  bad[60] ^= 1;
  const auto forged = submit(bad);
  ASSERT_TRUE(forged.refusal.has_value());
  EXPECT_EQ(forged.refusal->name, "BadProof") << words(forged);
  const auto good = *sign_extrinsic(*now.metadata, *call, *context, alice);
  const auto sent = submit(good);
  EXPECT_TRUE(sent.succeeded()) << words(sent);
  EXPECT_TRUE(sent.events_known);
  const auto again = submit(good);
  ASSERT_TRUE(again.refusal.has_value());
  // A pool may also know the transaction itself, as imported already or as banned after its inclusion.
  EXPECT_TRUE(again.refusal->name == "Stale" || again.refusal->name == "AlreadyImported" || again.refusal->name == "Banned") << words(again);
}

TEST_F(LiveChain, HyperparametersAndBlockTime) {
  const auto items = list_hyperparameters(*client, view(), netuid);
  ASSERT_TRUE(items.ok()) << items.error().to_string();
  EXPECT_GT(items->size(), 10u);
  auto ledger = ChainLedger::open(transport, {netuid, {}});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  const auto time = (*ledger)->block_time();
  ASSERT_TRUE(time.ok()) << time.error().to_string();
  EXPECT_GT(time->block_interval_ms, 0);
  EXPECT_TRUE((*ledger)->voting_notice().ok());
  EXPECT_EQ(ChainLedger::open(transport, {60'000, {}}).error().code, ErrorCode::kNotFound);
}

TEST_F(LiveChain, PlainWeightsAndTheirRefusals) {
  if (!commit_reveal(false)) GTEST_SKIP() << "commit-reveal is on, and no development account may switch it off";
  hurry();
  const auto newcomer = fresh();  // Registered first: its rate limit runs while the voter waits for its own.
  ASSERT_TRUE(register_patiently(newcomer.account()).has_value());
  auto chosen = voter();
  ASSERT_TRUE(chosen.has_value());
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(transport, {netuid, folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();

  wait_until_allowed(chosen->uid);
  const auto out = must((*ledger)->set_weights(chosen->key, chosen->vote, version_key));
  EXPECT_TRUE(out.accepted()) << out.message;
  const auto stored = (*ledger)->weights(chosen->uid);
  ASSERT_TRUE(stored.ok()) << stored.error().to_string();
  EXPECT_EQ(*stored, chosen->vote);

  const auto rules = read_hyperparameters(*client, view(), netuid);
  if (rules->weights_rate_limit > 2) {
    const auto soon = must((*ledger)->set_weights(chosen->key, chosen->vote, version_key));
    EXPECT_EQ(soon.refusal, Refusal::kTooSoon) << soon.message;
    EXPECT_NE(soon.message.find("next allowed in"), std::string::npos) << soon.message;
    const auto direct = send(chosen->key, kPallet, "set_weights", plain_vote(chosen->vote));
    EXPECT_EQ(refusal_of(direct), Refusal::kTooSoon) << words(direct);
  }

  const auto graph = read_metagraph(*client, view(), netuid, false);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  const auto* neuron = graph->find(newcomer.account());
  ASSERT_NE(neuron, nullptr);
  wait_until_allowed(neuron->uid);
  if (!neuron->validator_permit) {
    const auto denied = send(newcomer, kPallet, "set_weights", plain_vote({{chosen->uid, 65535}}));
    EXPECT_EQ(refusal_of(denied), rules->stake_threshold_rao > 0 ? Refusal::kStakeTooLow : Refusal::kNoPermit) << words(denied);
    EXPECT_FALSE(must((*ledger)->set_weights(newcomer, std::vector<ledger::Weight>{{chosen->uid, 65535}}, version_key)).accepted());
  }
  const auto stranger = send(fresh(), kPallet, "set_weights", plain_vote({{0, 65535}}));
  EXPECT_EQ(refusal_of(stranger), rules->stake_threshold_rao > 0 ? Refusal::kStakeTooLow : Refusal::kNotRegistered) << words(stranger);
}

TEST_F(LiveChain, CommitsAreRevealedAcrossARestart) {
  if (!commit_reveal(true)) GTEST_SKIP() << "commit-reveal is off, and no development account may switch it on";
  const auto scheme = vote_scheme(*client, view(), netuid);
  ASSERT_TRUE(scheme.ok()) << scheme.error().to_string();
  if (*scheme != VoteScheme::kHashCommit) GTEST_SKIP() << vote_notice(*scheme);
  hurry();
  auto chosen = voter();
  ASSERT_TRUE(chosen.has_value());
  wait_until_allowed(chosen->uid);
  const auto plain = send(chosen->key, kPallet, "set_weights", plain_vote(chosen->vote));
  EXPECT_EQ(refusal_of(plain), Refusal::kCommitRevealOnly) << words(plain);

  const TemporaryFolder folder;
  std::uint64_t reveal_block = 0;
  {
    auto ledger = ChainLedger::open(transport, {netuid, folder.path()});
    ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
    const auto out = must((*ledger)->set_weights(chosen->key, chosen->vote, version_key));
    ASSERT_TRUE(out.accepted()) << out.message;
    ASSERT_TRUE(out.revealed_at_block.has_value());
    reveal_block = *out.revealed_at_block;
    EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
  }
  auto ledger = ChainLedger::open(transport, {netuid, folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  auto report = (*ledger)->reveal_due(chosen->key);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  if (reveal_block > number() + 1) {
    EXPECT_EQ(report->waiting, 1);
  }
  for (int tries = 0; tries < 20 && report->revealed == 0 && report->dropped == 0; ++tries) {
    advance(reveal_block > number() + 1 ? reveal_block - number() - 1 : 1);
    report = (*ledger)->reveal_due(chosen->key);
    ASSERT_TRUE(report.ok()) << report.error().to_string();
  }
  EXPECT_EQ(report->revealed, 1) << (report->messages.empty() ? "" : report->messages.front());
  EXPECT_EQ(*(*ledger)->weights(chosen->uid), chosen->vote);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace brainlock::chain
