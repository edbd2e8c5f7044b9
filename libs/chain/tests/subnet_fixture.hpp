// A subnet of the chain in memory with a coldkey that has funds and a hotkey, for tests of what is read and written.
#pragma once

#include <gmock/gmock.h>

#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "fake_chain.hpp"
#include "vectors.hpp"

namespace brainlock::chain {

inline constexpr std::uint16_t kNetuid = 3;
inline constexpr const char* kPallet = "SubtensorModule";

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

}  // namespace brainlock::chain
