#include "conv_terms.hpp"

#include <algorithm>

#include "biases_and_masks.hpp"

namespace brainlock::compiler {

void ConvTerms::begin_phase(int a, int b) {
  a_ = a;
  b_ = b;
  if (!placed_ || structure_only_) return;
  std::vector<std::int64_t> slots;
  for (int y = a; y < placed_->height; y += out_.fy)
    for (int x = b; x < placed_->width; x += out_.fx)
      slots.push_back((y / out_.fy) * out_.sy + (x / out_.fx) * out_.sx);
  positions_ = builder_.pattern(slots);
}

void ConvTerms::add(int ky, int kx, int channel, std::uint32_t input, std::int64_t offset, double factor) {
  if (!stage_.diagonal.empty()) {
    const auto to = out_.channel(channel);
    if (structure_only_) {
      builder_.expect(out_.ciphertext(to.block, a_, b_), input, offset - to.offset, offset - to.offset);
    } else {
      add_weight(to, input, offset, static_cast<double>(stage_.diagonal[static_cast<std::size_t>(channel)]) / factor);
    }
    return;
  }
  const ConvParams& c = stage_.conv;
  if (structure_only_) {  // the channels of a block lie side by side
    for (int block = 0; block < out_.blocks(); ++block) {
      const int channels =
          std::min(out_.channels_per_block, c.out_channels - block * out_.channels_per_block * out_.parts);
      builder_.expect(out_.ciphertext(block, a_, b_), input, offset - channels + 1, offset);
    }
    return;
  }
  const auto channels = static_cast<std::size_t>(c.in_channels), rows = static_cast<std::size_t>(c.kernel_h),
             columns = static_cast<std::size_t>(c.kernel_w);
  for (int oc = 0; oc < c.out_channels; ++oc) {
    const std::size_t weight = ((static_cast<std::size_t>(oc) * channels + static_cast<std::size_t>(channel)) * rows +
                                static_cast<std::size_t>(ky)) *
                                   columns +
                               static_cast<std::size_t>(kx);
    add_weight(out_.channel(oc), input, offset, static_cast<double>(c.weights[weight]) / factor);
  }
}

/// One weight, at every position of the phase.
void ConvTerms::add_weight(const GridLayout::Channel& to, std::uint32_t input, std::int64_t offset, double w) {
  const std::complex<double> value =
      turned(stage_, to.part == 0 ? std::complex<double>(w, 0) : std::complex<double>(0, w));
  const int output = out_.ciphertext(to.block, a_, b_);
  const std::int64_t shift = offset - to.offset, slot = out_.base + to.offset;
  if (placed_) {
    builder_.add(output, input, shift, slot, positions_, value);
  } else {
    builder_.add(output, input, shift, slot, value);
  }
}

}  // namespace brainlock::compiler
