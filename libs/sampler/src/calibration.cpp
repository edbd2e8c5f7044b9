#include "brainlock/sampler/calibration.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "brainlock/sampler/random.hpp"
#include "brainlock/sampler/synthetic.hpp"

namespace brainlock::sampler {
namespace {

constexpr std::uint64_t kFirstSeed = 1000;
constexpr std::size_t kDrawnForOne = 4;

double energy(const std::vector<float>& values) {
  return std::transform_reduce(values.begin(), values.end(), 0.0, std::plus<>(), [](float v) { return static_cast<double>(v) * static_cast<double>(v); });
}

}  // namespace

std::vector<float> synthetic_values(std::uint64_t seed, int channels, int height, int width) {
  auto image = synthetic_image(seed, channels, height, width);
  if (image.ok()) return std::move(image->pixels);
  Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  for (float& v : values) v = static_cast<float>(random.uniform());
  return values;
}

std::vector<std::vector<float>> calibration_inputs(std::size_t count, int channels, int height, int width, unsigned threads) {
  std::vector<std::vector<float>> drawn(kDrawnForOne * count);
  parallel_for(drawn.size(), threads, [&](std::size_t i) { drawn[i] = synthetic_values(kFirstSeed + i, channels, height, width); });
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t i = 0; i < drawn.size(); ++i) order.emplace_back(energy(drawn[i]), i);
  std::sort(order.rbegin(), order.rend());
  std::vector<std::vector<float>> chosen;
  for (std::size_t part = 0; part < count; ++part) chosen.push_back(std::move(drawn[order[part * kDrawnForOne + kDrawnForOne / 2].second]));
  return chosen;
}

}  // namespace brainlock::sampler
