#include "brainlock/crypto/sha256.hpp"

#include <sodium.h>

#include "sodium_ready.hpp"

namespace brainlock::crypto {
namespace {

crypto_hash_sha256_state* state_of(std::array<std::uint8_t, 128>& bytes) {
  static_assert(sizeof(crypto_hash_sha256_state) <= sizeof bytes);
  return reinterpret_cast<crypto_hash_sha256_state*>(bytes.data());
}

}  // namespace

Sha256::Sha256() {
  sodium_ready();
  crypto_hash_sha256_init(state_of(state_));
}

void Sha256::update(ByteView bytes) { crypto_hash_sha256_update(state_of(state_), bytes.data(), bytes.size()); }

Hash256 Sha256::finish() {
  Hash256 out{};
  crypto_hash_sha256_final(state_of(state_), out.data());
  return out;
}

}  // namespace brainlock::crypto
