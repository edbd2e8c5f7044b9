#include "brainlock/crypto/blake2b.hpp"

#include <sodium.h>

#include "sodium_ready.hpp"

namespace brainlock::crypto {
namespace {
crypto_generichash_state* state_of(std::array<std::uint8_t, 384>& bytes) {
  static_assert(sizeof(crypto_generichash_state) <= 384 && alignof(crypto_generichash_state) <= 64);
  return reinterpret_cast<crypto_generichash_state*>(bytes.data());
}
}  // namespace

Blake2b256::Blake2b256() {
  sodium_ready();
  crypto_generichash_init(state_of(state_), nullptr, 0, 32);
}

void Blake2b256::update(std::span<const std::uint8_t> bytes) {
  crypto_generichash_update(state_of(state_), bytes.data(), bytes.size());
}

Digest256 Blake2b256::finish() {
  Digest256 digest;
  crypto_generichash_final(state_of(state_), digest.data(), digest.size());
  return digest;
}

}  // namespace brainlock::crypto
