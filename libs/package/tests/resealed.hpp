// Garbled files with a right checksum, so that damage reaches the parser.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::package::test {

inline constexpr std::size_t kChecksum = 32;

inline std::vector<std::uint8_t> resealed(std::vector<std::uint8_t> bytes) {
  const auto body = std::span<const std::uint8_t>(bytes).first(bytes.size() - kChecksum);
  const crypto::Hash256 checksum = crypto::blake2b_256(body);
  std::copy(checksum.begin(), checksum.end(), bytes.end() - kChecksum);
  return bytes;
}

}  // namespace brainlock::package::test
