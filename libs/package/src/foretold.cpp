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

namespace {

using Runs = std::vector<std::vector<double>>;

std::vector<double> mean_of(const Runs& runs) {
  std::vector<double> mean(runs[0].size());
  for (const auto& run : runs) {
    for (std::size_t i = 0; i < run.size(); ++i) mean[i] += run[i] / static_cast<double>(runs.size());
  }
  return mean;
}

/// Square of the sum of the covariance's eigenvalues over the sum of their squares. The runs' products with each other have the same ones, and fewer of
/// them. Few runs make eigenvalues uneven: both are taken without that, as is right for Gaussian errors (moments of a Wishart matrix).
double independent(const Runs& runs, const std::vector<double>& mean) {
  const auto outputs = static_cast<double>(mean.size()), freedom = static_cast<double>(runs.size()) - 1;
  if (freedom < 2) return outputs;
  const bool by_output = mean.size() < runs.size();
  const std::size_t rows = by_output ? mean.size() : runs.size(), terms = by_output ? runs.size() : mean.size();
  const auto error = [&](std::size_t row, std::size_t term) {
    const std::size_t run = by_output ? term : row, output = by_output ? row : term;
    return runs[run][output] - mean[output];
  };
  double trace = 0, squares = 0;
  for (std::size_t a = 0; a < rows; ++a) {
    for (std::size_t b = 0; b < rows; ++b) {
      double product = 0;
      for (std::size_t i = 0; i < terms; ++i) product += error(a, i) * error(b, i) / freedom;
      squares += product * product;
      if (a == b) trace += product;
    }
  }
  const double sum_of_squares = freedom * freedom / ((freedom - 1) * (freedom + 2)) * (squares - trace * trace / freedom);
  const double square_of_sum = trace * trace - 2 / freedom * sum_of_squares;
  return sum_of_squares > 0 ? std::clamp(square_of_sum / sum_of_squares, 1.0, outputs) : outputs;
}

}  // namespace

unsigned foretelling_draws(double independent_outputs) {
  return std::max(6U, static_cast<unsigned>(std::ceil(1 + 24 / std::max(1.0, independent_outputs))));
}

Foretold foretell(const Simulator& simulator, double error_estimate, std::span<const float> input, unsigned least) {
  Foretold out;
  for (unsigned draws = std::max(1U, least); out.runs.size() < draws;) {
    out.runs.push_back(simulator.run(input, out.runs.size() + 1));
    if (out.runs.size() < draws) continue;
    out.mean = mean_of(out.runs);
    out.independent_outputs = independent(out.runs, out.mean);
    if (least > 1) draws = std::max(draws, foretelling_draws(out.independent_outputs));
  }
  const auto count = static_cast<double>(out.runs.size());
  double squares = 0;   // around the mean, per output: draws - 1 times the variance
  for (const auto& run : out.runs) {
    for (std::size_t i = 0; i < run.size(); ++i) squares += (run[i] - out.mean[i]) * (run[i] - out.mean[i]) / static_cast<double>(run.size());
  }
  // The mean is itself off by a share 1 / draws of the variance.
  out.deviation = std::sqrt((error_estimate * error_estimate + squares) / count * (1 + 1 / count));
  return out;
}

}  // namespace brainlock::package
