// The layouts that are worth trying for a network.
#include <algorithm>

#include "layout.hpp"
#include "lowering.hpp"

namespace brainlock::compiler {
namespace {

/// Columns that the first map must have room for so that what padded convolutions read beyond their maps is zero; 0: there are none. Strides and pools
/// keep the ratio of a row to a column.
int bordered_width(const StagePlan& plan) {
  int width = 0;
  for (std::size_t i = 1; i < plan.stages.size(); ++i) {
    const Stage& stage = plan.stages[i];
    if (!stage.needs_zero_border()) continue;
    int columns = stage.pooled.width + std::max(stage.conv.pad_left, stage.conv.pad_right);
    for (const PoolParams& p : stage.pools) columns *= p.kernel_w;
    width = std::max({width, columns, plan.stages.front().out.width});
  }
  return width;
}

}  // namespace

std::string LayoutChoice::describe() const {
  return "stride " + std::to_string(channel_stride) + ", width " + std::to_string(grid_width) + ", phases " +
         std::to_string(fy) + "x" + std::to_string(fx) + ", babies " + std::to_string(baby_steps) +
         (real_input ? ", real input" : "") + (parts == 1 ? ", one part" : "") + (masks ? ", masks" : "");
}

double LayoutChoice::fill(const StagePlan& plan, std::uint32_t slots) const {
  if (channel_stride == 0) return 1;
  const std::int64_t rows = (plan.stages.front().out.height + fy - 1) / fy;
  return static_cast<double>(rows * grid_width * channel_stride) / slots;
}

std::vector<LayoutChoice> enumerate_choices(const StagePlan& plan, std::uint32_t slots) {
  std::vector<LayoutChoice> choices, sparse;
  const Stage& first = plan.stages.front();
  constexpr int babies = 16;
  if (first.is_dense) return {LayoutChoice{}};
  const int bordered = bordered_width(plan);
  for (int fx : {1, 2})
    for (int fy : {1, 2, 4, 8}) {
      const std::int64_t columns = (first.out.width + fx - 1) / fx, rows = (first.out.height + fy - 1) / fy;
      std::vector<std::int64_t> widths{next_power_of_two(columns), 2 * next_power_of_two(columns)};
      if (bordered > 0) widths.push_back((bordered + fx - 1) / fx);
      for (const std::int64_t width : widths)
        for (std::int64_t stride = 4; stride <= 512; stride *= 2) {
          if (rows * width * stride > slots) continue;
          const std::int64_t wanted = next_power_of_two((first.out.channels + 1) / 2);
          if (stride > wanted * 4) continue;
          for (const int parts : {2, 1})
            for (const bool masks : {false, true}) {
              if ((masks && bordered == 0) || (parts == 1 && stride < first.out.channels)) continue;
              const LayoutChoice choice{stride, width, fy, fx, babies, false, parts, masks};
              (choice.fill(plan, slots) < kSparse ? sparse : choices).push_back(choice);
            }
        }
    }
  return choices.empty() ? sparse : choices;
}

}  // namespace brainlock::compiler
