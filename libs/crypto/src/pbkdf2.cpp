#include <openssl/evp.h>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::crypto {
namespace {

Status pbkdf2(std::span<std::uint8_t> out, ByteView password, ByteView salt, std::uint32_t iterations,
              const EVP_MD* digest) {
  static const char kEmpty = 0;
  const auto* pass = password.empty() ? &kEmpty : reinterpret_cast<const char*>(password.data());
  if (PKCS5_PBKDF2_HMAC(pass, static_cast<int>(password.size()), salt.data(), static_cast<int>(salt.size()),
                        static_cast<int>(iterations), digest, static_cast<int>(out.size()), out.data()) != 1) {
    return Error{ErrorCode::kInternal, "PBKDF2 failed"};
  }
  return {};
}

}  // namespace

Status pbkdf2_sha256_into(std::span<std::uint8_t> out, ByteView password, ByteView salt, std::uint32_t iterations) {
  return pbkdf2(out, password, salt, iterations, EVP_sha256());
}

Status pbkdf2_sha512_into(std::span<std::uint8_t> out, ByteView password, ByteView salt, std::uint32_t iterations) {
  return pbkdf2(out, password, salt, iterations, EVP_sha512());
}

}  // namespace brainlock::crypto
