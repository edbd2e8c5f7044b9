// Layouts with chains of primes: what each costs and how exact it is, and the best of them.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/compile.hpp"
#include "calibration.hpp"
#include "layout_ranking.hpp"
#include "level_needs.hpp"
#include "levels.hpp"
#include "lowering.hpp"
#include "machine_limits.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// A network with the layout and the levels that were chosen for it. Refreshes are still to be written into its
/// program.
struct Chosen {
  Lowered lowered;
  LevelChoice levels;
  RefreshRanges ranges;
};

class Candidates {
 public:
  /// All of them must outlive this; `report` receives every candidate and every refusal. Threads: how many may work.
  Candidates(const StagePlan& stages, const Calibration& calibration, const CompileOptions& options, unsigned threads,
             CompileReport& report, const std::vector<LayoutChoice>& shortlist);

  /// Looks for chains for every layout, and keeps the best candidate. Of a layout that is looked at again only the
  /// chains are new. An error: weights that no encoder takes.
  Status price(Refreshing refreshing);

  /// Whether every layout makes more weights than a plan may have.
  [[nodiscard]] bool all_too_large() const;
  [[nodiscard]] bool found() const { return best_.has_value(); }
  /// Whether the best is as exact as the profile asks for.
  [[nodiscard]] bool good() const { return best_ && best_->good; }
  /// Whether the best, if there is one, has more weights than servers like to hold.
  [[nodiscard]] bool too_many_weights() const;
  [[nodiscard]] double predicted_error() const { return best_->levels.relative_error; }

  /// The best, once: its weights leave with it.
  Result<Chosen> take();

 private:
  /// What is known of a layout whatever its chain: enough to price all of them.
  struct Study {
    Lowered skeleton;  ///< without the values of weights
    LevelNeeds needs;
    std::vector<LargestConstants> largest;
    double plan_bytes = 0;
  };
  struct Layout {
    LayoutChoice choice;
    bool refused = false;
    std::optional<Study> study;  // none: not looked at yet, or in vain
  };
  struct Best {
    std::size_t layout = 0;
    LevelChoice levels;
    bool good = false;
    double badness = 0, weight_megabytes = 0;
    std::size_t candidate = 0;
  };
  /// Of one layout.
  struct Weights {
    std::size_t layout = 0;
    plan::Program program;
  };

  /// Lowers layout i with its weights, and refuses it if they are too many; measures what it needs if a chain may be
  /// found at all.
  Status study(std::size_t i, bool may_hold);
  void refuse(Layout& layout, const std::string& reason);
  void consider(std::size_t i, const LevelChoice& levels);

  const StagePlan& stages_;
  const Calibration& calibration_;
  const CompileOptions& options_;
  unsigned threads_;
  CompileReport& report_;
  std::vector<Layout> layouts_;
  std::optional<Best> best_;
  /// Of the best layout of those whose weights were made: made once more if another turns out best.
  std::optional<Weights> kept_;
};

}  // namespace brainlock::compiler
