// KeySigner: a ledger Signer that holds an sr25519 key pair.
#pragma once

#include <utility>

#include "brainlock/crypto/sr25519.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::ledger {

/// Owns the pair; its secret is wiped with it. Safe from many threads.
class KeySigner final : public Signer {
 public:
  explicit KeySigner(crypto::Sr25519KeyPair pair) : pair_(std::move(pair)) {}
  [[nodiscard]] AccountId account() const override { return pair_.public_key(); }
  [[nodiscard]] Result<std::array<std::uint8_t, 64>> sign(std::span<const std::uint8_t> message) const override {
    return pair_.sign(message);
  }

 private:
  crypto::Sr25519KeyPair pair_;
};

}  // namespace brainlock::ledger
