// Hashes of the chain: BLAKE2b, SHA-2, xxHash, and the storage-key hashers built from them.
#pragma once

#include <array>
#include <cstdint>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::crypto {

using Hash128 = std::array<std::uint8_t, 16>;
using Hash256 = std::array<std::uint8_t, 32>;
using Hash512 = std::array<std::uint8_t, 64>;

/// Unkeyed BLAKE2b with a 16-, 32- or 64-byte digest (RFC 7693).
[[nodiscard]] Hash128 blake2b_128(ByteView data);
[[nodiscard]] Hash256 blake2b_256(ByteView data);
[[nodiscard]] Hash512 blake2b_512(ByteView data);

[[nodiscard]] Hash256 sha256(ByteView data);
[[nodiscard]] Hash512 sha512(ByteView data);

/// XXH64 of the data; not a cryptographic hash.
[[nodiscard]] std::uint64_t xxh64(ByteView data, std::uint64_t seed = 0);

/// xxh64 with seeds 0, 1, ... each little-endian, concatenated: 8, 16 and 32 bytes.
[[nodiscard]] std::array<std::uint8_t, 8> twox_64(ByteView data);
[[nodiscard]] Hash128 twox_128(ByteView data);
[[nodiscard]] Hash256 twox_256(ByteView data);

/// PBKDF2 with HMAC-SHA-256 or HMAC-SHA-512 into `out`. kInternal if the library refuses.
[[nodiscard]] Status pbkdf2_sha256_into(std::span<std::uint8_t> out, ByteView password, ByteView salt,
                                        std::uint32_t iterations);
[[nodiscard]] Status pbkdf2_sha512_into(std::span<std::uint8_t> out, ByteView password, ByteView salt,
                                        std::uint32_t iterations);

/// HMAC-SHA-256 of the data.
[[nodiscard]] Hash256 hmac_sha256(ByteView key, ByteView data);

}  // namespace brainlock::crypto
