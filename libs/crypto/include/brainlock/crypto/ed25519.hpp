// Ed25519 (RFC 8032): signatures that are the same each time, for what is published. The chain's signatures are
// sr25519.
#pragma once

#include <array>
#include <cstdint>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/secret.hpp"

namespace brainlock::crypto {

using Ed25519PublicKey = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;

/// A key pair in locked memory. Move-only; const members are safe from many threads.
class Ed25519KeyPair {
 public:
  static constexpr std::size_t kSeedBytes = 32;

  /// A fresh one, from the operating system's randomness.
  [[nodiscard]] static Ed25519KeyPair generate();
  /// Expands a seed. kInvalidArgument on another length than 32 bytes.
  [[nodiscard]] static Result<Ed25519KeyPair> from_seed(ByteView seed);

  [[nodiscard]] const Ed25519PublicKey& public_key() const { return public_key_; }
  /// The seed, to be kept; a named copy of the secret.
  [[nodiscard]] SecretBuffer seed() const;
  /// Signs a message of any length. Constant time in the key.
  [[nodiscard]] Ed25519Signature sign(ByteView message) const;

 private:
  Ed25519KeyPair() = default;
  SecretBuffer secret_;
  Ed25519PublicKey public_key_{};
};

/// Whether `signature` is a valid one of `message` by `public_key`: canonical, and by a key that is no point of small
/// order. Variable time (public data only).
[[nodiscard]] bool ed25519_verify(const Ed25519PublicKey& public_key, ByteView message,
                                  const Ed25519Signature& signature);

}  // namespace brainlock::crypto
