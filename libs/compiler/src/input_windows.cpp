#include "input_windows.hpp"

#include <algorithm>

namespace brainlock::compiler {

WindowInput make_window_input(const ConvParams& conv, const TensorShape& out, const TensorShape& image, const LayoutChoice& choice,
                              plan::TensorMap& map) {
  WindowInput window;
  GridLayout& grid = window.grid;
  window.rows = (choice.fy - 1) * conv.stride_h + conv.kernel_h;
  window.columns = (choice.fx - 1) * conv.stride_w + conv.kernel_w;
  grid.shape = {window.rows * window.columns * conv.in_channels, (out.height + choice.fy - 1) / choice.fy,
                (out.width + choice.fx - 1) / choice.fx};
  grid.sx = choice.channel_stride;
  grid.sy = choice.channel_stride * choice.grid_width;
  grid.parts = grid.shape.channels <= grid.sx || choice.real_input ? 1 : 2;
  grid.channels_per_block = static_cast<int>(std::min<std::int64_t>((grid.shape.channels + grid.parts - 1) / grid.parts, grid.sx));
  if (grid.blocks() > 1) {   // spread evenly, so that no block is nearly empty
    const int share = grid.blocks() * grid.parts;
    grid.channels_per_block = (grid.shape.channels + share - 1) / share;
  }

  map.ciphertexts = static_cast<std::uint32_t>(grid.ciphertexts());
  map.parts = static_cast<std::uint32_t>(grid.parts);
  for (int Y = 0; Y < grid.shape.height; ++Y)
    for (int X = 0; X < grid.shape.width; ++X)
      for (int ry = 0; ry < window.rows; ++ry)
        for (int rx = 0; rx < window.columns; ++rx)
          for (int ic = 0; ic < conv.in_channels; ++ic) {
            const int y = choice.fy * conv.stride_h * Y + ry - conv.pad_top;
            const int x = choice.fx * conv.stride_w * X + rx - conv.pad_left;
            if (y < 0 || x < 0 || y >= image.height || x >= image.width) continue;
            const Where w = grid.where(window.channel(ry, rx, ic, conv.in_channels), Y, X);
            map.places.push_back({static_cast<std::uint32_t>((ic * image.height + y) * image.width + x),
                                  static_cast<std::uint32_t>(w.ciphertext), static_cast<std::uint32_t>(w.slot),
                                  static_cast<std::uint32_t>(w.part)});
          }
  return window;
}

}  // namespace brainlock::compiler
