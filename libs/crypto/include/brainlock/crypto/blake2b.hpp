// BLAKE2b-256 (RFC 7693) of bytes that arrive in pieces: checksums of files, names of parameters.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace brainlock::crypto {

using Digest256 = std::array<std::uint8_t, 32>;

/// One running digest. Not thread safe.
class Blake2b256 {
 public:
  Blake2b256();
  void update(std::span<const std::uint8_t> bytes);
  /// The digest of everything so far; the object is spent afterwards.
  [[nodiscard]] Digest256 finish();

 private:
  alignas(64) std::array<std::uint8_t, 384> state_;
};

}  // namespace brainlock::crypto
