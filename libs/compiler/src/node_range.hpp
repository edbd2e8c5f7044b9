// Between which values a node's output lies.
#pragma once

#include <algorithm>
#include <cmath>

namespace brainlock::compiler {

struct NodeRange {
  double low = 0, high = 0;

  /// As far on both sides of zero.
  static NodeRange around_zero(double largest) { return {-largest, largest}; }
  [[nodiscard]] double largest() const { return std::max(std::fabs(low), std::fabs(high)); }
  [[nodiscard]] double centre() const { return (low + high) / 2; }
  [[nodiscard]] double half_width() const { return (high - low) / 2; }
};

}  // namespace brainlock::compiler
