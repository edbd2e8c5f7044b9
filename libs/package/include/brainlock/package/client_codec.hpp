// The binary form of a package's client half (client.bin). Little-endian; grammar in docs/package.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/client_fields.hpp"

namespace brainlock::package {

/// Room for four million inputs and outputs; one that is fetched by a page should not be able to fill its memory.
inline constexpr std::uint64_t kMaxClientBytes = 64ULL << 20;
inline constexpr std::uint8_t kClientVersion = 1;

struct NamedClient {
  std::array<std::uint8_t, 32> hash{};  ///< of the package
  plan::ClientFields fields;
};

/// "BLCLNT" magic, version, hash, fields as plan.bin has them, BLAKE2b-256 of all before it. kTooLarge: above
/// kMaxClientBytes.
Result<std::vector<std::uint8_t>> encode_client(const std::array<std::uint8_t, 32>& hash,
                                                const plan::ClientFields& fields);

/// The door for client halves: length limits before any allocation, checksum, then plan::validate(). kTruncated,
/// kMalformed, kTooLarge, kCorrupted, kUnsupported (another version). What is accepted has one encoding. Memory: at
/// most some four times the bytes.
Result<NamedClient> decode_client(std::span<const std::uint8_t> bytes);

}  // namespace brainlock::package
