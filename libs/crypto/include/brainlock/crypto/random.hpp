// Randomness that secrets may be made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "brainlock/crypto/secret.hpp"

namespace brainlock::crypto {

/// Fills `out` from the operating system's generator. Thread safe; aborts if the system has none.
void random_bytes(std::span<std::uint8_t> out);

/// A fast private generator: ChaCha20 keystream under a key that comes from random_bytes() and is replaced from its
/// own output at each refill, so that earlier output cannot be recovered from a captured state. The state is wiped
/// on destruction. Not thread safe: one per thread. About 1 GB/s.
class SecureRandom {
 public:
  SecureRandom();
  /// A stream that this key determines. For tests: two equal keys give equal "randomness".
  static SecureRandom from_key_for_tests(std::span<const std::uint8_t, 32> key);
  SecureRandom(SecureRandom&&) noexcept = default;
  SecureRandom& operator=(SecureRandom&&) noexcept = default;

  std::uint32_t next_u32() {
    std::uint32_t value;
    take(&value, sizeof value);
    return value;
  }
  std::uint64_t next_u64() {
    std::uint64_t value;
    take(&value, sizeof value);
    return value;
  }
  void fill(std::span<std::uint8_t> out);

 private:
  explicit SecureRandom(std::span<const std::uint8_t, 32> key);
  static constexpr std::size_t kKeyBytes = 32;
  static constexpr std::size_t kBufferBytes = 16384;
  void take(void* out, std::size_t size) {
    if (position_ + size > kBufferBytes) refill();
    __builtin_memcpy(out, state_.data() + position_, size);
    position_ += size;
  }
  void refill();

  SecretBuffer state_;                        // first the next key, then unread output
  std::size_t position_ = kBufferBytes;
};

}  // namespace brainlock::crypto
