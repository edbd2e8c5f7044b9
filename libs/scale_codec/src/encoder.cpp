#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::scale_codec {

Encoder& Encoder::fixed(U128 value, std::size_t size_bytes) {
  for (std::size_t i = 0; i < size_bytes; ++i) data_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return *this;
}

Encoder& Encoder::compact(U128 value) {
  if (value < 1u << 6) return fixed(value << 2, 1);
  if (value < 1u << 14) return fixed(value << 2 | 1, 2);
  if (value < 1u << 30) return fixed(value << 2 | 2, 4);
  std::size_t size = 4;
  while (size < 16 && value >> (8 * size) != 0) ++size;
  return fixed((size - 4) << 2 | 3, 1).fixed(value, size);
}

Encoder& Encoder::raw(std::span<const std::uint8_t> bytes) {
  data_.insert(data_.end(), bytes.begin(), bytes.end());
  return *this;
}

Encoder& Encoder::bytes(std::span<const std::uint8_t> bytes) { return compact(bytes.size()).raw(bytes); }

Encoder& Encoder::text(std::string_view text) {
  return bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace brainlock::scale_codec
