// The keccak-f[1600] permutation (FIPS 202), the only part of SHA-3 that STROBE needs.
#pragma once

#include <array>
#include <cstdint>

namespace brainlock::crypto {

/// Permutes 200 bytes in place: 25 little-endian 64-bit lanes, lane index x + 5y, 24 rounds. Constant time.
void keccak_f1600(std::array<std::uint8_t, 200>& state);

}  // namespace brainlock::crypto
