// Writes SCALE: fixed-width integers, compact integers, length-prefixed bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace brainlock::scale_codec {

/// 128-bit unsigned integer; the largest number that this codec handles as a number.
using U128 = unsigned __int128;

/// Appends to an owned buffer. Never fails. Not thread-safe.
class Encoder {
 public:
  /// `size_bytes` little-endian bytes of the value; size_bytes is 1 to 16.
  Encoder& fixed(U128 value, std::size_t size_bytes);
  Encoder& u8(std::uint8_t value) { return fixed(value, 1); }
  Encoder& u16(std::uint16_t value) { return fixed(value, 2); }
  Encoder& u32(std::uint32_t value) { return fixed(value, 4); }
  Encoder& u64(std::uint64_t value) { return fixed(value, 8); }
  Encoder& u128(U128 value) { return fixed(value, 16); }
  Encoder& boolean(bool value) { return fixed(value ? 1 : 0, 1); }
  /// Shortest compact form.
  Encoder& compact(U128 value);
  /// Bytes as they are.
  Encoder& raw(std::span<const std::uint8_t> bytes);
  /// Compact length, then the bytes.
  Encoder& bytes(std::span<const std::uint8_t> bytes);
  Encoder& text(std::string_view text);

  [[nodiscard]] const std::vector<std::uint8_t>& data() const { return data_; }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::exchange(data_, {}); }

 private:
  std::vector<std::uint8_t> data_;
};

}  // namespace brainlock::scale_codec
