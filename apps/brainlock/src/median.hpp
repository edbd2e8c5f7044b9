// The middle of what was measured.
#pragma once

#include <algorithm>
#include <vector>

namespace brainlock::app {

/// Of one value at least; between the two in the middle of an even number.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

}  // namespace brainlock::app
