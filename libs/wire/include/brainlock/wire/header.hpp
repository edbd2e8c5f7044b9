// What every object on the wire begins with. Byte-level grammar: docs/wire.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::wire {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// Takes bytes in order: a file, a socket, a buffer.
using ByteSink = std::function<Status(ByteView)>;
/// Fills the span whole, or fails (kTruncated where the bytes end).
using ByteSource = std::function<Status(std::span<std::uint8_t>)>;

/// What an object is. The values are part of the format.
enum class Kind : std::uint16_t {
  kParameters = 1,
  kCiphertexts = 2,
  kPublicKey = 3,
  kEvaluationKeys = 4,
};
std::string_view kind_name(Kind kind);

inline constexpr std::array<std::uint8_t, 4> kMagic{'B', 'R', 'L', 'K'};
inline constexpr std::uint16_t kVersion = 1;
/// magic, kind, version, parameters id, body length, checksum.
inline constexpr std::size_t kHeaderBytes = 4 + 2 + 2 + 32 + 8 + 32;

/// A header that has the right magic, a known kind and version, and a body length.
struct Header {
  Kind kind = Kind::kParameters;
  std::array<std::uint8_t, 32> parameters_id{};
  std::uint64_t body_bytes = 0;
  std::array<std::uint8_t, 32> checksum{};
};

/// Reads the first kHeaderBytes of `bytes`; says nothing about the rest. kTruncated, kMalformed, kUnsupported.
Result<Header> parse_header(ByteView bytes);

}  // namespace brainlock::wire
