// Where zeros must lie around a map, and around how much of it.
#pragma once

#include <algorithm>
#include <vector>

#include "brainlock/base/result.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// Rows and columns from the map's first.
struct Extent {
  int height = 0, width = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

/// What padded convolutions ask of the values that they read.
class ZeroBorders {
 public:
  explicit ZeroBorders(const StagePlan& plan);

  /// Whether zeros lie around the value of stage i: padded convolutions read it.
  [[nodiscard]] bool around(std::size_t i) const { return borders_[i]; }
  /// What of the value of stage i counts: beyond it there may be zeros.
  [[nodiscard]] Extent counts(std::size_t i) const;
  /// kUnsupported if a padded convolution would read what another stage needs.
  [[nodiscard]] Status check(const Stage& stage) const;

 private:
  const StagePlan& plan_;
  std::vector<bool> borders_;
  std::vector<Extent> read_;  // of each stage's value
};

}  // namespace brainlock::compiler
