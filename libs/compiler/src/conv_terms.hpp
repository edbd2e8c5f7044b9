// The weights of a convolution, or of one factor a channel, as terms of a LinearBuilder.
#pragma once

#include <complex>
#include <cstdint>
#include <optional>
#include <vector>

#include "layout.hpp"
#include "linear_builder.hpp"
#include "stages.hpp"
#include "zero_borders.hpp"

namespace brainlock::compiler {

/// One weight position of a convolution for one phase of its output.
struct Tap {
  int ky, kx, channel;
  int a, b;  // phase of the input
  std::int64_t row_shift, column_shift;
};

/// Calls visit(tap) for all taps of phase (a, b) of the output, channels innermost.
template <typename Visit>
void for_each_tap(const ConvParams& c, const GridLayout& in, int a, int b, Visit&& visit) {
  for (int ky = 0; ky < c.kernel_h; ++ky)
    for (int kx = 0; kx < c.kernel_w; ++kx) {
      const std::int64_t y = a * c.stride_h + ky - c.pad_top, x = b * c.stride_w + kx - c.pad_left;
      for (int ic = 0; ic < c.in_channels; ++ic)
        visit(Tap{ky, kx, ic, static_cast<int>(floor_mod(y, in.fy)), static_cast<int>(floor_mod(x, in.fx)),
                  floor_div(y, in.fy) * in.sy, floor_div(x, in.fx) * in.sx});
    }
}

/// The terms of one stage, phase by phase of its output.
class ConvTerms {
 public:
  /// Zeros between the positions of the map: each has weights of its own, as far as the map counts. Otherwise weights
  /// repeat.
  ConvTerms(const Stage& stage, const GridLayout& out, std::optional<Extent> placed, bool structure_only,
            LinearBuilder& builder)
      : stage_(stage), out_(out), placed_(placed), structure_only_(structure_only), builder_(builder) {}

  /// What follows is of phase (a, b).
  void begin_phase(int a, int b);
  /// What one input channel gives to every output channel at tap (ky, kx). `offset`: where the tap lies relative to the
  /// position's first slot; `factor`: of the values there.
  void add(int ky, int kx, int channel, std::uint32_t input, std::int64_t offset, double factor);

 private:
  void add_weight(const GridLayout::Channel& to, std::uint32_t input, std::int64_t offset, double w);

  const Stage& stage_;
  const GridLayout& out_;
  std::optional<Extent> placed_;
  bool structure_only_;
  LinearBuilder& builder_;
  int a_ = 0, b_ = 0;
  LinearBuilder::Pattern positions_;  // of the phase, if placed
};

}  // namespace brainlock::compiler
