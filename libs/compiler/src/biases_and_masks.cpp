#include "biases_and_masks.hpp"

#include <algorithm>
#include <cmath>

#include "slot_sums.hpp"

namespace brainlock::compiler {
namespace {

/// Whether each channel has one bias.
bool is_uniform(const Stage& stage, std::size_t plane) {
  for (std::size_t e = 0; e < stage.bias.size(); ++e)
    if (!(std::fabs(stage.bias[e] - stage.bias[e / plane * plane]) <= 1e-9 * (1 + std::fabs(stage.bias[e]))))
      return false;
  return true;
}

/// Calls visit(c, y, x, ciphertext, part, slot) channel by channel for what lies in the first rows and columns.
template <typename Visit>
void for_places(const GridLayout& grid, Extent extent, std::int64_t period, Visit&& visit) {
  for (int c = 0; c < grid.shape.channels; ++c)
    for (int y = 0; y < extent.height; ++y)
      for (int x = 0; x < extent.width; ++x) {
        const Where w = grid.where(c, y, x);
        visit(c, y, x, static_cast<std::size_t>(w.ciphertext), w.part,
              static_cast<std::size_t>(floor_mod(w.slot, period)));
      }
}

}  // namespace

std::vector<plan::SlotVector> grid_biases(const Stage& stage, const GridLayout& grid, Extent counts, bool zeros,
                                          std::int64_t slots) {
  const auto width = static_cast<std::size_t>(stage.out.width);
  const std::size_t plane = static_cast<std::size_t>(stage.out.height) * width;
  const bool uniform = !zeros && is_uniform(stage, plane);
  const std::int64_t period = uniform ? grid.sx : slots;
  const Extent extent =
      uniform ? Extent{std::min(grid.fy, stage.out.height), std::min(grid.fx, stage.out.width)} : counts;
  std::vector<SlotSums> sums(static_cast<std::size_t>(grid.ciphertexts()), SlotSums(period));
  for_places(grid, extent, period, [&](int c, int y, int x, std::size_t ciphertext, int part, std::size_t slot) {
    const double bias = stage.bias[static_cast<std::size_t>(c) * plane + static_cast<std::size_t>(y) * width +
                                   static_cast<std::size_t>(x)];
    sums[ciphertext].add(slot,
                         turned(stage, part == 0 ? std::complex<double>(bias, 0) : std::complex<double>(0, bias)));
  });
  std::vector<plan::SlotVector> out;
  out.reserve(sums.size());
  for (SlotSums& values : sums)
    out.push_back(period == slots ? values.take_sparse() : values.take_dense(static_cast<std::size_t>(period)));
  return out;
}

std::vector<plan::SlotVector> grid_masks(const GridLayout& grid, Extent counts, std::int64_t slots) {
  std::vector<SlotSums> ones(static_cast<std::size_t>(grid.ciphertexts()), SlotSums(slots));
  for_places(grid, counts, slots, [&](int, int, int, std::size_t ciphertext, int part, std::size_t slot) {
    if (part == 0) ones[ciphertext].add(slot, 1.0);  // the other part has no slots of its own
  });
  std::vector<plan::SlotVector> out;
  out.reserve(ones.size());
  for (SlotSums& values : ones) out.push_back(values.take_sparse());
  return out;
}

plan::SlotVector vector_bias(const Stage& stage, const VectorLayout& vector, std::int64_t slots) {
  SlotSums sums(vector.period);
  for (int e = 0; e < vector.size; ++e) {
    const Where w = vector.where(e);
    const double bias = stage.bias[static_cast<std::size_t>(e)];
    sums.add(static_cast<std::size_t>(w.slot),
             turned(stage, w.part == 0 ? std::complex<double>(bias, 0) : std::complex<double>(0, bias)));
  }
  return vector.period == slots ? sums.take_sparse() : sums.take_dense(static_cast<std::size_t>(vector.period));
}

}  // namespace brainlock::compiler
