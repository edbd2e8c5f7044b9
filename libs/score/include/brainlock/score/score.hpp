// The subnet's score of a miner: SimplifiedReward. Pure arithmetic; the clock and the store live elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::score {

/// The constants of the reward. The defaults are the subnet's rule; other values are for simulations.
struct Rule {
  double scale_s = 40.0;                        ///< response time that scores 1
  double shape = 3.0;                           ///< Pareto exponent
  double failure_threshold = 0.20;              ///< failure rate that is still free
  double exponential_base = 2.5;                ///< per percentage point above it
  std::size_t window_requests = 40;             ///< newest requests that count
  std::int64_t window_ms = 72LL * 3600 * 1000;  ///< and none older than this
  std::size_t confident_requests = 16;          ///< in the window: below so many a score has less weight in a vote
};

/// One finished request to one miner.
struct Observation {
  std::int64_t time_ms = 0;  ///< Unix time when it ended
  bool success = false;      ///< answered, in time, and right
  double response_s = 0.0;   ///< seconds; meaningful for a success only
};

/// (scale / t)^shape for t in seconds. kInvalidArgument unless t is finite and above 0.
Result<double> response_score(double response_s, const Rule& rule = {});

/// What a failure rate divides the score by: 1 up to the threshold, 1 + base^((rate - threshold) * 100) above it.
/// kInvalidArgument unless rate is in [0, 1].
Result<double> failure_divisor(double failure_rate, const Rule& rule = {});

/// response_score / failure_divisor, never below 0.
Result<double> penalised_score(double response_s, double failure_rate, const Rule& rule = {});

/// A miner's standing over its window, with everything that explains it.
struct Standing {
  double score = 0.0;         ///< final, >= 0; what weights are made of
  double base_score = 0.0;    ///< median of the successes' scores, before the penalty
  double failure_rate = 0.0;  ///< failures / requests; 0 if there were none
  double divisor = 1.0;
  double median_response_s = 0.0;  ///< over the successes; 0 if there were none
  std::size_t requests = 0;
  std::size_t failures = 0;
};

/// Scores the newest `window_requests` of `observations` (in any order) that ended within `window_ms` before `now_ms`;
/// later ones (clock steps) count as now. A success whose time is not a positive finite number counts as a failure:
/// nobody gains by a broken clock. No success -> score 0. Cost: one sort of the window.
Standing judge(std::span<const Observation> observations, std::int64_t now_ms, const Rule& rule = {});

/// What the score of a window of so many requests counts for beside others' in a vote, 0 to 1: requests / confident_requests, at most 1. The
/// score itself stays what it is; but a median of one is the luck of one, and who was asked once shall not count like who was asked forty times.
double confidence(std::size_t requests, const Rule& rule = {});

/// Cosine of the angle between two vectors, in [-1, 1], for tasks whose outputs are embeddings. kMismatch for unequal
/// lengths, kInvalidArgument for empty input, a value that is not finite, or exactly one of the two being all zero
/// (two zero vectors are equal: 1).
Result<double> cosine_similarity(std::span<const double> a, std::span<const double> b);

}  // namespace brainlock::score
