#include "brainlock/protocol/body_hash.hpp"

#include <sodium.h>

#include <new>

namespace brainlock::protocol {

static_assert(sizeof(crypto_hash_sha256_state) <= 128);

namespace {
crypto_hash_sha256_state* state_of(std::array<std::uint8_t, 128>& bytes) {
  return std::launder(reinterpret_cast<crypto_hash_sha256_state*>(bytes.data()));
}
}  // namespace

BodyHasher::BodyHasher() {
  new (state_.data()) crypto_hash_sha256_state;
  crypto_hash_sha256_init(state_of(state_));
}

void BodyHasher::update(std::span<const std::uint8_t> bytes) {
  crypto_hash_sha256_update(state_of(state_), bytes.data(), bytes.size());
}

BodyHash BodyHasher::finish() {
  BodyHash out{};
  crypto_hash_sha256_final(state_of(state_), out.data());
  return out;
}

}  // namespace brainlock::protocol
