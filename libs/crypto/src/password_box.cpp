#include "brainlock/crypto/password_box.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "sodium_ready.hpp"

namespace brainlock::crypto {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {'B', 'L', 'P', 'W', 'B', 'O', 'X', '1'};
constexpr std::size_t kSalt = kMagic.size() + 1, kNonce = kSalt + crypto_pwhash_SALTBYTES;
constexpr std::size_t kCipher = kNonce + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kMostBytes = 1 << 20;

struct Effort {
  unsigned long long passes;
  std::size_t memory_bytes;
};
Result<Effort> effort_of(std::uint8_t cost) {
  switch (cost) {
    case 0:
      return Effort{2, std::size_t{64} << 20};
    case 1:
      return Effort{3, std::size_t{256} << 20};
    default:
      return Error{ErrorCode::kUnsupported, "a password's cost of kind " + std::to_string(cost)};
  }
}

Result<SecretBuffer> key_of(std::string_view password, ByteView salt, std::uint8_t cost) {
  BRAINLOCK_ASSIGN(const Effort effort, effort_of(cost));
  SecretBuffer key(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
  if (crypto_pwhash(key.data(), key.size(), password.data(), password.size(), salt.data(), effort.passes,
                    effort.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Error{ErrorCode::kResource, "no memory to make a key of a password: " +
                                           std::to_string(effort.memory_bytes >> 20) + " MB are needed"};
  }
  return key;
}

}  // namespace

Result<Bytes> close_password_box(ByteView secret, std::string_view password, PasswordCost cost) {
  if (secret.size() > kMostBytes) {
    return Error{ErrorCode::kTooLarge, "a secret of " + std::to_string(secret.size()) + " bytes, limit 1 MB"};
  }
  sodium_ready();
  Bytes out(kCipher + secret.size() + kTag);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[kMagic.size()] = cost == PasswordCost::kModerate ? 1 : 0;
  randombytes_buf(out.data() + kSalt, kCipher - kSalt);
  const ByteView head(out.data(), kCipher);
  BRAINLOCK_ASSIGN(const SecretBuffer key,
                   key_of(password, head.subspan(kSalt, crypto_pwhash_SALTBYTES), out[kMagic.size()]));
  crypto_aead_xchacha20poly1305_ietf_encrypt(out.data() + kCipher, nullptr, secret.data(), secret.size(), head.data(),
                                             head.size(), nullptr, head.data() + kNonce, key.data());
  return out;
}

Result<SecretBuffer> open_password_box(ByteView box, std::string_view password) {
  if (box.size() < kCipher + kTag || box.size() > kCipher + kMostBytes + kTag) {
    return Error{ErrorCode::kMalformed, "a box of " + std::to_string(box.size()) + " bytes is none"};
  }
  if (!std::equal(kMagic.begin(), kMagic.end(), box.begin())) {
    return Error{ErrorCode::kMalformed, "no password box of version 1"};
  }
  sodium_ready();
  BRAINLOCK_ASSIGN(const SecretBuffer key,
                   key_of(password, box.subspan(kSalt, crypto_pwhash_SALTBYTES), box[kMagic.size()]));
  SecretBuffer out(box.size() - kCipher - kTag);
  const ByteView cipher = box.subspan(kCipher);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, cipher.data(), cipher.size(), box.data(),
                                                 kCipher, box.data() + kNonce, key.data()) != 0) {
    return Error{ErrorCode::kDenied, "the password is wrong, or the file was changed"};
  }
  return out;
}

}  // namespace brainlock::crypto
