#include "refresh_transforms.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <map>
#include <numbers>

#include "brainlock/plan/slot_coefficients.hpp"
#include "layout.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

/// out[t] = sum over shifts s of diagonal[s][t mod period] * in[t + s].
struct Diagonals {
  std::int64_t period = 1;
  std::map<std::int64_t, std::vector<Complex>> by_shift{{0, {1.0}}};
};

/// One stage of the FFT, times 2^(-1/2), or its inverse, times 2^(1/2).
Diagonals stage(Direction direction, std::int64_t half) {
  Diagonals out{2 * half, {}};
  const auto zeros = [&](std::int64_t shift) -> std::vector<Complex>& {
    return out.by_shift.try_emplace(shift, out.period).first->second;
  };
  std::vector<Complex>&own = zeros(0), &above = zeros(half), &below = zeros(-half);
  const double r = std::numbers::sqrt2 / 2;
  for (std::int64_t j = 0; j < half; ++j) {
    const auto low = static_cast<std::size_t>(j), high = static_cast<std::size_t>(j + half);
    const Complex root = plan::stage_root(static_cast<std::uint32_t>(half), static_cast<std::uint32_t>(j));
    own[low] = r;
    if (direction == Direction::kSlotsToCoefficients) {
      above[low] = r * root;
      below[high] = r;
      own[high] = -r * root;
    } else {
      above[low] = r;
      below[high] = r * std::conj(root);
      own[high] = -r * std::conj(root);
    }
  }
  return out;
}

/// `second` after `first`. Shifts that are a whole turn apart are one.
Diagonals after(const Diagonals& second, const Diagonals& first, std::int64_t slots) {
  Diagonals out{std::max(second.period, first.period), {}};
  for (const auto& [a, outer] : second.by_shift)
    for (const auto& [b, inner] : first.by_shift) {
      const std::int64_t shift = out.period == slots ? floor_mod(a + b, slots) : a + b;
      auto& sum = out.by_shift.try_emplace(shift, out.period).first->second;
      for (std::int64_t t = 0; t < out.period; ++t)
        sum[static_cast<std::size_t>(t)] += outer[static_cast<std::size_t>(t % second.period)] *
                                            inner[static_cast<std::size_t>(floor_mod(t + a, first.period))];
    }
  return out;
}

/// What `count` stages from `first` on come to, without values.
Diagonals structure(int first, int count, std::int64_t slots) {
  const std::int64_t unit = std::int64_t{1} << first, range = std::int64_t{1} << count;
  Diagonals out{unit * range, {}};
  for (std::int64_t s = out.period == slots ? 0 : 1 - range; s < range; ++s) out.by_shift[s * unit] = {};
  return out;
}

/// Shifts are multiples of `unit`: `babies` neighbours of them are columns, the rest giant steps.
plan::Linear to_layer(const Diagonals& matrix, std::int64_t unit, std::int64_t babies, bool precise) {
  const std::int64_t first = matrix.by_shift.begin()->first / unit, last = matrix.by_shift.rbegin()->first / unit;
  babies = std::min(babies, last - first + 1);
  const std::int64_t giants = (last - first) / babies + 1;
  plan::Linear linear;
  linear.inputs = {0};
  linear.period = static_cast<std::uint32_t>(matrix.period);
  linear.giant_step = static_cast<std::int32_t>(babies * unit);
  plan::Linear::Output output{};
  output.giants = static_cast<std::uint32_t>(giants);
  output.weights.assign(static_cast<std::size_t>(babies * giants), -1);
  for (std::int64_t k = 0; k < babies; ++k) {
    linear.columns.push_back({0, static_cast<std::int32_t>((first + k) * unit)});
    output.columns.push_back(static_cast<std::uint32_t>(k));
  }
  for (std::int64_t g = 0; g < giants; ++g)
    for (std::int64_t k = 0; k < babies; ++k) {
      const auto found = matrix.by_shift.find((first + k + g * babies) * unit);
      if (found == matrix.by_shift.end()) continue;
      output.weights[static_cast<std::size_t>(k * giants + g)] = static_cast<std::int32_t>(linear.vectors.size());
      if (found->second.empty()) {
        linear.vectors.push_back({linear.period, {}, {}, {}});
        continue;
      }
      std::vector<Complex> values;  // as they are before the giant step's rotation
      for (std::int64_t t = 0; t < matrix.period; ++t)
        values.push_back(found->second[static_cast<std::size_t>(floor_mod(t - g * babies * unit, matrix.period))]);
      plan::SlotVector vector = plan::SlotVector::precise(values);
      if (!precise) vector.rest = {};
      linear.vectors.push_back(std::move(vector));
    }
  linear.outputs.push_back(std::move(output));
  return linear;
}

}  // namespace

std::vector<plan::Linear> make_transform(Direction direction, std::uint32_t slots, std::uint32_t babies,
                                         TransformDepth depth) {
  const int stages = std::countr_zero(slots), groups = (stages + kTransformStages - 1) / kTransformStages;
  std::vector<plan::Linear> layers;
  for (int g = 0, done = 0; g < groups; ++g) {
    const int count = (stages - done) / (groups - g);
    Diagonals matrix;
    if (depth == TransformDepth::kStructure) matrix = structure(done, count, slots);
    for (int s = done; depth == TransformDepth::kWeights && s < done + count;
         ++s) {  // halves from 1 up, the other way back
      const Diagonals next = stage(direction, std::int64_t{1} << s);
      matrix = direction == Direction::kSlotsToCoefficients ? after(next, matrix, slots) : after(matrix, next, slots);
    }
    layers.push_back(to_layer(matrix, std::int64_t{1} << done, babies, direction == Direction::kCoefficientsToSlots));
    done += count;
  }
  if (direction == Direction::kCoefficientsToSlots) std::reverse(layers.begin(), layers.end());
  return layers;
}

double transform_weight_noise(const plan::Linear& layer) {
  // Every vector is off by a polynomial of 2 * period coefficients that are uniform in +-1/2.
  return std::sqrt(static_cast<double>(layer.vectors.size()) * 2 * layer.period / 12);
}

}  // namespace brainlock::compiler
