#include "brainlock/protocol/tls_proof.hpp"

#include <gtest/gtest.h>

namespace brainlock::protocol {
namespace {

TEST(TlsProof, HoldsForItsAccountAndKeyOnly) {
  const Signer alice = make_signer(crypto::Sr25519KeyPair::from_uri("//Alice").value().clone());
  const Signer bob = make_signer(crypto::Sr25519KeyPair::from_uri("//Bob").value().clone());
  const std::array<std::uint8_t, 32> key{1, 2, 3};
  const auto proof = make_tls_proof(alice, key);
  ASSERT_TRUE(proof.ok());
  ASSERT_EQ(proof->size(), 96u);
  EXPECT_TRUE(check_tls_proof(alice.account, key, *proof));
  EXPECT_FALSE(check_tls_proof(bob.account, key, *proof));
  auto other_key = key;
  other_key[31] ^= 1;
  EXPECT_FALSE(check_tls_proof(alice.account, other_key, *proof));
  for (std::size_t at = 0; at < proof->size(); ++at) {
    auto changed = *proof;
    changed[at] ^= 4;
    EXPECT_FALSE(check_tls_proof(alice.account, key, changed)) << at;
    EXPECT_FALSE(check_tls_proof(alice.account, key, std::span(*proof).first(at)));
  }
  auto longer = *proof;
  longer.push_back(0);
  EXPECT_FALSE(check_tls_proof(alice.account, key, longer));
}

}  // namespace
}  // namespace brainlock::protocol
