#include "brainlock/crypto/ed25519.hpp"

#include <sodium.h>

#include <cstring>

#include "sodium_ready.hpp"

namespace brainlock::crypto {

static_assert(Ed25519KeyPair::kSeedBytes == crypto_sign_SEEDBYTES);

Ed25519KeyPair Ed25519KeyPair::generate() {
  sodium_ready();
  Ed25519KeyPair out;
  out.secret_ = SecretBuffer(crypto_sign_SECRETKEYBYTES);
  crypto_sign_keypair(out.public_key_.data(), out.secret_.data());
  return out;
}

Result<Ed25519KeyPair> Ed25519KeyPair::from_seed(ByteView seed) {
  if (seed.size() != kSeedBytes) {
    return Error{ErrorCode::kInvalidArgument, "expected a seed of 32 bytes, got " + std::to_string(seed.size())};
  }
  sodium_ready();
  Ed25519KeyPair out;
  out.secret_ = SecretBuffer(crypto_sign_SECRETKEYBYTES);
  crypto_sign_seed_keypair(out.public_key_.data(), out.secret_.data(), seed.data());
  return out;
}

SecretBuffer Ed25519KeyPair::seed() const {
  SecretBuffer out(kSeedBytes);
  crypto_sign_ed25519_sk_to_seed(out.data(), secret_.data());
  return out;
}

Ed25519Signature Ed25519KeyPair::sign(ByteView message) const {
  Ed25519Signature out{};
  crypto_sign_detached(out.data(), nullptr, message.data(), message.size(), secret_.data());
  return out;
}

bool ed25519_verify(const Ed25519PublicKey& public_key, ByteView message, const Ed25519Signature& signature) {
  sodium_ready();
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), public_key.data()) == 0;
}

}  // namespace brainlock::crypto
