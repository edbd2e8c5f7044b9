// How an image goes into slots for a network that begins with a convolution.
#pragma once

#include "brainlock/compiler/graph.hpp"
#include "brainlock/plan/program.hpp"
#include "layout.hpp"
#include "lowering.hpp"

namespace brainlock::compiler {

/// The client sends, at every output position of the first convolution, all the pixels that it reads there ("im2col"): the
/// first layer then needs no spatial rotation. With phases, one window serves all phases of a position.
struct WindowInput {
  GridLayout grid;
  int rows = 0, columns = 0;   ///< of the window

  /// The grid's channel of a pixel in the window.
  [[nodiscard]] int channel(int row, int column, int in_channel, int in_channels) const {
    return (row * columns + column) * in_channels + in_channel;
  }
};

/// Also fills ciphertexts, parts and places of `map`.
WindowInput make_window_input(const ConvParams& conv, const TensorShape& out, const TensorShape& image, const LayoutChoice& choice,
                              plan::TensorMap& map);

}  // namespace brainlock::compiler
