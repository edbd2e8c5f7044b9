#include "brainlock/crypto/random.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "brainlock/crypto/chacha20.hpp"
#include "sodium_ready.hpp"

namespace brainlock::crypto {

void random_bytes(std::span<std::uint8_t> out) {
  sodium_ready();
  randombytes_buf(out.data(), out.size());
}

SecureRandom::SecureRandom() : state_(kBufferBytes) { random_bytes(state_.bytes().first(kKeyBytes)); }

SecureRandom::SecureRandom(std::span<const std::uint8_t, 32> key) : state_(kBufferBytes) {
  std::memcpy(state_.data(), key.data(), kKeyBytes);
}

SecureRandom SecureRandom::from_key_for_tests(std::span<const std::uint8_t, 32> key) { return SecureRandom(key); }

void SecureRandom::refill() {
  std::array<std::uint8_t, kKeyBytes> key;
  std::memcpy(key.data(), state_.data(), kKeyBytes);
  // A key is used for one refill only, so the nonce may stay zero.
  constexpr std::array<std::uint8_t, 12> nonce{};
  chacha20_keystream(key, nonce, 0, state_.bytes());
  sodium_memzero(key.data(), key.size());
  position_ = kKeyBytes;
}

void SecureRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    if (position_ == kBufferBytes) refill();
    const std::size_t n = std::min(out.size(), kBufferBytes - position_);
    std::memcpy(out.data(), state_.data() + position_, n);
    position_ += n;
    out = out.subspan(n);
  }
}

}  // namespace brainlock::crypto
