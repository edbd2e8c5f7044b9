// Between which values a node's output lies.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

struct Interval {
  double low = 0, high = 0;

  [[nodiscard]] double largest() const { return std::max(std::fabs(low), std::fabs(high)); }
  [[nodiscard]] double centre() const { return (low + high) / 2; }
  [[nodiscard]] double half_width() const { return (high - low) / 2; }
};

struct NodeRange {
  Interval all;
  std::vector<Interval> channels;   ///< one each; empty where nobody asks

  /// As far on both sides of zero.
  static NodeRange around_zero(double largest) { return {{-largest, largest}, {}}; }
  [[nodiscard]] double largest() const { return all.largest(); }
  [[nodiscard]] const Interval& of_channel(std::size_t c) const { return channels.empty() ? all : channels[c]; }

  /// Of the same numbers in another shape: a map written out as a vector has as many channels as numbers.
  [[nodiscard]] NodeRange in_shape(const TensorShape& shape) const {
    NodeRange out{all, {}};
    const auto wanted = static_cast<std::size_t>(shape.channels);
    if (channels.empty() || wanted % channels.size() != 0) return out;
    for (const Interval& channel : channels) out.channels.insert(out.channels.end(), wanted / channels.size(), channel);
    return out;
  }
};

}  // namespace brainlock::compiler
