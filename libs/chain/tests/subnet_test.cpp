#include "brainlock/chain/subnet.hpp"

#include <gmock/gmock.h>

#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "fake_chain.hpp"
#include "temporary_folder.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;
using ::testing::HasSubstr;

constexpr std::uint16_t kNetuid = 3;
constexpr const char* kPallet = "SubtensorModule";

class SubnetTest : public ::testing::Test {
 protected:
  SubnetTest() {
    static const auto blob = read_vector_file("metadata-spec224.scale");
    static const auto metadata = std::make_shared<const Metadata>(Metadata::decode(blob).value());
    chain = std::make_shared<FakeChain>(metadata, blob);
    chain->add_subnet(kNetuid, 4);
    client = std::make_unique<ChainClient>(chain);
    fund(coldkey.account(), 2'000'000'000);
    chain->mine(5);
  }
  void fund(const crypto::AccountId& account, std::uint64_t rao) {
    chain->put("System", "Account", {Value::bytes(account)},
               Value::record({{"nonce", Value::number(0)},
                              {"consumers", Value::number(0)},
                              {"providers", Value::number(1)},
                              {"sufficients", Value::number(0)},
                              {"data", Value::record({{"free", Value::number(rao)},
                                                      {"reserved", Value::number(0)},
                                                      {"frozen", Value::number(0)},
                                                      {"flags", Value::number(0)}})}}));
  }
  ledger::Outcome must(Result<ledger::Outcome> outcome) {
    EXPECT_TRUE(outcome.ok()) << (outcome.ok() ? "" : outcome.error().to_string());
    return outcome.ok() ? *outcome : ledger::Outcome{};
  }
  void make_validator() {
    ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
    std::vector<Value> permits(4, Value::boolean(false));
    permits.push_back(Value::boolean(true));
    chain->put(kPallet, "ValidatorPermit", {Value::number(kNetuid)}, Value::list(permits));
    chain->mine(200);  // Past the weights rate limit after registration.
  }
  static ledger::KeySigner signer(const char* uri) { return ledger::KeySigner(crypto::Sr25519KeyPair::from_uri(uri).value()); }

  std::shared_ptr<FakeChain> chain;
  std::unique_ptr<ChainClient> client;
  ledger::KeySigner coldkey = signer("//Alice");
  ledger::KeySigner hotkey = signer("//Bob");
  const std::vector<ledger::Weight> vote{{0, 65535}, {2, 30000}};
};

TEST_F(SubnetTest, RegistrationIsConfirmedByItsUid) {
  const auto out = must(register_neuron(*client, coldkey, kNetuid, hotkey.account(), 600'000'000));
  EXPECT_TRUE(out.accepted()) << out.message;
  EXPECT_EQ(out.uid, 4);
  EXPECT_EQ(out.block, chain->number());
  const auto again = must(register_neuron(*client, coldkey, kNetuid, hotkey.account()));
  EXPECT_EQ(again.refusal, Refusal::kAlreadyRegistered);
  EXPECT_EQ(again.uid, 4);
  EXPECT_EQ(chain->submitted, 1);
}

TEST_F(SubnetTest, RegistrationRefusalsCostNothing) {
  EXPECT_EQ(must(register_neuron(*client, coldkey, 99, hotkey.account())).refusal, Refusal::kSubnetUnknown);
  EXPECT_EQ(must(register_neuron(*client, hotkey, kNetuid, hotkey.account())).refusal, Refusal::kNotEnoughBalance);
  const auto dear = must(register_neuron(*client, coldkey, kNetuid, hotkey.account(), 1));
  EXPECT_THAT(dear.message, HasSubstr("above the limit"));
  chain->put(kPallet, "NetworkRegistrationAllowed", {Value::number(kNetuid)}, Value::boolean(false));
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).refusal, Refusal::kRegistrationClosed);
  EXPECT_EQ(chain->submitted, 0);
}

TEST_F(SubnetTest, TheSameOverHttp) {
  chain->http_only = true;
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).uid, 4);
}

TEST_F(SubnetTest, ALostConnectionAfterSubmissionStillFindsTheBlock) {
  chain->lose_connection_after_submit = true;
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).uid, 4);
  EXPECT_EQ(chain->submitted, 1);
}

TEST_F(SubnetTest, AxonIsServedOnceAndReadBack) {
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  ledger::Axon axon{.ip = "1.2.3.4", .port = 8091, .version = 100, .protocol = 4, .served_block = 0};
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_EQ(chain->submitted, 2);  // The second call found the address in place.
  const auto stored = read_axon(*client, *client->best(), kNetuid, hotkey.account());
  EXPECT_EQ((*stored)->ip, "1.2.3.4");
  EXPECT_EQ((*stored)->port, 8091);
  axon.port = 9000;
  const auto soon = must(serve_axon(*client, hotkey, kNetuid, axon));
  EXPECT_EQ(soon.refusal, Refusal::kTooSoon);
  EXPECT_EQ(soon.blocks_to_wait, 50u);
  chain->mine(50);
  axon.ip = "2001:db8::1";
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_EQ((*read_axon(*client, *client->best(), kNetuid, hotkey.account()))->ip, "2001:db8::1");
}

TEST_F(SubnetTest, AxonRefusalsWithAndWithoutErrorCodes) {
  for (const bool silent : {false, true}) {
    chain->silent_errors = silent;
    ledger::Axon axon{.ip = "1.2.3.4", .port = 1, .version = 1, .protocol = 4, .served_block = 0};
    EXPECT_EQ(must(serve_axon(*client, hotkey, kNetuid, axon)).refusal, Refusal::kNotRegistered);
    axon.port = 0;
    EXPECT_EQ(must(serve_axon(*client, hotkey, kNetuid, axon)).refusal, Refusal::kBadPort);
    axon.port = 1;
    axon.ip = "host.example";
    EXPECT_EQ(must(serve_axon(*client, hotkey, kNetuid, axon)).refusal, Refusal::kBadAddress);
  }
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  const ledger::Axon loopback{.ip = "127.0.0.1", .port = 1, .version = 1, .protocol = 4, .served_block = 0};
  for (const bool silent : {false, true}) {
    chain->silent_errors = silent;
    const auto out = must(serve_axon(*client, hotkey, kNetuid, loopback));
    EXPECT_EQ(out.refusal, Refusal::kBadAddress);
    EXPECT_THAT(out.message, HasSubstr("InvalidIpAddress"));
  }
}

TEST_F(SubnetTest, BadSignatureWrongGenesisAndReplayAreNamed) {
  for (const bool silent : {false, true}) {
    chain->silent_errors = silent;
    chain->tamper = [](crypto::Bytes& bytes) { bytes[50] ^= 1; };
    const auto bad = client->submit(coldkey, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
    EXPECT_EQ(bad->refusal->name, "BadProof");
    chain->tamper = nullptr;
    const auto view = client->best();
    auto context = *client->signing_context(coldkey.account(), {});
    const auto call = *encode_call(*view->metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
    context.genesis[0] ^= 1;
    EXPECT_EQ(client->submit_signed(*sign_extrinsic(*view->metadata, call, context, coldkey))->refusal->name, "BadProof");
    context.genesis[0] ^= 1;
    const auto good = *sign_extrinsic(*view->metadata, call, context, coldkey);
    EXPECT_TRUE(client->submit_signed(good)->succeeded());
    EXPECT_EQ(client->submit_signed(good)->refusal->name, "Stale");
  }
}

TEST_F(SubnetTest, MetagraphFromPlainStorage) {
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  chain->put(kPallet, "TotalHotkeyAlpha", {Value::bytes(hotkey.account()), Value::number(kNetuid)}, Value::number(77));
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  ASSERT_EQ(graph->neurons.size(), 5u);
  EXPECT_EQ(graph->block, chain->number());
  EXPECT_EQ(graph->parameters.tempo, 20);
  const auto* neuron = graph->find(hotkey.account());
  ASSERT_NE(neuron, nullptr);
  EXPECT_EQ(neuron->uid, 4);
  EXPECT_EQ(neuron->coldkey, coldkey.account());
  EXPECT_EQ(neuron->stake_rao, 77u);
  EXPECT_FALSE(neuron->axon.has_value());
  EXPECT_EQ(graph->neurons[1].hotkey, chain->neuron_key(1));
  EXPECT_GT(graph->next_epoch_block(), graph->block);
  EXPECT_EQ(read_metagraph(*client, *client->best(), 99, false).error().code, ErrorCode::kNotFound);
}

TEST_F(SubnetTest, MetagraphOf256NeuronsIsCheap) {
  chain->add_subnet(kNetuid, 256);
  const auto view = *client->best();
  ASSERT_TRUE(read_metagraph(*client, view, kNetuid, false).ok());
  chain->requests = 0;
  const auto graph = read_metagraph(*client, view, kNetuid, true);
  EXPECT_EQ(graph->neurons.size(), 256u);
  EXPECT_LT(chain->requests, 60);
}

TEST_F(SubnetTest, PlainWeightsLandAndAreReadBack) {
  make_validator();
  const auto out = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_TRUE(out.accepted()) << out.message;
  EXPECT_EQ(*read_weights(*client, *client->best(), kNetuid, 4), vote);
  const auto soon = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_EQ(soon.refusal, Refusal::kTooSoon);
  EXPECT_THAT(soon.message, HasSubstr("next allowed in"));
  EXPECT_GT(soon.blocks_to_wait, 0u);
}

TEST_F(SubnetTest, VotesAreJudgedBeforeTheyAreSent) {
  EXPECT_EQ(must(set_weights_plain(*client, hotkey, kNetuid, vote, 0)).refusal, Refusal::kNotRegistered);
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  chain->mine(200);
  const auto refusal = [&](std::vector<ledger::Weight> weights, std::uint64_t version = 0) {
    return must(set_weights_plain(*client, hotkey, kNetuid, weights, version)).refusal;
  };
  EXPECT_EQ(refusal(vote), Refusal::kNoPermit);
  EXPECT_EQ(refusal({}), Refusal::kNoWeights);
  EXPECT_EQ(refusal({{0, 0}}), Refusal::kNoWeights);
  EXPECT_EQ(refusal({{0, 1}, {0, 1}}), Refusal::kDuplicateUid);
  EXPECT_EQ(refusal({{99, 1}}), Refusal::kUnknownUid);
  chain->put(kPallet, "WeightsVersionKey", {Value::number(kNetuid)}, Value::number(5));
  EXPECT_EQ(refusal(vote, 4), Refusal::kVersionTooOld);
  chain->put(kPallet, "StakeThreshold", {}, Value::number(1000));
  EXPECT_EQ(refusal(vote, 5), Refusal::kStakeTooLow);
  EXPECT_EQ(chain->submitted, 1);
}

TEST_F(SubnetTest, DispatchErrorsAreNamed) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const auto out = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_EQ(out.refusal, Refusal::kCommitRevealOnly);
  EXPECT_THAT(out.message, HasSubstr("SubtensorModule.CommitRevealEnabled"));
}

TEST_F(SubnetTest, LedgerCommitsAndRevealsAcrossARestart) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  std::uint64_t reveal_block = 0;
  {
    auto first = ChainLedger::open(chain, {kNetuid, folder.path()});
    ASSERT_TRUE(first.ok()) << first.error().to_string();
    EXPECT_THAT(*(*first)->voting_notice(), HasSubstr("commits"));
    const auto out = must((*first)->set_weights(hotkey, vote, 0));
    ASSERT_TRUE(out.accepted()) << out.message;
    ASSERT_TRUE(out.revealed_at_block.has_value());
    reveal_block = *out.revealed_at_block;
    EXPECT_TRUE((*first)->weights(4)->empty());
  }
  auto second = ChainLedger::open(chain, {kNetuid, folder.path()});
  auto report = (*second)->reveal_due(hotkey);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->waiting, 1);
  EXPECT_EQ(report->next_reveal_block, reveal_block);
  chain->mine(reveal_block - chain->number());
  report = (*second)->reveal_due(hotkey);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->revealed, 1) << (report->messages.empty() ? "" : report->messages.front());
  EXPECT_EQ(*(*second)->weights(4), vote);
  EXPECT_EQ((*second)->reveal_due(hotkey)->waiting, 0);
}

TEST_F(SubnetTest, CommitsThatMissedTheirWindowAreDropped) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  ASSERT_TRUE(must((*ledger)->set_weights(hotkey, vote, 0)).accepted());
  chain->mine(100);
  const auto report = (*ledger)->reveal_due(hotkey);
  EXPECT_EQ(report->dropped, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(SubnetTest, LedgerIsRefusedForAnUnknownSubnetAndTellsTheTime) {
  EXPECT_EQ(ChainLedger::open(chain, {99, {}}).error().code, ErrorCode::kNotFound);
  auto ledger = ChainLedger::open(chain, {kNetuid, {}});
  const auto time = (*ledger)->block_time();
  EXPECT_EQ(time->block, chain->number());
  EXPECT_EQ(time->block_interval_ms, 12'000);
  EXPECT_THAT((*ledger)->describe(), HasSubstr("fake chain"));
  EXPECT_EQ((*ledger)->netuid(), kNetuid);
  EXPECT_TRUE((*ledger)->metagraph(true).ok());
}

TEST(CommitReveal, KnownHashAndFileForm) {
  const auto& v = known_answers()["commit_reveal_v2"];
  PendingCommit commit;
  const auto hotkey = unhex(v["hotkey"]);
  std::copy(hotkey.begin(), hotkey.end(), commit.hotkey.begin());
  commit.netuid = v["storage_index"];
  commit.uids = v["uids"].get<std::vector<std::uint16_t>>();
  commit.values = v["values"].get<std::vector<std::uint16_t>>();
  commit.salt = v["salt"].get<std::vector<std::uint16_t>>();
  commit.version_key = v["version_key"];
  EXPECT_EQ(crypto::hex_encode_0x(commit.hash()), v["hash"]);
  const auto text = CommitStore::to_text(commit);
  EXPECT_EQ(*CommitStore::from_text(text), commit);
  for (std::size_t size = 0; size + 1 < text.size(); ++size) EXPECT_FALSE(CommitStore::from_text(text.substr(0, size)).ok());
  auto changed = text;
  changed.replace(changed.find("40000"), 5, "40001");
  EXPECT_EQ(CommitStore::from_text(changed).error().code, ErrorCode::kCorrupted);
}

TEST(ChainIp, BothFamiliesBothWays) {
  EXPECT_TRUE(ip_to_chain("1.2.3.4")->value == 0x01020304);
  EXPECT_EQ(ip_to_chain("::1")->type, 6);
  for (const char* text : {"1.2.3.4", "255.255.255.255", "::1", "2001:db8::ff"}) {
    EXPECT_EQ(*ip_from_chain(*ip_to_chain(text)), text);
  }
  EXPECT_FALSE(ip_from_chain({U128{1} << 40, 4}).ok());
  EXPECT_FALSE(ip_from_chain({0, 5}).ok());
  EXPECT_FALSE(ip_to_chain("localhost").ok());
}

TEST(Refusal, EveryFormOfTheNodesWords) {
  const auto name = [](RpcError error) { return refusal_from_rpc(error).name; };
  EXPECT_EQ(name({1010, "Invalid Transaction", "Custom error: 10"}), "Custom(10) HotKeyNotRegisteredInNetwork");
  EXPECT_EQ(name({{}, "{\"invalid\":{\"custom\":255}}", {}}), "Custom(255) BadRequest");
  EXPECT_EQ(name({{}, "{\"invalid\":{\"custom\":99}}", {}}), "Custom(99)");
  EXPECT_EQ(name({1010, "Invalid Transaction", "Transaction has an ancient birth block"}), "AncientBirthBlock");
  EXPECT_EQ(name({{}, "{\"invalid\":{\"payment\":null}}", {}}), "Payment");
  EXPECT_EQ(name({1012, "Transaction is temporarily banned", {}}), "Banned");
  EXPECT_EQ(name({1013, "Transaction is already imported", {}}), "AlreadyImported");
  EXPECT_EQ(name({1014, "Priority is too low", {}}), "PriorityTooLow");
  EXPECT_EQ(name({{}, "something else", {}}), "InvalidTransaction");
  EXPECT_EQ(refusal_from_dispatch("SubtensorModule.NeuronNoValidatorPermit").refusal, Refusal::kNoPermit);
  EXPECT_EQ(refusal_from_dispatch("BadOrigin").name, "BadOrigin");
  EXPECT_FALSE(refusal_from_dispatch("Made.Up").advice.empty());
}

}  // namespace
}  // namespace brainlock::chain
