#include "refresh_sine.hpp"

#include <cmath>
#include <numbers>

namespace brainlock::compiler {
namespace {

// cos(kAngle sqrt(y)), 0 <= y <= 1, to within 2^-38.8: the steps behind the first square, found by least squares and
// Lawson's weights. Taylor's polynomial of as many squares would be off by 2^-22.
constexpr double kAngle = 0.4;
constexpr SineStep kBase[] = {{-0.006205907606458975, 1.000000023926761},
                              {1.5860427661351242, -0.5860427661286566},
                              {0.019686874167964993, 0.9803131258320005},
                              {51.60633191064969, -50.60633221910894}};
// Standard deviations of I up to the largest one: of 2^16 coefficients one is beyond it in 2^40 ciphertexts.
constexpr double kDeviations = 8.6;
// Places at which errors are looked at between two multiples.
constexpr int kOffsets = 3;

double run(const std::vector<SineStep>& steps, double v) {
  for (const SineStep& step : steps) v = step.factor * v * v + step.constant;
  return v;
}

}  // namespace

double multiple_deviation(std::uint32_t ring_degree) { return std::sqrt((1 + 2.0 * ring_degree / 3) / 12); }

double largest_multiple(std::uint32_t ring_degree) { return std::ceil(kDeviations * multiple_deviation(ring_degree)); }

SineChain make_sine_chain(std::uint32_t ring_degree) {
  SineChain chain;
  chain.steps.assign(std::begin(kBase), std::end(kBase));
  const double pi = std::numbers::pi;
  const auto largest = static_cast<int>(largest_multiple(ring_degree));
  double angle = kAngle;  // at v = 1
  while (angle < 2 * pi * (largest + 0.5)) {
    chain.steps.push_back({2, -1, 0});
    angle *= 2;
  }
  chain.turn = 2 * pi / angle;
  const double deviation = multiple_deviation(ring_degree);
  double weights = 0, error = 0;
  for (int multiple = -largest; multiple <= largest; ++multiple) {
    const double weight = std::exp(-0.5 * multiple * multiple / (deviation * deviation));
    weights += weight;
    double v = chain.turn * (multiple - 0.25), gain = 1;
    std::vector<double> values{v};
    for (const SineStep& step : chain.steps)
      values.push_back(step.factor * values.back() * values.back() + step.constant);
    for (std::size_t k = chain.steps.size(); k-- > 0;) {
      chain.steps[k].noise_gain += weight * gain * gain;
      gain *= 2 * chain.steps[k].factor * values[k];
    }
    chain.input_gain += weight * gain * gain;
    for (int i = -kOffsets; i <= kOffsets; ++i) {
      const double e = 0.01 * i;
      const double difference = run(chain.steps, chain.turn * (multiple + e - 0.25)) - std::sin(2 * pi * e);
      error += weight * difference * difference / (2 * kOffsets + 1);
    }
  }
  for (SineStep& step : chain.steps) step.noise_gain = std::sqrt(step.noise_gain / weights);
  chain.input_gain = std::sqrt(chain.input_gain / weights);
  chain.error = std::sqrt(error / weights);
  return chain;
}

}  // namespace brainlock::compiler
