// What a layout asks of the chain of primes: how its weights' rounding errors and its values' ranges are, measured on
// the first calibration input.
#pragma once

#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/compile.hpp"
#include "calibration.hpp"
#include "levels.hpp"
#include "lowering.hpp"
#include "refreshes.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// Ranges are taken from a few calibration inputs; real inputs may reach further by this factor.
inline constexpr double kRangeMargin = 4.0;

/// What rounded weights of a carried stage do, for scales that are not yet known.
struct CarriedNoise {
  std::size_t stage = 0;
  double weight_noise = 0, weight_gain = 0;  ///< as in StageNeeds
  double mask_noise = 0, mask_gain = 0;
};

struct LevelNeeds {
  LevelRequest request;
  std::vector<CarriedNoise> carried;
  RefreshRanges ranges;
};

/// Bits that all primes of the profile may have together.
double most_log_qp(const Profile& profile);

/// `lowered`: with its weights, at limbs and scales of some chain. Carried stages learn what scales they need; weights
/// and masks get the scales at which their rounding was measured, until levels are assigned anew. Cost: a run of the
/// network slot by slot, and two FFTs for each weight vector.
Result<LevelNeeds> measure_needs(const StagePlan& stages, Lowered& lowered, const Calibration& calibration,
                                 const Profile& profile, std::span<const std::vector<float>> samples, unsigned threads);

/// Carried stages take what weight scale is left for them (`lowered` has the levels assigned): the error that this
/// makes comes on top.
void add_carried_noise(const Lowered& lowered, const std::vector<CarriedNoise>& carried, const Calibration& calibration,
                       LevelChoice& levels);

}  // namespace brainlock::compiler
