// Maps that are read in another order of channels, or taken apart into blocks: channel shuffles, and pixels that become
// channels. A convolution of them is one of the map that they come from.
#include "import_state.hpp"

namespace brainlock::compiler {

std::optional<Blocks> blocks_of_map(ImportState& state, const Value& value) {
  const auto seen = image_shape(value.dims);
  const TensorShape base = state.shape(value.base);
  if (!seen || base.height * base.width == 1 || !state.budget().charge(element_count(value.dims))) return std::nullopt;
  const int plane = base.height * base.width, count = seen->height * seen->width;
  const auto element = [&](int c, int y, int x) {
    return static_cast<int>(value.base_element(static_cast<std::size_t>(c * count + y * seen->width + x)));
  };
  Blocks blocks;
  blocks.seen = *seen;
  const int first = element(0, 0, 0);
  blocks.step_h = seen->height > 1 ? element(0, 1, 0) % plane / base.width - first % plane / base.width : base.height;
  blocks.step_w = seen->width > 1 ? element(0, 0, 1) % base.width - first % base.width : base.width;
  if (blocks.step_h < 1 || blocks.step_w < 1) return std::nullopt;
  blocks.height = base.height - (seen->height - 1) * blocks.step_h;
  blocks.width = base.width - (seen->width - 1) * blocks.step_w;
  // A block reaches no further than its step: what lies beyond the last one is then padding for all of them.
  if (blocks.height < 1 || blocks.width < 1 || blocks.height > blocks.step_h || blocks.width > blocks.step_w)
    return std::nullopt;
  for (int c = 0; c < seen->channels; ++c) {
    const int at = element(c, 0, 0), row = at % plane / base.width, column = at % base.width;
    if (row >= blocks.height || column >= blocks.width) return std::nullopt;
    blocks.places.push_back({at / plane, row, column});
    for (int y = 0; y < seen->height; ++y)
      for (int x = 0; x < seen->width; ++x)
        if (element(c, y, x) != at + y * blocks.step_h * base.width + x * blocks.step_w) return std::nullopt;
  }
  return blocks;
}

}  // namespace brainlock::compiler
