// Against a node: set BRAINLOCK_TEST_CHAIN to its address. The development accounts //Alice and others must be funded
// there; blocks may come by themselves, when a test node is asked, or with each transaction alone. Skipped otherwise.
// The subnet is BRAINLOCK_TEST_NETUID, else the first that there is, else one that //Alice registers. What a test needs
// otherwise (commit-reveal on or off, a short tempo, open registration) is arranged where anybody here may (see
// live_node.hpp) and put back afterwards. What nobody may change is waited for; what cannot be shown on this chain is
// named, and the test then counts as skipped. BRAINLOCK_TEST_VALIDATOR names the secret URI of a hotkey with a permit;
// without one a new neuron votes for itself, which needs none.
#include <gtest/gtest.h>

#include <algorithm>

#include "live_node.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;

constexpr const char* kPallet = "SubtensorModule";

class LiveChain : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* endpoint = std::getenv("BRAINLOCK_TEST_CHAIN");
    if (endpoint == nullptr || *endpoint == '\0') GTEST_SKIP() << "BRAINLOCK_TEST_CHAIN is not set";
    std::optional<std::uint16_t> netuid;
    if (const char* number = std::getenv("BRAINLOCK_TEST_NETUID"))
      netuid = static_cast<std::uint16_t>(std::atoi(number));
    auto opened = open_transport(endpoint);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    node = std::make_unique<LiveNode>(std::shared_ptr<Transport>(std::move(*opened)), netuid);
    const auto best = node->client().best();
    ASSERT_TRUE(best.ok()) << best.error().to_string();
    RecordProperty("spec_version", static_cast<int>(best->version.spec_version));
    const auto rules = check_signing_rules(*best->metadata);
    ASSERT_TRUE(rules.ok()) << rules.error().to_string();
    if (!node->find_subnet())
      GTEST_SKIP() << "the chain has no subnet, and //Alice cannot register one; BRAINLOCK_TEST_NETUID names one";
  }
  void TearDown() override {
    if (node) node->put_back();
    std::string names;
    for (const auto& name : not_shown) names += (names.empty() ? "" : "; ") + name;
    if (!names.empty()) GTEST_SKIP() << "not shown on this chain: " << names;
  }
  static ledger::Outcome must(const Result<ledger::Outcome>& outcome) {
    EXPECT_TRUE(outcome.ok()) << (outcome.ok() ? "" : outcome.error().to_string());
    return outcome.ok() ? *outcome : ledger::Outcome{};
  }
  // Sends a call as it is, so that the chain itself judges it.
  Submission send(const ledger::Signer& from, const char* call, const Arguments& arguments) {
    const auto sent = node->client().submit(from, kPallet, call, arguments);
    EXPECT_TRUE(sent.ok()) << (sent.ok() ? "" : sent.error().to_string());
    return sent.ok() ? *sent : Submission{};
  }
  static Refusal refusal_of(const Submission& sent) { return outcome_of(sent).refusal; }
  static std::string words(const Submission& sent) { return sent.refusal ? sent.refusal->to_string() : "no refusal"; }

  ledger::Hyperparameters rules() { return read_hyperparameters(node->client(), node->view(), node->netuid()).value(); }
  std::optional<ledger::Uid> register_new(const crypto::AccountId& hotkey) {
    const auto out = must(node->register_patiently(hotkey));
    EXPECT_TRUE(out.accepted()) << out.message;
    return out.accepted() ? out.uid : std::nullopt;
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
    const auto graph = read_metagraph(node->client(), node->view(), node->netuid(), false);
    EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().to_string());
    if (!graph.ok()) return {};
    for (const auto& uri : candidates) {
      auto key = development_signer(uri);
      const auto* neuron = graph->find(key.account());
      if (neuron == nullptr || !neuron->validator_permit) continue;
      std::vector<ledger::Weight> vote;
      const auto least = std::max<std::size_t>(graph->parameters.min_allowed_weights, 2);
      for (const auto& other : graph->neurons) {
        if (other.uid != neuron->uid && vote.size() < least) {
          vote.push_back({other.uid, static_cast<std::uint16_t>(vote.empty() ? 65535 : 30000)});
        }
      }
      if (vote.size() >= std::min<std::size_t>(graph->parameters.min_allowed_weights, graph->neurons.size()) &&
          !vote.empty()) {
        return Voter{std::move(key), neuron->uid, std::move(vote)};
      }
    }
    auto key = node->fresh();
    const auto uid = register_new(key.account());
    if (!uid) return {};
    return Voter{std::move(key), *uid, {{*uid, 65535}}};
  }
  // Why a vote cannot be had here within reason; empty when it can.
  std::string obstacle(ledger::Uid uid) {
    const auto graph = read_metagraph(node->client(), node->view(), node->netuid(), false).value();
    if (graph.neurons[uid].stake_rao < graph.parameters.stake_threshold_rao)
      return "no development account has the stake that a vote needs";
    if (!node->can_wait(graph.blocks_until_weights_allowed(uid)))
      return "the weights rate limit takes too long to wait for";
    return {};
  }
  void wait_until_allowed(ledger::Uid uid) {
    const auto graph = read_metagraph(node->client(), node->view(), node->netuid(), false);
    ASSERT_TRUE(graph.ok()) << graph.error().to_string();
    node->advance(graph->blocks_until_weights_allowed(uid));
  }
  Arguments plain_vote(const std::vector<ledger::Weight>& vote) const {
    std::vector<std::uint16_t> uids, values;
    for (const auto& weight : vote) {
      uids.push_back(weight.uid);
      values.push_back(weight.value);
    }
    return {{"netuid", Value::number(node->netuid())},
            {"dests", Value::numbers(uids)},
            {"weights", Value::numbers(values)},
            {"version_key", Value::number(version_key)}};
  }
  Arguments axon_call(U128 ip, std::uint16_t port, std::uint8_t type = 4) const {
    return {{"netuid", Value::number(node->netuid())},
            {"version", Value::number(1)},
            {"ip", Value::number(ip)},
            {"port", Value::number(port)},
            {"ip_type", Value::number(type)},
            {"protocol", Value::number(4)},
            {"placeholder1", Value::number(0)},
            {"placeholder2", Value::number(0)}};
  }
  void expect_loopback_refused(const ledger::Signer& hotkey) {
    for (const auto& [ip, type] : {std::pair<U128, std::uint8_t>{0x7f000001, 4}, {1, 6}}) {
      const auto sent = send(hotkey, "serve_axon", axon_call(ip, 8091, type));
      EXPECT_EQ(refusal_of(sent), Refusal::kBadAddress) << words(sent);
    }
  }

  static constexpr std::uint64_t version_key = ~std::uint64_t{0} >> 1;  // Not below any subnet's.
  std::unique_ptr<LiveNode> node;
  std::vector<std::string> not_shown;
};

TEST_F(LiveChain, RegisterServeAndSeeItInTheMetagraph) {
  const auto hotkey = node->fresh();
  const ledger::Axon axon{.ip = "1.2.3.4", .port = 8091, .version = 1, .protocol = 4, .served_block = 0};
  const auto serve = [&](const ledger::Axon& address) {
    return must(serve_axon(node->client(), hotkey, node->netuid(), address));
  };
  EXPECT_EQ(serve(axon).refusal, Refusal::kNotRegistered);
  const auto sent = send(hotkey, "serve_axon", axon_call(0x01020304, 8091));
  EXPECT_EQ(refusal_of(sent), Refusal::kNotRegistered) << words(sent);

  const auto uid = register_new(hotkey.account());
  ASSERT_TRUE(uid.has_value());
  EXPECT_EQ(must(register_neuron(node->client(), node->alice(), node->netuid(), hotkey.account())).refusal,
            Refusal::kAlreadyRegistered);

  const auto refused = serve({.ip = "127.0.0.1", .port = 8091, .version = 1, .protocol = 4, .served_block = 0});
  EXPECT_EQ(refused.refusal, Refusal::kBadAddress) << refused.message;
  expect_loopback_refused(hotkey);
  const auto no_port = send(hotkey, "serve_axon", axon_call(0x01020304, 0));
  EXPECT_EQ(refusal_of(no_port), Refusal::kBadPort) << words(no_port);

  const auto served = serve(axon);
  EXPECT_TRUE(served.accepted()) << served.message;
  const auto before = node->number();
  EXPECT_TRUE(serve(axon).accepted());  // Nothing is sent: the chain has it.
  if (rules().serving_rate_limit > 2 && node->number() <= before + 1) {
    const auto soon = send(hotkey, "serve_axon", axon_call(0x01020305, 8092));
    EXPECT_EQ(refusal_of(soon), Refusal::kTooSoon) << words(soon);
  }

  const auto graph = read_metagraph(node->client(), node->view(), node->netuid(), true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  const auto* neuron = graph->find(hotkey.account());
  ASSERT_NE(neuron, nullptr);
  EXPECT_EQ(neuron->uid, *uid);
  EXPECT_EQ(neuron->coldkey, node->alice().account());
  ASSERT_TRUE(neuron->axon.has_value());
  EXPECT_EQ(neuron->axon->ip, "1.2.3.4");
  EXPECT_EQ(neuron->axon->port, 8091);
  EXPECT_EQ(neuron->axon->served_block, served.block);
  EXPECT_GT(neuron->registered_at, 0u);
}

TEST_F(LiveChain, BadSignatureWrongGenesisAndReplay) {
  const auto now = node->view();
  const auto call = encode_call(*now.metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
  ASSERT_TRUE(call.ok());
  auto context = node->client().signing_context(node->alice().account(), {});
  ASSERT_TRUE(context.ok()) << context.error().to_string();
  const auto submit = [&](const crypto::Bytes& extrinsic) {
    const auto sent = node->client().submit_signed(extrinsic);
    EXPECT_TRUE(sent.ok()) << (sent.ok() ? "" : sent.error().to_string());
    return sent.ok() ? *sent : Submission{};
  };
  auto wrong = *context;
  wrong.genesis[0] ^= 1;
  const auto other_chain = submit(*sign_extrinsic(*now.metadata, *call, wrong, node->alice()));
  ASSERT_TRUE(other_chain.refusal.has_value());
  EXPECT_EQ(other_chain.refusal->name, "BadProof") << words(other_chain);
  auto bad = *sign_extrinsic(*now.metadata, *call, *context, node->alice());
  bad[60] ^= 1;
  const auto forged = submit(bad);
  ASSERT_TRUE(forged.refusal.has_value());
  EXPECT_EQ(forged.refusal->name, "BadProof") << words(forged);
  const auto good = *sign_extrinsic(*now.metadata, *call, *context, node->alice());
  const auto sent = submit(good);
  EXPECT_TRUE(sent.succeeded()) << words(sent);
  EXPECT_TRUE(sent.events_known);
  const auto again = submit(good);
  ASSERT_TRUE(again.refusal.has_value());
  // A pool may also know the transaction itself, as imported already or as banned after its inclusion.
  EXPECT_TRUE(again.refusal->name == "Stale" || again.refusal->name == "AlreadyImported" ||
              again.refusal->name == "Banned")
      << words(again);
}

TEST_F(LiveChain, HyperparametersAndBlockTime) {
  const auto items = list_hyperparameters(node->client(), node->view(), node->netuid());
  ASSERT_TRUE(items.ok()) << items.error().to_string();
  EXPECT_GT(items->size(), 10u);
  const auto transport = node->shared_transport();
  auto ledger = ChainLedger::open(transport, {node->netuid(), {}});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  const auto time = (*ledger)->block_time();
  ASSERT_TRUE(time.ok()) << time.error().to_string();
  EXPECT_GT(time->block_interval_ms, 0);
  EXPECT_TRUE((*ledger)->voting_notice().ok());
  EXPECT_EQ(ChainLedger::open(transport, {60'000, {}}).error().code, ErrorCode::kNotFound);
}

TEST_F(LiveChain, PlainWeightsAndTheirRefusals) {
  if (!node->commit_reveal(false)) GTEST_SKIP() << "commit-reveal is on, and cannot be switched off: " << node->why_not();
  auto chosen = voter();
  ASSERT_TRUE(chosen.has_value());
  if (const auto why = obstacle(chosen->uid); !why.empty()) GTEST_SKIP() << why;
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(node->shared_transport(), {node->netuid(), folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();

  wait_until_allowed(chosen->uid);
  const auto out = must((*ledger)->set_weights(chosen->key, chosen->vote, version_key));
  EXPECT_TRUE(out.accepted()) << out.message;
  const auto stored = (*ledger)->weights(chosen->uid);
  ASSERT_TRUE(stored.ok()) << stored.error().to_string();
  EXPECT_EQ(*stored, chosen->vote);

  const auto limits = rules();
  if (limits.weights_rate_limit > 2) {
    const auto soon = must((*ledger)->set_weights(chosen->key, chosen->vote, version_key));
    EXPECT_EQ(soon.refusal, Refusal::kTooSoon) << soon.message;
    EXPECT_NE(soon.message.find("next allowed in"), std::string::npos) << soon.message;
    const auto direct = send(chosen->key, "set_weights", plain_vote(chosen->vote));
    EXPECT_EQ(refusal_of(direct), Refusal::kTooSoon) << words(direct);
  } else {
    not_shown.emplace_back("a vote too soon (the subnet has no weights rate limit)");
  }
  const auto stranger = send(node->fresh(), "set_weights", plain_vote({{0, 65535}}));
  EXPECT_EQ(refusal_of(stranger), limits.stake_threshold_rao > 0 ? Refusal::kStakeTooLow : Refusal::kNotRegistered)
      << words(stranger);
}

// A permit comes with an epoch, on some runtimes to whoever is there: a neuron that has just come has none. It may vote
// at once only where there is no rate limit, or after the wait that there is.
TEST_F(LiveChain, AVoteForOthersNeedsAPermit) {
  if (!node->commit_reveal(false)) GTEST_SKIP() << "commit-reveal is on, and cannot be switched off: " << node->why_not();
  const bool at_once = node->arrange(kWeightsRateLimit, Value::number(0));
  const auto newcomer = node->fresh();
  const auto uid = register_new(newcomer.account());
  ASSERT_TRUE(uid.has_value());
  if (const auto why = obstacle(*uid); !why.empty()) GTEST_SKIP() << why;
  if (!at_once) wait_until_allowed(*uid);
  const auto graph = read_metagraph(node->client(), node->view(), node->netuid(), false);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  if (graph->neurons[*uid].validator_permit) GTEST_SKIP() << "an epoch gave a permit to a neuron without stake";
  std::vector<ledger::Weight> vote;
  for (const auto& other : graph->neurons) {
    if (other.uid != *uid && vote.size() < std::max<std::size_t>(graph->parameters.min_allowed_weights, 1))
      vote.push_back({other.uid, 65535});
  }
  if (vote.empty()) GTEST_SKIP() << "there is no other neuron to vote for";
  const auto denied = send(newcomer, "set_weights", plain_vote(vote));
  EXPECT_EQ(refusal_of(denied), Refusal::kNoPermit) << words(denied);
  const auto judged = must(set_weights_plain(node->client(), newcomer, node->netuid(), vote, version_key));
  EXPECT_EQ(judged.refusal, Refusal::kNoPermit) << judged.message;
}

TEST_F(LiveChain, CommitsAreRevealedAcrossARestart) {
  if (!node->commit_reveal(true)) GTEST_SKIP() << "commit-reveal is off, and cannot be switched on: " << node->why_not();
  auto chosen = voter();
  ASSERT_TRUE(chosen.has_value());
  if (const auto why = obstacle(chosen->uid); !why.empty()) GTEST_SKIP() << why;
  wait_until_allowed(chosen->uid);
  const auto plain = send(chosen->key, "set_weights", plain_vote(chosen->vote));
  EXPECT_EQ(refusal_of(plain), Refusal::kCommitRevealOnly) << words(plain);
  const auto scheme = vote_scheme(node->client(), node->view(), node->netuid(), false);
  ASSERT_TRUE(scheme.ok()) << scheme.error().to_string();
  if (*scheme != VoteScheme::kHashCommit) GTEST_SKIP() << vote_notice(*scheme);

  const TemporaryFolder folder;
  const auto open = [&] { return ChainLedger::open(node->shared_transport(), {node->netuid(), folder.path()}); };
  std::uint64_t reveal_block = 0;
  {
    auto ledger = open();
    ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
    const auto out = must((*ledger)->set_weights(chosen->key, chosen->vote, version_key));
    ASSERT_TRUE(out.accepted()) << out.message;
    ASSERT_TRUE(out.revealed_at_block.has_value());
    reveal_block = *out.revealed_at_block;
    EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
  }
  auto ledger = open();
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  auto report = (*ledger)->reveal_due(chosen->key);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  if (reveal_block > node->number() + 1) {
    EXPECT_EQ(report->waiting, 1);
    if (!node->can_wait(reveal_block - node->number())) {
      not_shown.emplace_back("the reveal (its epoch takes too long to wait for)");
      return;
    }
  }
  for (int tries = 0; tries < 20 && report->revealed == 0 && report->dropped == 0; ++tries) {
    node->advance(reveal_block > node->number() + 1 ? reveal_block - node->number() - 1 : 1);
    report = (*ledger)->reveal_due(chosen->key);
    ASSERT_TRUE(report.ok()) << report.error().to_string();
  }
  EXPECT_EQ(report->revealed, 1) << (report->messages.empty() ? "" : report->messages.front());
  EXPECT_EQ(*(*ledger)->weights(chosen->uid), chosen->vote);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace brainlock::chain
