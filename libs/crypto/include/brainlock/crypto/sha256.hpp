// SHA-256 of bytes that arrive in pieces. For whole ones: hash.hpp.
#pragma once

#include <array>
#include <cstdint>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::crypto {

/// One running digest. Not thread safe.
class Sha256 {
 public:
  Sha256();
  void update(ByteView bytes);
  /// The digest of everything so far; the object is spent afterwards.
  [[nodiscard]] Hash256 finish();

 private:
  alignas(16) std::array<std::uint8_t, 128> state_;
};

}  // namespace brainlock::crypto
