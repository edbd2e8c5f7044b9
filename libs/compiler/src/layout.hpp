// Where the elements of a tensor live: which ciphertext, which slot, real or imaginary part.
//
// Grid (feature maps). Rows and columns are split into phases, y = fy * Y + a and x = fx * X + b; a pair of phases and a
// block of channels is one ciphertext. Within it
//
//     slot = base + Y * sy + X * sx + c,       c < channels_per_block <= sx,
//
// so a position is a run of channel slots and neighbours are a fixed rotation apart. Two channel halves share a slot as
// its real and imaginary part (parts == 2). A pool doubles sx or sy (or halves the phases) and leaves gaps; the next
// convolution fills them with its larger channel count.
//
// Vector (dense layers). Element e = part * half + s lives at slot s, repeated every `period` slots.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

struct Where {
  int ciphertext = 0;
  int part = 0;
  std::int64_t slot = 0;   ///< not reduced modulo the slot count
};

struct GridLayout {
  TensorShape shape;
  int fy = 1, fx = 1;                  ///< phases
  std::int64_t sy = 0, sx = 0;         ///< slot strides
  int channels_per_block = 0;
  int parts = 2;
  std::int64_t base = 0;

  [[nodiscard]] int blocks() const { return (shape.channels + channels_per_block * parts - 1) / (channels_per_block * parts); }
  [[nodiscard]] int ciphertexts() const { return blocks() * fy * fx; }
  [[nodiscard]] int rows() const { return (shape.height + fy - 1) / fy; }      ///< Y runs over these
  [[nodiscard]] int columns() const { return (shape.width + fx - 1) / fx; }
  [[nodiscard]] int ciphertext(int block, int a, int b) const { return (block * fy + a) * fx + b; }

  /// Block, part and slot offset of a channel.
  struct Channel {
    int block, part, offset;
  };
  [[nodiscard]] Channel channel(int c) const {
    const int in_block = c % (channels_per_block * parts);
    return {c / (channels_per_block * parts), in_block / channels_per_block, in_block % channels_per_block};
  }
  [[nodiscard]] Where where(int c, int y, int x) const {
    const Channel ch = channel(c);
    return {ciphertext(ch.block, y % fy, x % fx), ch.part, base + (y / fy) * sy + (x / fx) * sx + ch.offset};
  }
  /// Whether all positions begin at the same place within a period of sx slots, so that weights may repeat. Strides and
  /// pools of three make others.
  [[nodiscard]] bool repeats() const { return std::has_single_bit(static_cast<std::uint64_t>(sx)) && (rows() == 1 || sy % sx == 0); }
  /// Slots from the first to the last element.
  [[nodiscard]] std::int64_t extent() const { return (rows() - 1) * sy + (columns() - 1) * sx + channels_per_block; }
  [[nodiscard]] std::string describe() const;
  friend bool operator==(const GridLayout&, const GridLayout&) = default;
};

struct VectorLayout {
  int size = 0;
  int half = 0;             ///< elements per part
  int parts = 1;
  std::int64_t period = 0;  ///< elements repeat at this distance; a power of two dividing the slot count

  [[nodiscard]] Where where(int e) const { return {0, e / half, e % half}; }
};

std::int64_t next_power_of_two(std::int64_t x);
std::int64_t floor_div(std::int64_t a, std::int64_t b);
inline std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return a - floor_div(a, b) * b; }

}  // namespace brainlock::compiler
