#include "brainlock/ledger/key_signer.hpp"

#include <gtest/gtest.h>

namespace brainlock::ledger {
namespace {

TEST(KeySigner, SignsForItsAccount) {
  const KeySigner signer(crypto::Sr25519KeyPair::from_uri("//Alice").value());
  const std::uint8_t message[] = {1, 2, 3};
  const auto signature = signer.sign(message).value();
  EXPECT_EQ(signer.account()[0], 0xd4);
  EXPECT_TRUE(crypto::sr25519_verify(signer.account(), std::span<const std::uint8_t>(message), signature));
}

}  // namespace
}  // namespace brainlock::ledger
