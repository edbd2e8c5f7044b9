// Reads SCALE from untrusted bytes, with limits before allocation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::scale_codec {

/// A cursor over bytes it does not own. After an error the cursor's place is unspecified. Not thread-safe.
/// Every read is kTruncated when the bytes end and kMalformed for a form that no encoder writes.
class Decoder {
 public:
  explicit Decoder(std::span<const std::uint8_t> data) : data_(data) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - position_; }
  [[nodiscard]] bool at_end() const { return remaining() == 0; }
  /// kMalformed unless everything was read.
  [[nodiscard]] Status expect_end() const;

  /// `size_bytes` (1 to 16) little-endian bytes.
  [[nodiscard]] Result<U128> fixed(std::size_t size_bytes);
  [[nodiscard]] Result<std::uint8_t> u8();
  [[nodiscard]] Result<std::uint16_t> u16();
  [[nodiscard]] Result<std::uint32_t> u32();
  [[nodiscard]] Result<std::uint64_t> u64();
  [[nodiscard]] Result<bool> boolean();

  /// A compact integer of at most 128 bits in its shortest form; kTooLarge above `limit`.
  [[nodiscard]] Result<U128> compact(U128 limit = ~U128{0});
  [[nodiscard]] Result<std::uint32_t> compact_u32();

  /// A sequence length: kTooLarge when that many items of at least `min_item_bytes` each cannot be in what is left.
  /// With min_item_bytes 0 (items without bytes) at most `kMaxEmptyItems`.
  [[nodiscard]] Result<std::size_t> length(std::size_t min_item_bytes = 1);
  static constexpr std::size_t kMaxEmptyItems = 4096;

  /// The next bytes, as a view into the input.
  [[nodiscard]] Result<std::span<const std::uint8_t>> raw(std::size_t size_bytes);
  /// Length-prefixed bytes, as a view into the input.
  [[nodiscard]] Result<std::span<const std::uint8_t>> bytes();
  [[nodiscard]] Result<std::string> text();
  [[nodiscard]] Status skip_text();

 private:
  std::span<const std::uint8_t> data_;
  std::size_t position_ = 0;
};

}  // namespace brainlock::scale_codec
