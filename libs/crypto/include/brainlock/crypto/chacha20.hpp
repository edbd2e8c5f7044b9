// ChaCha20 keystream (RFC 8439): the extendable output behind seeds and the private generator.
#pragma once

#include <cstdint>
#include <span>

namespace brainlock::crypto {

/// Writes the keystream of (key, nonce) from 64-byte block `block` on into `out`. Thread safe.
/// The 32-bit block counter must not run over: block * 64 + out.size() <= 2^38.
void chacha20_keystream(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t, 12> nonce,
                        std::uint32_t block, std::span<std::uint8_t> out);

}  // namespace brainlock::crypto
