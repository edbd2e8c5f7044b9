#include "brainlock/scale_codec/decoder.hpp"

namespace brainlock::scale_codec {
namespace {

Error truncated(std::size_t position, std::size_t wanted, std::size_t left) {
  return {ErrorCode::kTruncated, "SCALE ends early: " + std::to_string(wanted) + " bytes wanted at " +
                                     std::to_string(position) + ", " + std::to_string(left) + " left"};
}

template <typename T>
Result<T> narrow(Result<U128> wide) {
  if (!wide.ok()) return wide.error();
  return static_cast<T>(*wide);
}

}  // namespace

Status Decoder::expect_end() const {
  if (at_end()) return {};
  return Error{ErrorCode::kMalformed, std::to_string(remaining()) + " bytes are left after the SCALE value"};
}

Result<std::span<const std::uint8_t>> Decoder::raw(std::size_t size_bytes) {
  if (size_bytes > remaining()) return truncated(position_, size_bytes, remaining());
  const auto view = data_.subspan(position_, size_bytes);
  position_ += size_bytes;
  return view;
}

Result<U128> Decoder::fixed(std::size_t size_bytes) {
  if (size_bytes > remaining()) return truncated(position_, size_bytes, remaining());
  U128 value = 0;
  for (std::size_t i = 0; i < size_bytes; ++i) value |= U128{data_[position_ + i]} << (8 * i);
  position_ += size_bytes;
  return value;
}

Result<std::uint8_t> Decoder::u8() { return narrow<std::uint8_t>(fixed(1)); }
Result<std::uint16_t> Decoder::u16() { return narrow<std::uint16_t>(fixed(2)); }
Result<std::uint32_t> Decoder::u32() { return narrow<std::uint32_t>(fixed(4)); }
Result<std::uint64_t> Decoder::u64() { return narrow<std::uint64_t>(fixed(8)); }

Result<bool> Decoder::boolean() {
  BRAINLOCK_ASSIGN(const auto byte, u8());
  if (byte > 1) return Error{ErrorCode::kMalformed, "a SCALE bool is 0 or 1, got " + std::to_string(byte)};
  return byte == 1;
}

Result<U128> Decoder::compact(U128 limit) {
  BRAINLOCK_ASSIGN(const auto first, u8());
  std::size_t size = 0;
  U128 least = 0;  // Smallest value that needs this form.
  U128 value = 0;
  switch (first & 3) {
    case 0: value = first >> 2; break;
    case 1: size = 2, least = 1u << 6; break;
    case 2: size = 4, least = 1u << 14; break;
    default: {
      const std::size_t count = (first >> 2) + std::size_t{4};
      if (count > 16) return Error{ErrorCode::kTooLarge, "compact integer has more than 128 bits"};
      BRAINLOCK_ASSIGN(value, fixed(count));
      least = count == 4 ? U128{1} << 30 : U128{1} << (8 * (count - 1));
    }
  }
  if (size > 0) {
    --position_;
    BRAINLOCK_ASSIGN(value, fixed(size));
    value >>= 2;
  }
  if (value < least) return Error{ErrorCode::kMalformed, "compact integer is not in its shortest form"};
  if (value > limit) return Error{ErrorCode::kTooLarge, "compact integer is above its limit"};
  return value;
}

Result<std::uint32_t> Decoder::compact_u32() { return narrow<std::uint32_t>(compact(0xffffffffu)); }

Result<std::size_t> Decoder::length(std::size_t min_item_bytes) {
  BRAINLOCK_ASSIGN(const auto count, compact(0xffffffffu));
  const U128 most = min_item_bytes == 0 ? kMaxEmptyItems : remaining() / min_item_bytes;
  if (count > most) {
    return Error{ErrorCode::kTooLarge, "sequence of " + std::to_string(static_cast<std::uint64_t>(count)) +
                                           " items cannot be in the " + std::to_string(remaining()) + " bytes left"};
  }
  return static_cast<std::size_t>(count);
}

Result<std::span<const std::uint8_t>> Decoder::bytes() {
  BRAINLOCK_ASSIGN(const auto size, length());
  return raw(size);
}

Result<std::string> Decoder::text() {
  BRAINLOCK_ASSIGN(const auto view, bytes());
  return std::string(reinterpret_cast<const char*>(view.data()), view.size());
}

Status Decoder::skip_text() {
  const auto view = bytes();
  if (!view.ok()) return view.error();
  return {};
}

}  // namespace brainlock::scale_codec
