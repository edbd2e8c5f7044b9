#include "brainlock/score/score.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace brainlock::score {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2.0;
}

}  // namespace

Result<double> response_score(double response_s, const Rule& rule) {
  if (!std::isfinite(response_s) || response_s <= 0.0) {
    return Error{ErrorCode::kInvalidArgument,
                 "expected a response time above 0 seconds, got " + std::to_string(response_s)};
  }
  const double score = std::pow(rule.scale_s / response_s, rule.shape);
  if (!std::isfinite(score)) {
    return Error{ErrorCode::kInvalidArgument,
                 "a response time of " + std::to_string(response_s) + " s has no finite score"};
  }
  return score;
}

Result<double> failure_divisor(double failure_rate, const Rule& rule) {
  if (!(failure_rate >= 0.0 && failure_rate <= 1.0)) {
    return Error{ErrorCode::kInvalidArgument,
                 "expected a failure rate from 0 to 1, got " + std::to_string(failure_rate)};
  }
  if (failure_rate <= rule.failure_threshold) return 1.0;
  return 1.0 + std::pow(rule.exponential_base, (failure_rate - rule.failure_threshold) * 100.0);
}

Result<double> penalised_score(double response_s, double failure_rate, const Rule& rule) {
  BRAINLOCK_ASSIGN(const double base, response_score(response_s, rule));
  BRAINLOCK_ASSIGN(const double divisor, failure_divisor(failure_rate, rule));
  return std::max(0.0, base / divisor);
}

Standing judge(std::span<const Observation> observations, std::int64_t now_ms, const Rule& rule) {
  std::vector<Observation> window;
  window.reserve(observations.size());
  for (const Observation& observation : observations) {
    if (observation.time_ms > now_ms - rule.window_ms) window.push_back(observation);
  }
  std::stable_sort(window.begin(), window.end(),
                   [](const Observation& a, const Observation& b) { return a.time_ms > b.time_ms; });
  if (window.size() > rule.window_requests) window.resize(rule.window_requests);

  Standing standing;
  standing.requests = window.size();
  std::vector<double> scores;
  std::vector<double> times;
  for (const Observation& observation : window) {
    const auto score = response_score(observation.response_s, rule);
    if (observation.success && score.ok()) {
      scores.push_back(*score);
      times.push_back(observation.response_s);
    } else {
      ++standing.failures;
    }
  }
  if (standing.requests == 0) return standing;
  standing.failure_rate = static_cast<double>(standing.failures) / static_cast<double>(standing.requests);
  standing.divisor = failure_divisor(standing.failure_rate, rule).value();
  standing.base_score = median(std::move(scores));
  standing.median_response_s = median(std::move(times));
  standing.score = std::max(0.0, standing.base_score / standing.divisor);
  return standing;
}

double confidence(std::size_t requests, const Rule& rule) {
  return requests >= rule.confident_requests ? 1.0 : static_cast<double>(requests) / static_cast<double>(rule.confident_requests);
}

Result<double> cosine_similarity(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) {
    return Error{ErrorCode::kMismatch, "expected vectors of one length, got " + std::to_string(a.size()) + " and " +
                                           std::to_string(b.size())};
  }
  if (a.empty()) return Error{ErrorCode::kInvalidArgument, "expected vectors with at least one value"};
  // Scaling by the largest value keeps squares of very large and very small outputs inside the range of double.
  double largest_a = 0.0;
  double largest_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      return Error{ErrorCode::kInvalidArgument, "value " + std::to_string(i) + " is not a finite number"};
    }
    largest_a = std::max(largest_a, std::abs(a[i]));
    largest_b = std::max(largest_b, std::abs(b[i]));
  }
  if (largest_a == 0.0 && largest_b == 0.0) return 1.0;
  if (largest_a == 0.0 || largest_b == 0.0) {
    return Error{ErrorCode::kInvalidArgument, "a zero vector has no direction to compare"};
  }
  double dot = 0.0;
  double square_a = 0.0;
  double square_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i] / largest_a;
    const double y = b[i] / largest_b;
    dot += x * y;
    square_a += x * x;
    square_b += y * y;
  }
  return std::clamp(dot / (std::sqrt(square_a) * std::sqrt(square_b)), -1.0, 1.0);
}

}  // namespace brainlock::score
