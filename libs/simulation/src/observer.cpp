#include "observer.hpp"

#include <algorithm>
#include <cmath>

namespace brainlock::simulation {
namespace {

constexpr double kQuickWrongAnswer_s = 1.0;
constexpr double kHonestFailure = 0.01;

/// Log-normal about the median, with an occasional slow one (a busy machine).
double draw_time_s(const Miner& miner, sampler::Random& random) {
  double time = miner.median_s * std::exp(miner.spread * random.normal());
  if (random.chance(0.02)) time *= random.uniform(1.5, 3.0);
  return time;
}

}  // namespace

double selection_limit_s(const Miner& miner, std::uint64_t seed) {
  if (miner.parameter <= 0.0) return HUGE_VAL;
  sampler::Random random(seed);
  std::vector<double> times(20'000);
  for (double& time : times) time = draw_time_s(miner, random);
  const auto place = static_cast<std::ptrdiff_t>((1.0 - miner.parameter) * static_cast<double>(times.size()));
  std::nth_element(times.begin(), times.begin() + place, times.end());
  return times[static_cast<std::size_t>(place)];
}

Observer::Observer(const Options& options, const std::vector<Miner>& miners, const std::vector<double>& limits_s,
                   std::uint64_t seed)
    : options_(options), miners_(miners), limits_s_(limits_s), random_(seed), history_(miners.size()) {}

score::Observation Observer::query(std::size_t index, std::int64_t now_ms, bool second_half) {
  const Miner& miner = miners_[index];
  const double time = draw_time_s(miner, random_);
  const double luck = random_.uniform();
  const bool found_out = random_.chance(options_.detection);
  score::Observation seen{now_ms, luck >= kHonestFailure, time};
  switch (miner.kind) {
    case MinerKind::kHonest:
      break;
    case MinerKind::kSelector:
      seen.success = seen.success && time <= limits_s_[index];
      break;
    case MinerKind::kFlaky:
      seen.success = luck >= std::max(miner.parameter, kHonestFailure);
      break;
    case MinerKind::kDying:
      seen.success = seen.success && !second_half;
      break;
    case MinerKind::kPartCheater:
    case MinerKind::kCheater:
      if (miner.kind == MinerKind::kCheater || random_.chance(miner.parameter)) {
        seen.success = !found_out;
        seen.response_s = kQuickWrongAnswer_s;
      }
      break;
  }
  return seen;
}

std::vector<double> Observer::measure(std::size_t tempo) {
  const std::int64_t tempo_ms = kTempoBlocks * kBlockMs;
  const std::int64_t begin_ms = static_cast<std::int64_t>(tempo) * tempo_ms;
  const bool second_half = tempo >= options_.tempos / 2;
  std::vector<double> scores(miners_.size());
  for (std::size_t m = 0; m < miners_.size(); ++m) {
    auto& rows = history_[m];
    for (std::size_t q = 0; q < options_.queries_per_tempo; ++q) {
      const std::int64_t offset =
          tempo_ms * static_cast<std::int64_t>(q) / static_cast<std::int64_t>(options_.queries_per_tempo);
      rows.push_back(query(m, begin_ms + offset, second_half));
    }
    if (rows.size() > options_.rule.window_requests) {
      rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(options_.rule.window_requests));
    }
    scores[m] = score::judge(rows, begin_ms + tempo_ms, options_.rule).score;
  }
  return scores;
}

}  // namespace brainlock::simulation
