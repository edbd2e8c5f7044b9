// Bittensor's key files: the JSON inside and the three ways it has been encrypted.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/mini_secret.hpp"
#include "brainlock/crypto/secret.hpp"
#include "brainlock/crypto/sr25519.hpp"
#include "brainlock/crypto/ss58.hpp"

namespace brainlock::chain {

/// Largest key file that is read; real ones are below 2 KiB.
inline constexpr std::size_t kMaxKeyFileBytes = 64 * 1024;

enum class KeyFileFormat {
  kPlain,         ///< JSON
  kNacl,          ///< "$NACL": Argon2i + XSalsa20-Poly1305, the present format
  kAnsibleVault,  ///< "$ANSIBLE_VAULT;1.1;AES256": PBKDF2 + AES-256-CTR + HMAC
  kFernet,        ///< "gAAAAA": PBKDF2 (10 million rounds) + Fernet, the oldest
};

/// Decided by the first bytes; anything that is none of the encrypted forms counts as plain.
[[nodiscard]] KeyFileFormat key_file_format(crypto::ByteView file);
/// Stable name of a format: "plain", "nacl", "ansible-vault", "fernet".
[[nodiscard]] std::string_view key_file_format_name(KeyFileFormat format);

/// A key as a key file holds it: always the public half, the private half where the file had one. Move-only, wiped.
class WalletKey {
 public:
  /// From a mnemonic; the phrase is kept so that it can be written.
  [[nodiscard]] static Result<WalletKey> from_mnemonic(std::string_view mnemonic);
  /// From a 32-byte seed.
  [[nodiscard]] static Result<WalletKey> from_seed(crypto::ByteView mini_secret);
  /// From a secret URI such as "//Alice": a development key.
  [[nodiscard]] static Result<WalletKey> from_uri(std::string_view uri);

  /// Reads the JSON of a key file. The private key comes from secretPhrase, else secretSeed, else privateKey; the public
  /// key is derived again and anything in the file that contradicts it is kMismatch. kMalformed for other shapes.
  [[nodiscard]] static Result<WalletKey> from_json(crypto::ByteView json);

  [[nodiscard]] const crypto::AccountId& account() const { return account_; }
  [[nodiscard]] std::string ss58() const { return crypto::ss58_encode(account_); }
  [[nodiscard]] bool has_private_key() const { return pair_.has_value(); }
  /// The key pair; kDenied when only the public half is known.
  [[nodiscard]] Result<const crypto::Sr25519KeyPair*> pair() const;

  /// The JSON of a private key file, in guarded memory. kDenied when only the public half is known.
  [[nodiscard]] Result<crypto::SecretBuffer> private_json() const;
  /// The JSON of coldkeypub.txt.
  [[nodiscard]] std::string public_json() const;

 private:
  WalletKey() = default;
  crypto::AccountId account_{};
  std::optional<crypto::Sr25519KeyPair> pair_;
  std::optional<crypto::MiniSecret> seed_;
  crypto::SecretBuffer mnemonic_;
};

/// Opens an encrypted key file. The password's surrounding white space is dropped, as Bittensor does.
/// kDenied for a wrong password or altered file, kTruncated / kMalformed for other damage.
/// Cost: $NACL 512 MiB and some seconds; Fernet 10 million hash rounds; Ansible vault milliseconds.
[[nodiscard]] Result<crypto::SecretBuffer> decrypt_key_file(crypto::ByteView file, std::string_view password);

/// Encrypts a key file's JSON as `$NACL` under a fresh nonce. Cost as for opening.
[[nodiscard]] Result<crypto::Bytes> encrypt_key_file(crypto::ByteView json, std::string_view password);

/// The $NACL key of a password: Argon2i v1.3, 8 passes, 512 MiB, the fixed salt of the format. The salt is the same for
/// everyone, so a weak password is weaker than elsewhere; inventing another would make files nobody else can read.
[[nodiscard]] Result<crypto::WipedArray<32>> nacl_key_from_password(std::string_view password);

/// As decrypt_key_file / encrypt_key_file for $NACL, with the derived key at hand.
[[nodiscard]] Result<crypto::SecretBuffer> decrypt_nacl(crypto::ByteView file, const crypto::WipedArray<32>& key);
[[nodiscard]] crypto::Bytes encrypt_nacl(crypto::ByteView json, const crypto::WipedArray<32>& key,
                                         std::span<const std::uint8_t, 24> nonce);

}  // namespace brainlock::chain
