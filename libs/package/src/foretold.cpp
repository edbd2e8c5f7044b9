#include "brainlock/package/foretold.hpp"

#include <algorithm>
#include <cmath>

namespace brainlock::package {

double Foretold::ratio(std::span<const double> answer) const {
  if (answer.size() != mean.size()) return HUGE_VAL;
  double squares = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) squares += (answer[i] - mean[i]) * (answer[i] - mean[i]);
  if (squares == 0) return 0;
  const double ratio = std::sqrt(squares / static_cast<double>(mean.size())) / deviation;
  return std::isnan(ratio) ? HUGE_VAL : ratio;
}

Foretold foretell(const Simulator& simulator, double error_estimate, std::span<const float> input, unsigned draws) {
  Foretold out;
  for (std::uint64_t seed = 1; seed <= std::max(1U, draws); ++seed) out.runs.push_back(simulator.run(input, seed));
  const auto count = static_cast<double>(out.runs.size());
  out.mean.assign(out.runs[0].size(), 0);
  for (const auto& run : out.runs) {
    for (std::size_t i = 0; i < run.size(); ++i) out.mean[i] += run[i] / count;
  }
  double squares = 0;   // around the mean, per output: draws - 1 times the variance
  for (const auto& run : out.runs) {
    for (std::size_t i = 0; i < run.size(); ++i) squares += (run[i] - out.mean[i]) * (run[i] - out.mean[i]) / static_cast<double>(run.size());
  }
  // The mean is itself off by a share 1 / draws of the variance.
  out.deviation = std::sqrt((error_estimate * error_estimate + squares) / count * (1 + 1 / count));
  return out;
}

}  // namespace brainlock::package
