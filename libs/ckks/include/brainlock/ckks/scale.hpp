// The factor between a message and its encoding, as a type of its own.
#pragma once

#include <cmath>
#include <cstdint>

namespace brainlock::ckks {

/// Positive scale. Products and quotients keep about 2^-52 relative precision; two scales are compatible for addition
/// when they differ by less than 2^-40 relatively (see matches()).
class Scale {
 public:
  constexpr Scale() = default;
  static Scale from_value(double value) { return Scale(value); }
  static Scale from_log2(double bits) { return Scale(std::exp2(bits)); }
  [[nodiscard]] double value() const { return value_; }
  [[nodiscard]] double log2() const { return std::log2(value_); }
  [[nodiscard]] Scale operator*(Scale other) const { return Scale(value_ * other.value_); }
  [[nodiscard]] Scale operator/(Scale other) const { return Scale(value_ / other.value_); }
  [[nodiscard]] bool matches(Scale other) const { return std::fabs(value_ / other.value_ - 1.0) < 0x1p-40; }

 private:
  explicit constexpr Scale(double value) : value_(value) {}
  double value_ = 1.0;
};

}  // namespace brainlock::ckks
