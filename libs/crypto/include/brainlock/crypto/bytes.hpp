// Byte views and hexadecimal helpers shared by the hash, key and chain code.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::crypto {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// The bytes of a text, without a copy. The view lives as long as the text does.
[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Lower-case hexadecimal without a prefix.
[[nodiscard]] std::string hex_encode(ByteView bytes);

/// Lower-case hexadecimal with the "0x" that JSON-RPC and wallet files use.
[[nodiscard]] std::string hex_encode_0x(ByteView bytes);

/// Reads hexadecimal of any case, with or without "0x". kMalformed on an odd length or another character.
[[nodiscard]] Result<Bytes> hex_decode(std::string_view text);

/// Reads hexadecimal of exactly N bytes. kMalformed when the length differs.
template <std::size_t N>
[[nodiscard]] Result<std::array<std::uint8_t, N>> hex_decode_array(std::string_view text) {
  auto bytes = hex_decode(text);
  if (!bytes.ok()) return bytes.error();
  if (bytes->size() != N) {
    return Error{ErrorCode::kMalformed,
                 "expected " + std::to_string(N) + " bytes of hex, got " + std::to_string(bytes->size())};
  }
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = (*bytes)[i];
  return out;
}

/// Equality in time that depends on the lengths alone.
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b);

/// Overwrites memory in a way the compiler keeps.
void wipe(void* data, std::size_t size_bytes);
inline void wipe(std::span<std::uint8_t> bytes) { wipe(bytes.data(), bytes.size()); }

/// Overwrites the characters of a string that held a secret, then empties it.
void wipe(std::string& text);

}  // namespace brainlock::crypto
