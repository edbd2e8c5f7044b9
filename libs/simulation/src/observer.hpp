// One validator's measurements: made-up response times, kept as a real validator keeps them.
#pragma once

#include <cstdint>
#include <vector>

#include "brainlock/sampler/random.hpp"
#include "brainlock/score/score.hpp"
#include "brainlock/simulation/simulation.hpp"

namespace brainlock::simulation {

inline constexpr std::int64_t kBlockMs = 12'000;
inline constexpr std::int64_t kTempoBlocks = 360;

/// Time above which a selector drops a query: its own (1 - parameter) quantile, found by trying.
double selection_limit_s(const Miner& miner, std::uint64_t seed);

/// Not safe from two threads; different observers are independent.
class Observer {
 public:
  Observer(const Options& options, const std::vector<Miner>& miners, const std::vector<double>& limits_s,
           std::uint64_t seed);

  /// Queries every miner `queries_per_tempo` times in tempo `tempo` and returns their scores.
  std::vector<double> measure(std::size_t tempo);

 private:
  score::Observation query(std::size_t miner, std::int64_t now_ms, bool second_half);

  const Options& options_;
  const std::vector<Miner>& miners_;
  const std::vector<double>& limits_s_;
  sampler::Random random_;
  std::vector<std::vector<score::Observation>> history_;  // newest window_requests of each miner
};

}  // namespace brainlock::simulation
