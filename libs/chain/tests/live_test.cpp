// Against a node: set BRAINLOCK_TEST_CHAIN to its address (and BRAINLOCK_TEST_NETUID, 1 when left out). The development
// accounts //Alice and others must be funded there. Skipped otherwise.
#include <gmock/gmock.h>

#include <cstdlib>

#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;

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
    const auto view = client->best();
    ASSERT_TRUE(view.ok()) << view.error().to_string();
    RecordProperty("spec_version", static_cast<int>(view->version.spec_version));
    ASSERT_TRUE(check_signing_rules(*view->metadata).ok()) << check_signing_rules(*view->metadata).error().to_string();
  }
  static ledger::KeySigner signer(const char* uri) { return ledger::KeySigner(crypto::Sr25519KeyPair::from_uri(uri).value()); }
  static ledger::KeySigner fresh() {
    return ledger::KeySigner(crypto::Sr25519KeyPair::from_mini_secret(crypto::generate_mini_secret().view()).value());
  }
  static ledger::Outcome must(Result<ledger::Outcome> outcome) {
    EXPECT_TRUE(outcome.ok()) << (outcome.ok() ? "" : outcome.error().to_string());
    return outcome.ok() ? *outcome : ledger::Outcome{};
  }

  std::uint16_t netuid = 1;
  std::shared_ptr<Transport> transport;
  std::unique_ptr<ChainClient> client;
};

TEST_F(LiveChain, RegisterServeAndSeeItInTheMetagraph) {
  const auto coldkey = signer("//Alice");
  const auto hotkey = fresh();
  const ledger::Axon axon{.ip = "1.2.3.4", .port = 8091, .version = 1, .protocol = 4, .served_block = 0};
  EXPECT_EQ(must(serve_axon(*client, hotkey, netuid, axon)).refusal, Refusal::kNotRegistered);
  const auto registered = must(register_neuron(*client, coldkey, netuid, hotkey.account()));
  ASSERT_TRUE(registered.accepted()) << registered.message;
  const ledger::Axon loopback{.ip = "127.0.0.1", .port = 8091, .version = 1, .protocol = 4, .served_block = 0};
  EXPECT_EQ(must(serve_axon(*client, hotkey, netuid, loopback)).refusal, Refusal::kBadAddress);
  const auto served = must(serve_axon(*client, hotkey, netuid, axon));
  EXPECT_TRUE(served.accepted()) << served.message;
  const auto graph = read_metagraph(*client, *client->best(), netuid, true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  const auto* neuron = graph->find(hotkey.account());
  ASSERT_NE(neuron, nullptr);
  EXPECT_EQ(neuron->uid, registered.uid);
  EXPECT_EQ(neuron->coldkey, coldkey.account());
  ASSERT_TRUE(neuron->axon.has_value());
  EXPECT_EQ(neuron->axon->ip, "1.2.3.4");
  EXPECT_EQ(must(register_neuron(*client, coldkey, netuid, hotkey.account())).refusal, Refusal::kAlreadyRegistered);
  // A new neuron may not vote for others, and is told why.
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(transport, {netuid, folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  const auto vote = must((*ledger)->set_weights(hotkey, std::vector<ledger::Weight>{{0, 65535}}, 0));
  EXPECT_FALSE(vote.accepted());
  EXPECT_NE(vote.refusal, Refusal::kOther) << vote.message;
}

TEST_F(LiveChain, BadSignatureWrongGenesisAndReplay) {
  const auto alice = signer("//Alice");
  const auto view = client->best();
  const auto call = encode_call(*view->metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
  ASSERT_TRUE(call.ok());
  auto context = client->signing_context(alice.account(), {});
  ASSERT_TRUE(context.ok()) << context.error().to_string();
  const auto send = [&](const crypto::Bytes& extrinsic) {
    const auto sent = client->submit_signed(extrinsic);
    EXPECT_TRUE(sent.ok()) << (sent.ok() ? "" : sent.error().to_string());
    return sent.ok() ? *sent : Submission{};
  };
  auto wrong = *context;
  wrong.genesis[0] ^= 1;
  EXPECT_TRUE(send(*sign_extrinsic(*view->metadata, *call, wrong, alice)).refusal.has_value());
  auto bad = *sign_extrinsic(*view->metadata, *call, *context, alice);
  bad[60] ^= 1;
  EXPECT_TRUE(send(bad).refusal.has_value());
  const auto good = *sign_extrinsic(*view->metadata, *call, *context, alice);
  const auto sent = send(good);
  EXPECT_TRUE(sent.succeeded());
  EXPECT_TRUE(sent.events_known);
  EXPECT_TRUE(send(good).refusal.has_value());
}

TEST_F(LiveChain, HyperparametersAndBlockTime) {
  const auto view = client->best();
  const auto items = list_hyperparameters(*client, *view, netuid);
  ASSERT_TRUE(items.ok()) << items.error().to_string();
  EXPECT_GT(items->size(), 10u);
  auto ledger = ChainLedger::open(transport, {netuid, {}});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  EXPECT_TRUE((*ledger)->block_time().ok());
}

}  // namespace
}  // namespace brainlock::chain
