// SS58 addresses: base58 of prefix || public key || checksum. Compare keys as bytes, never addresses as text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"

namespace brainlock::crypto {

using AccountId = std::array<std::uint8_t, 32>;

/// Bittensor's (and generic Substrate's) address prefix.
inline constexpr std::uint8_t kBittensorSs58Prefix = 42;

/// The address of a 32-byte public key; `prefix` is a one-byte network prefix (0..63).
[[nodiscard]] std::string ss58_encode(const AccountId& account, std::uint8_t prefix = kBittensorSs58Prefix);

/// Reads an address strictly: base58 alphabet, exactly 35 bytes, the given prefix, the checksum.
/// kMalformed, kMismatch (another network's prefix) or kCorrupted (checksum). Cost: microseconds, input capped.
[[nodiscard]] Result<AccountId> ss58_decode(std::string_view address, std::uint8_t prefix = kBittensorSs58Prefix);

}  // namespace brainlock::crypto
