// The client against a genuine Substrate runtime that is not Bittensor's: `tests/substrate/run.sh` starts one and sets
// BRAINLOCK_TEST_SUBSTRATE. Skipped otherwise. What the subnet's calls stand on is shown here on foreign ground:
// metadata, storage, signatures, eras, nonces, inclusion, events, and errors in a node's own words.
#include <gtest/gtest.h>

#include "live_node.hpp"

namespace brainlock::chain {
namespace {

class SubstrateRuntime : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* endpoint = std::getenv("BRAINLOCK_TEST_SUBSTRATE");
    if (endpoint == nullptr || *endpoint == '\0') GTEST_SKIP() << "BRAINLOCK_TEST_SUBSTRATE is not set";
    auto opened = open_transport(endpoint);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    transport = std::shared_ptr<Transport>(std::move(*opened));
    client = std::make_unique<ChainClient>(transport);
    const auto view = client->best();
    ASSERT_TRUE(view.ok()) << view.error().to_string();
    metadata = view->metadata;
    for (const auto* key : {&alice, &bob}) ASSERT_NO_FATAL_FAILURE(fund(*key));
  }
  static std::vector<Value> account_key(const ledger::Signer& key) { return {Value::bytes(key.account())}; }

  // A balance where there was none: nobody has one in this chain's first block.
  void fund(const ledger::Signer& key) {
    if (free_of(key) > 0) return;
    scale_codec::Encoder account;
    account.u32(0).u32(0).u32(1).u32(0);         // nonce, consumers, providers, sufficients
    account.u64(kFunds).u64(0);                  // free, 128 bits
    for (int i = 0; i < 6; ++i) account.u64(0);  // reserved and two kinds of frozen
    const auto name = storage_key(*metadata, "System", "Account", account_key(key));
    ASSERT_TRUE(name.ok()) << name.error().to_string();
    const auto set = transport->request(
        "dev_setStorage",
        "[[[\"" + crypto::hex_encode_0x(*name) + "\",\"" + crypto::hex_encode_0x(account.data()) + "\"]]]",
        Milliseconds{30'000});
    ASSERT_TRUE(set.ok() && !set->error);
    ASSERT_EQ(free_of(key), kFunds);
  }
  std::uint64_t free_of(const ledger::Signer& key) {
    const auto account = client->read(client->best().value(), "System", "Account", account_key(key));
    EXPECT_TRUE(account.ok()) << (account.ok() ? "" : account.error().to_string());
    return account.ok() ? account->field("data").value()->field("free").value()->as_u64().value() : 0;
  }
  crypto::Bytes remark(std::size_t size) const {
    return encode_call(*metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes(size, 7))}}).value();
  }
  crypto::Bytes transfer(const ledger::Signer& to, std::uint64_t value) const {
    return encode_call(
               *metadata, "Balances", "transfer_keep_alive",
               {{"dest", Value::variant("Id", {{"", Value::bytes(to.account())}})}, {"value", Value::number(value)}})
        .value();
  }
  SigningContext context(const ledger::Signer& key, const SubmitOptions& options = {}) {
    const auto now = client->signing_context(key.account(), options);
    EXPECT_TRUE(now.ok()) << (now.ok() ? "" : now.error().to_string());
    return now.ok() ? *now : SigningContext{};
  }
  // The client's own form but for one thing: this runtime has an optional asset to pay fees in where Bittensor's has
  // the mode of CheckMetadataHash (both are one zero byte), and no hash of metadata at the end of what is signed.
  static crypto::Bytes sign(const crypto::Bytes& call, const SigningContext& context, const ledger::Signer& key) {
    crypto::Bytes payload = signed_bytes(call, context);
    payload.pop_back();
    if (payload.size() > 256) {
      const auto hash = crypto::blake2b_256(payload);
      payload.assign(hash.begin(), hash.end());
    }
    return assemble_extrinsic(call, context, key.account(), key.sign(payload).value());
  }
  Submission send(const crypto::Bytes& extrinsic) {
    const auto sent = client->submit_signed(extrinsic);
    EXPECT_TRUE(sent.ok()) << (sent.ok() ? "" : sent.error().to_string());
    return sent.ok() ? *sent : Submission{};
  }
  Submission send(const crypto::Bytes& call, const ledger::Signer& key) { return send(sign(call, context(key), key)); }
  static std::string refusal(const Submission& sent) { return sent.refusal ? sent.refusal->name : "none"; }

  static constexpr std::uint64_t kFunds = 100'000'000'000'000'000;
  std::shared_ptr<Transport> transport;
  std::unique_ptr<ChainClient> client;
  std::shared_ptr<const Metadata> metadata;
  const ledger::KeySigner alice = development_signer("//Alice"), bob = development_signer("//Bob");
};

TEST_F(SubstrateRuntime, IsReadButNotSignedForUnasked) {
  const auto rules = check_signing_rules(*metadata);
  ASSERT_FALSE(rules.ok());
  EXPECT_NE(rules.error().to_string().find("ChargeAssetTxPayment"), std::string::npos) << rules.error().to_string();
  const auto refused = client->submit(alice, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);

  const auto view = client->best().value();
  EXPECT_EQ(constant_value(*metadata, "System", "SS58Prefix")->as_u64().value(),
            2u);  // Not ours: addresses of 42 are taken all the same.
  EXPECT_EQ(client->read(view, "System", "BlockHash", {Value::number(0)})->as_account().value(),
            client->genesis().value());
  const auto items =
      client->read_items(view, "System", {{"Number", {}}, {"NoSuchItem", {}}, {"Account", account_key(bob)}});
  ASSERT_TRUE(items.ok()) << items.error().to_string();
  EXPECT_EQ((*items)[0]->as_u64().value(), view.number);
  EXPECT_FALSE((*items)[1].has_value());
  EXPECT_TRUE((*items)[2].has_value());
  const auto missing = transport->request("no_such_method", "[]", Milliseconds{10'000});
  ASSERT_TRUE(missing.ok() && missing->error);
  EXPECT_EQ(to_error(*missing->error, "no_such_method").code, ErrorCode::kUnsupported);
}

TEST_F(SubstrateRuntime, IncludesWhatIsSignedAndTellsWhatFailed) {
  for (const std::size_t size : {3u, 200u, 5000u}) {  // The payload of the last two is hashed before it is signed.
    const auto sent = send(remark(size), alice);
    EXPECT_TRUE(sent.succeeded()) << size << ": " << refusal(sent);
    EXPECT_TRUE(sent.events_known);
  }
  const auto before = free_of(bob);
  EXPECT_TRUE(send(transfer(bob, 1'000'000'000'000), alice).succeeded());
  EXPECT_EQ(free_of(bob), before + 1'000'000'000'000);

  const auto too_much = send(transfer(alice, 4 * kFunds), bob);
  EXPECT_TRUE(too_much.included);
  EXPECT_EQ(refusal(too_much), "Balances.InsufficientBalance");
  const auto not_root =
      send(encode_call(*metadata, "System", "set_heap_pages", {{"pages", Value::number(9)}}).value(), alice);
  EXPECT_TRUE(not_root.included);
  EXPECT_EQ(refusal(not_root), "BadOrigin");
}

TEST_F(SubstrateRuntime, RefusalsHaveTheirNames) {
  const auto call = remark(1);
  const auto good = context(alice);
  auto other_chain = good;
  other_chain.genesis[0] ^= 1;
  EXPECT_EQ(refusal(send(sign(call, other_chain, alice))), "BadProof");
  auto forged = sign(call, good, alice);
  forged[60] ^= 1;
  EXPECT_EQ(refusal(send(forged)), "BadProof");
  auto old_runtime = good;
  ++old_runtime.spec_version;
  EXPECT_EQ(refusal(send(sign(call, old_runtime, alice))), "BadProof");

  const auto once = sign(call, good, alice);
  EXPECT_TRUE(send(once).succeeded());
  const auto again = send(once);
  EXPECT_FALSE(again.included);
  EXPECT_EQ(refusal(again), "Stale");

  const auto pauper = development_signer("//Nobody");
  const auto unpaid = send(call, pauper);
  EXPECT_FALSE(unpaid.included);
  EXPECT_EQ(refusal(unpaid), "Payment");

  const auto cut = send(crypto::Bytes(once.begin(), once.end() - 1));
  EXPECT_FALSE(cut.included);
  EXPECT_TRUE(cut.refusal.has_value());
}

TEST_F(SubstrateRuntime, MakesBlocksWhenAsked) {
  LiveNode node(transport, 1);
  const auto before = node.number();
  node.advance(20);
  EXPECT_GE(node.number(), before + 20);
  // The era of what is signed now began in a block that is not the first one.
  const auto now = context(alice, {.era_period = 16});
  EXPECT_GT(now.era.birth(node.number()), 0u);
  EXPECT_TRUE(send(sign(remark(2), now, alice)).succeeded());
}

}  // namespace
}  // namespace brainlock::chain
