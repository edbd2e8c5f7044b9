#include "keyfile_legacy.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/crypto/mini_secret.hpp"

namespace brainlock::chain {
namespace {

using crypto::Bytes;
using crypto::ByteView;
using crypto::SecretBuffer;

constexpr std::uint32_t kVaultRounds = 10'000;
constexpr std::uint32_t kFernetRounds = 10'000'000;
constexpr std::string_view kFernetSalt = "Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins";

Error wrong_password() { return {ErrorCode::kDenied, "wrong password, or the key file was altered"}; }

// Decrypts with padding off and strips PKCS7 itself: the MAC was verified, so bad padding means another writer.
Result<SecretBuffer> decrypt_cipher(const EVP_CIPHER* cipher, ByteView key, ByteView iv, ByteView ciphertext) {
  if (ciphertext.empty() || ciphertext.size() % 16 != 0) {
    return Error{ErrorCode::kMalformed, "ciphertext is not whole blocks"};
  }
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                               &EVP_CIPHER_CTX_free);
  SecretBuffer padded(ciphertext.size() + 16);
  int written = 0;
  if (!context || EVP_DecryptInit_ex(context.get(), cipher, nullptr, key.data(), iv.data()) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1 ||
      EVP_DecryptUpdate(context.get(), padded.data(), &written, ciphertext.data(),
                        static_cast<int>(ciphertext.size())) != 1) {
    return Error{ErrorCode::kInternal, "AES could not be set up"};
  }
  const std::size_t size = ciphertext.size();
  const std::uint8_t padding = padded.data()[size - 1];
  if (padding == 0 || padding > 16) return Error{ErrorCode::kMalformed, "bad padding under a valid MAC"};
  for (std::size_t i = size - padding; i < size; ++i) {
    if (padded.data()[i] != padding) return Error{ErrorCode::kMalformed, "bad padding under a valid MAC"};
  }
  SecretBuffer plain(size - padding);
  if (plain.size() > 0) std::memcpy(plain.data(), padded.data(), plain.size());
  return plain;
}

Result<Bytes> base64url_decode(std::string_view text) {
  Bytes out;
  unsigned bits = 0;
  int count = 0;
  while (!text.empty() && (text.back() == '=' || text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  for (char c : text) {
    unsigned digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<unsigned>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<unsigned>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0') + 52;
    } else if (c == '-' || c == '+') {
      digit = 62;
    } else if (c == '_' || c == '/') {
      digit = 63;
    } else {
      return Error{ErrorCode::kMalformed, "not base64"};
    }
    bits = (bits << 6 | digit) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> count));
    }
  }
  return out;
}

}  // namespace

Result<SecretBuffer> decrypt_ansible_vault(ByteView file, std::string_view password) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const auto header_end = text.find('\n');
  if (header_end == std::string_view::npos) return Error{ErrorCode::kTruncated, "vault has a header line only"};
  std::string_view header = text.substr(0, header_end);
  while (header.ends_with('\r') || header.ends_with(' ')) header.remove_suffix(1);
  if (header != "$ANSIBLE_VAULT;1.1;AES256") {
    return Error{ErrorCode::kUnsupported, "only Ansible vault 1.1 with AES256 is supported"};
  }
  std::string hex;
  for (char c : text.substr(header_end)) {
    if (c != '\n' && c != '\r' && c != ' ') hex.push_back(c);
  }
  BRAINLOCK_ASSIGN(const Bytes inner, crypto::hex_decode(hex));
  // Three hex fields joined by newlines: salt, HMAC, ciphertext.
  std::array<Bytes, 3> fields;
  std::string_view rest(reinterpret_cast<const char*>(inner.data()), inner.size());
  for (std::size_t i = 0; i < 3; ++i) {
    const auto end = i < 2 ? rest.find('\n') : rest.size();
    if (end == std::string_view::npos) return Error{ErrorCode::kTruncated, "vault has fewer than three fields"};
    BRAINLOCK_ASSIGN(fields[i], crypto::hex_decode(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto& [salt, mac, ciphertext] = fields;
  if (salt.size() != 32 || mac.size() != 32) {
    return Error{ErrorCode::kMalformed, "vault salt and HMAC have 32 bytes each"};
  }
  crypto::WipedArray<80> keys;
  BRAINLOCK_TRY(crypto::pbkdf2_sha256_into({keys.data(), keys.size()}, crypto::as_bytes(password), salt, kVaultRounds));
  const ByteView all = keys.view();
  if (!crypto::equal_constant_time(crypto::hmac_sha256(all.subspan(32, 32), ciphertext), mac)) return wrong_password();
  return decrypt_cipher(EVP_aes_256_ctr(), all.first(32), all.subspan(64, 16), ciphertext);
}

Result<SecretBuffer> decrypt_fernet_file(ByteView file, std::string_view password) {
  BRAINLOCK_ASSIGN(const Bytes token,
                   base64url_decode({reinterpret_cast<const char*>(file.data()), file.size()}));
  // Version 0x80 | time 8 | IV 16 | ciphertext | HMAC-SHA-256 of all before it.
  constexpr std::size_t kHeader = 1 + 8 + 16;
  if (token.size() < kHeader + 16 + 32) return Error{ErrorCode::kTruncated, "Fernet token is too short"};
  if (token[0] != 0x80) return Error{ErrorCode::kUnsupported, "unknown Fernet version"};
  crypto::WipedArray<32> key;
  BRAINLOCK_TRY(crypto::pbkdf2_sha256_into({key.data(), key.size()}, crypto::as_bytes(password),
                                           crypto::as_bytes(kFernetSalt), kFernetRounds));
  const ByteView all(token);
  const ByteView signed_part = all.first(all.size() - 32);
  if (!crypto::equal_constant_time(crypto::hmac_sha256(key.view().first<16>(), signed_part), all.last(32))) {
    return wrong_password();
  }
  return decrypt_cipher(EVP_aes_128_cbc(), key.view().last<16>(), all.subspan(9, 16), signed_part.subspan(kHeader));
}

}  // namespace brainlock::chain
