// Signed 32.32 fixed point with the chain's truncation.
#pragma once

#include <compare>
#include <cstdint>

namespace brainlock::ledger {

__extension__ typedef __int128 Wide;

/// value = raw / 2^32. Operands of this file's functions are at least 0 and results stay far below 2^31.
struct Fixed {
  std::int64_t raw = 0;

  static Fixed from_int(std::int64_t value) { return {value << 32}; }

  friend Fixed operator+(Fixed a, Fixed b) { return {a.raw + b.raw}; }
  friend Fixed operator-(Fixed a, Fixed b) { return {a.raw - b.raw}; }
  friend Fixed operator*(Fixed a, Fixed b) {
    return {static_cast<std::int64_t>((static_cast<Wide>(a.raw) * b.raw) >> 32)};
  }
  /// 0 if the divisor is 0.
  friend Fixed operator/(Fixed a, Fixed b) {
    return b.raw == 0 ? Fixed{} : Fixed{static_cast<std::int64_t>((static_cast<Wide>(a.raw) << 32) / b.raw)};
  }
  Fixed& operator+=(Fixed other) {
    raw += other.raw;
    return *this;
  }
  auto operator<=>(const Fixed&) const = default;

  /// floor(value * 65535), at most 65535.
  [[nodiscard]] std::uint16_t to_u16() const {
    const auto scaled = (static_cast<Wide>(raw) * 65535) >> 32;
    return static_cast<std::uint16_t>(scaled > 65535 ? 65535 : scaled < 0 ? 0 : scaled);
  }
};

}  // namespace brainlock::ledger
