// SHA-256 of a body that arrives in pieces: what Epistula signs.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::protocol {

using BodyHash = crypto::Hash256;

/// One running SHA-256. Not thread safe.
class BodyHasher {
 public:
  BodyHasher();
  void update(std::span<const std::uint8_t> bytes);
  /// The hash of everything so far; the object is spent afterwards.
  [[nodiscard]] BodyHash finish();

 private:
  alignas(16) std::array<std::uint8_t, 128> state_;
};

}  // namespace brainlock::protocol
