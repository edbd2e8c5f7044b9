#include "brainlock/chain/keyfile.hpp"

#include <sodium.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/bip39.hpp"
#include "brainlock/crypto/random.hpp"
#include "keyfile_legacy.hpp"

namespace brainlock::chain {
namespace {

using crypto::ByteView;
using crypto::SecretBuffer;
using nlohmann::json;

constexpr std::string_view kNaclMagic = "$NACL";
constexpr std::size_t kNonceBytes = crypto_secretbox_NONCEBYTES;
constexpr std::size_t kTagBytes = crypto_secretbox_MACBYTES;
constexpr std::array<std::uint8_t, 16> kNaclSalt = {0x13, 0x71, 0x83, 0xdf, 0xf1, 0x5a, 0x09, 0xbc,
                                                    0x9c, 0x90, 0xb5, 0x51, 0x87, 0x39, 0xe9, 0xb1};
constexpr unsigned long long kNaclPasses = 8;
constexpr std::size_t kNaclMemoryBytes = 536'870'912;

std::string_view trimmed(std::string_view text) {
  const char* spaces = " \t\r\n\f\v";
  const auto first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool starts_with(ByteView bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() && std::memcmp(bytes.data(), prefix.data(), prefix.size()) == 0;
}

SecretBuffer secret_of(std::string_view text) {
  SecretBuffer buffer(text.size());
  if (!text.empty()) std::memcpy(buffer.data(), text.data(), text.size());
  return buffer;
}

std::string_view text_of(const SecretBuffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

// The document's strings hold secrets: overwrite them before they are freed.
struct WipeOnExit {
  json& document;
  ~WipeOnExit() {
    if (!document.is_object()) return;
    for (auto& [name, value] : document.items()) {
      if (value.is_string()) crypto::wipe(value.get_ref<std::string&>());
    }
  }
};

// A field's text; empty when it is absent, null or empty. kMalformed for another type.
Result<std::string_view> text_field(const json& document, const char* name) {
  const auto it = document.find(name);
  if (it == document.end() || it->is_null()) return std::string_view{};
  if (!it->is_string()) return Error{ErrorCode::kMalformed, std::string("key file field ") + name + " is not text"};
  return std::string_view(it->get_ref<const std::string&>());
}

}  // namespace

KeyFileFormat key_file_format(ByteView file) {
  if (starts_with(file, kNaclMagic)) return KeyFileFormat::kNacl;
  if (starts_with(file, "$ANSIBLE_VAULT")) return KeyFileFormat::kAnsibleVault;
  if (starts_with(file, "gAAAAA")) return KeyFileFormat::kFernet;
  return KeyFileFormat::kPlain;
}

std::string_view key_file_format_name(KeyFileFormat format) {
  switch (format) {
    case KeyFileFormat::kPlain: return "plain";
    case KeyFileFormat::kNacl: return "nacl";
    case KeyFileFormat::kAnsibleVault: return "ansible-vault";
    case KeyFileFormat::kFernet: return "fernet";
  }
  return "unknown";
}

Result<WalletKey> WalletKey::from_seed(ByteView mini_secret) {
  WalletKey key;
  BRAINLOCK_ASSIGN(key.pair_, crypto::Sr25519KeyPair::from_mini_secret(mini_secret));
  key.account_ = key.pair_->public_key();
  key.seed_ = crypto::MiniSecret(mini_secret.first<32>());
  return key;
}

Result<WalletKey> WalletKey::from_mnemonic(std::string_view mnemonic) {
  BRAINLOCK_ASSIGN(const auto seed, crypto::mnemonic_to_mini_secret(mnemonic));
  BRAINLOCK_ASSIGN(auto key, from_seed(seed.view()));
  key.mnemonic_ = secret_of(mnemonic);
  return key;
}

Result<WalletKey> WalletKey::from_uri(std::string_view uri) {
  WalletKey key;
  BRAINLOCK_ASSIGN(key.pair_, crypto::Sr25519KeyPair::from_uri(uri));
  key.account_ = key.pair_->public_key();
  return key;
}

Result<WalletKey> WalletKey::from_json(ByteView text) {
  if (text.size() > kMaxKeyFileBytes) return Error{ErrorCode::kTooLarge, "key file is larger than 64 KiB"};
  json document = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  const WipeOnExit guard{document};
  if (!document.is_object()) return Error{ErrorCode::kMalformed, "key file is not a JSON object"};
  BRAINLOCK_ASSIGN(const auto phrase, text_field(document, "secretPhrase"));
  BRAINLOCK_ASSIGN(const auto seed_text, text_field(document, "secretSeed"));
  BRAINLOCK_ASSIGN(const auto private_text, text_field(document, "privateKey"));
  BRAINLOCK_ASSIGN(const auto address, text_field(document, "ss58Address"));

  // What the file says of the public key, in up to three places that must agree.
  std::optional<crypto::AccountId> stated;
  for (const char* name : {"publicKey", "accountId"}) {
    BRAINLOCK_ASSIGN(const auto field, text_field(document, name));
    if (field.empty()) continue;
    auto account = crypto::hex_decode_array<32>(field);
    if (!account.ok()) return account.error().in(std::string("key file field ") + name);
    if (stated && *stated != *account) return Error{ErrorCode::kMismatch, "key file states two public keys"};
    stated = *account;
  }
  if (!address.empty()) {
    auto account = crypto::ss58_decode(address);
    if (!account.ok()) return account.error().in("key file field ss58Address");
    if (stated && *stated != *account) {
      return Error{ErrorCode::kMismatch, "key file's ss58Address is not of its public key"};
    }
    stated = *account;
  }

  WalletKey key;
  if (!phrase.empty()) {
    BRAINLOCK_ASSIGN(key, from_mnemonic(phrase));
  } else if (!seed_text.empty()) {
    auto seed = crypto::hex_decode_array<32>(seed_text);
    if (!seed.ok()) return seed.error().in("key file field secretSeed");
    auto made = from_seed(*seed);
    crypto::wipe(*seed);
    BRAINLOCK_ASSIGN(key, std::move(made));
  } else if (!private_text.empty()) {
    auto bytes = crypto::hex_decode_array<64>(private_text);
    if (!bytes.ok()) return bytes.error().in("key file field privateKey");
    auto pair = crypto::Sr25519KeyPair::from_secret_key(*bytes, stated);
    crypto::wipe(*bytes);
    BRAINLOCK_ASSIGN(key.pair_, std::move(pair));
    key.account_ = key.pair_->public_key();
  } else if (stated) {
    key.account_ = *stated;
  } else {
    return Error{ErrorCode::kMalformed, "key file holds neither a private nor a public key"};
  }
  if (stated && *stated != key.account_) {
    return Error{ErrorCode::kMismatch, "the private key in the file does not belong to the public key in it"};
  }
  return key;
}

Result<const crypto::Sr25519KeyPair*> WalletKey::pair() const {
  if (!pair_) return Error{ErrorCode::kDenied, "only the public half of this key is at hand"};
  return &*pair_;
}

std::string WalletKey::public_json() const {
  const std::string hex = crypto::hex_encode_0x(account_);
  return json{{"accountId", hex}, {"publicKey", hex}, {"ss58Address", ss58()}}.dump();
}

Result<SecretBuffer> WalletKey::private_json() const {
  if (!pair_) return Error{ErrorCode::kDenied, "only the public half of this key is at hand"};
  // Every value is hex, base58 or words of the list: nothing needs escaping, and no JSON library copies the secret.
  const std::string hex = crypto::hex_encode_0x(account_);
  std::string text;
  text.reserve(2048);  // No reallocation leaves a copy behind.
  text += "{\"accountId\":\"" + hex + "\",\"publicKey\":\"" + hex + "\",\"privateKey\":\"";
  std::string secret = crypto::hex_encode_0x(pair_->secret_key().view());
  text += secret;
  crypto::wipe(secret);
  if (mnemonic_.size() > 0) text.append("\",\"secretPhrase\":\"").append(text_of(mnemonic_));
  if (seed_) {
    secret = crypto::hex_encode_0x(seed_->view());
    text.append("\",\"secretSeed\":\"").append(secret);
    crypto::wipe(secret);
  }
  text += "\",\"ss58Address\":\"" + ss58() + "\"}";
  SecretBuffer out = secret_of(text);
  crypto::wipe(text);
  return out;
}

Result<crypto::WipedArray<32>> nacl_key_from_password(std::string_view password) {
  password = trimmed(password);
  crypto::WipedArray<32> key;
  if (sodium_init() < 0) return Error{ErrorCode::kInternal, "libsodium did not start"};
  if (crypto_pwhash(key.data(), key.size(), password.data(), password.size(), kNaclSalt.data(), kNaclPasses,
                    kNaclMemoryBytes, crypto_pwhash_ALG_ARGON2I13) != 0) {
    return Error{ErrorCode::kResource, "opening a $NACL key file needs 512 MiB of memory for a moment"};
  }
  return key;
}

Result<SecretBuffer> decrypt_nacl(ByteView file, const crypto::WipedArray<32>& key) {
  constexpr std::size_t kHeader = kNaclMagic.size() + kNonceBytes;
  if (!starts_with(file, kNaclMagic)) return Error{ErrorCode::kMalformed, "not a $NACL key file"};
  if (file.size() < kHeader + kTagBytes) return Error{ErrorCode::kTruncated, "$NACL key file is too short"};
  const ByteView box = file.subspan(kHeader);
  SecretBuffer plain(box.size() - kTagBytes);
  std::uint8_t unused = 0;
  if (crypto_secretbox_open_easy(plain.size() > 0 ? plain.data() : &unused, box.data(), box.size(),
                                 file.data() + kNaclMagic.size(), key.data()) != 0) {
    return Error{ErrorCode::kDenied, "wrong password, or the key file was altered"};
  }
  return plain;
}

crypto::Bytes encrypt_nacl(ByteView plain, const crypto::WipedArray<32>& key,
                           std::span<const std::uint8_t, 24> nonce) {
  crypto::Bytes out(kNaclMagic.size() + kNonceBytes + kTagBytes + plain.size());
  std::memcpy(out.data(), kNaclMagic.data(), kNaclMagic.size());
  std::memcpy(out.data() + kNaclMagic.size(), nonce.data(), nonce.size());
  crypto_secretbox_easy(out.data() + kNaclMagic.size() + kNonceBytes, plain.data(), plain.size(), nonce.data(),
                        key.data());
  return out;
}

Result<SecretBuffer> decrypt_key_file(ByteView file, std::string_view password) {
  if (file.size() > kMaxKeyFileBytes) return Error{ErrorCode::kTooLarge, "key file is larger than 64 KiB"};
  password = trimmed(password);
  switch (key_file_format(file)) {
    case KeyFileFormat::kPlain: return secret_of({reinterpret_cast<const char*>(file.data()), file.size()});
    case KeyFileFormat::kAnsibleVault: return decrypt_ansible_vault(file, password);
    case KeyFileFormat::kFernet: return decrypt_fernet_file(file, password);
    case KeyFileFormat::kNacl: break;
  }
  if (file.size() < kNaclMagic.size() + kNonceBytes + kTagBytes) {
    return Error{ErrorCode::kTruncated, "$NACL key file is too short"};
  }
  BRAINLOCK_ASSIGN(const auto key, nacl_key_from_password(password));
  return decrypt_nacl(file, key);
}

Result<crypto::Bytes> encrypt_key_file(ByteView plain, std::string_view password) {
  if (trimmed(password).empty()) return Error{ErrorCode::kInvalidArgument, "the password is empty"};
  BRAINLOCK_ASSIGN(const auto key, nacl_key_from_password(password));
  std::array<std::uint8_t, kNonceBytes> nonce{};
  crypto::random_bytes(nonce);
  return encrypt_nacl(plain, key, nonce);
}

}  // namespace brainlock::chain
