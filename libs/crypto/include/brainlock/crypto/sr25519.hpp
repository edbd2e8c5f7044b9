// sr25519: Schnorr signatures on ristretto255 with Merlin transcripts, as Substrate chains use them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/mini_secret.hpp"

namespace brainlock::crypto {

using Sr25519PublicKey = std::array<std::uint8_t, 32>;
using Sr25519Signature = std::array<std::uint8_t, 64>;

/// A key pair. Move-only; secrets are wiped. All const members are safe from many threads.
/// Expansion is schnorrkel's "ed25519 mode"; the signing context is "substrate".
class Sr25519KeyPair {
 public:
  /// Expands a 32-byte seed. kInvalidArgument on another length.
  [[nodiscard]] static Result<Sr25519KeyPair> from_mini_secret(ByteView mini_secret);

  /// Takes a 64-byte expanded key: scalar || nonce seed, in schnorrkel's form or in the form where the scalar is
  /// multiplied by 8. With `expected` given, the form that yields it is chosen and anything else is kMismatch;
  /// without it a scalar below the group order is taken as schnorrkel's.
  [[nodiscard]] static Result<Sr25519KeyPair> from_secret_key(ByteView secret_key,
                                                              const std::optional<Sr25519PublicKey>& expected = {});

  /// Reads a secret URI: `<mnemonic or 0x seed>//hard//junctions///password`; an empty first part means the
  /// well-known development phrase (so "//Alice" works). Soft junctions (`/x`) are kUnsupported.
  [[nodiscard]] static Result<Sr25519KeyPair> from_uri(std::string_view uri);

  [[nodiscard]] const Sr25519PublicKey& public_key() const { return public_key_; }

  /// Signs a message of any length. Signatures are randomised: two calls differ and both verify. Constant time in the
  /// key. Cost: one fixed-base multiplication.
  [[nodiscard]] Result<Sr25519Signature> sign(ByteView message) const;
  [[nodiscard]] Result<Sr25519Signature> sign(std::string_view message) const { return sign(as_bytes(message)); }

  /// The seed of the hard-derived child `//junction`; a decimal number is taken as a 64-bit integer, as elsewhere.
  [[nodiscard]] MiniSecret derive_hard(std::string_view junction) const;

  /// The expanded key in schnorrkel's form (`privateKey` in wallet files).
  [[nodiscard]] WipedArray<64> secret_key() const;

  /// A named copy of the secret.
  [[nodiscard]] Sr25519KeyPair clone() const;

 private:
  Sr25519KeyPair() = default;
  WipedArray<32> scalar_;
  WipedArray<32> nonce_seed_;
  Sr25519PublicKey public_key_{};
};

/// Whether `signature` is a valid signature of `message` by `public_key`. Stricter than some: no `<Bytes>` wrapping,
/// no missing marker bit, no non-canonical scalar or point, no identity key, no zero scalar. Variable time (public
/// data only). Cost: one fixed-base and one variable-base multiplication.
[[nodiscard]] bool sr25519_verify(ByteView public_key, ByteView message, ByteView signature);
[[nodiscard]] inline bool sr25519_verify(ByteView public_key, std::string_view message, ByteView signature) {
  return sr25519_verify(public_key, as_bytes(message), signature);
}

/// Fresh random seed from the operating system.
[[nodiscard]] MiniSecret generate_mini_secret();

}  // namespace brainlock::crypto
