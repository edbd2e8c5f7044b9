#include "brainlock/wire/bit_packing.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace brainlock::wire {

static_assert(std::endian::native == std::endian::little, "packed words are loaded and stored as they lie");

int residue_bits(std::uint32_t q) { return std::bit_width(q - 1); }

void pack_words(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> out) {
  assert(words.size() % 8 == 0 && bits >= 1 && bits <= 30 && out.size() == packed_bytes(words.size(), bits));
  std::uint64_t pending = 0;
  int filled = 0;
  std::uint8_t* to = out.data();
  for (const std::uint32_t word : words) {
    pending |= std::uint64_t{word} << filled;
    filled += bits;
    if (filled >= 32) {
      const auto low = static_cast<std::uint32_t>(pending);
      std::memcpy(to, &low, 4);
      to += 4;
      pending >>= 32;
      filled -= 32;
    }
  }
  for (; filled > 0; filled -= 8, pending >>= 8) *to++ = static_cast<std::uint8_t>(pending);
}

bool unpack_words(std::span<const std::uint8_t> packed, std::uint32_t q, std::span<std::uint32_t> out) {
  const int bits = residue_bits(q);
  assert(out.size() % 8 == 0 && bits >= 1 && bits <= 30 && packed.size() == packed_bytes(out.size(), bits));
  const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
  std::uint32_t largest = 0;
  const auto width = static_cast<std::size_t>(bits);
  const auto word = [&](const std::uint8_t* from, std::size_t shift) {
    std::uint64_t loaded;
    std::memcpy(&loaded, from, 8);
    return static_cast<std::uint32_t>(loaded >> shift) & mask;
  };
  // Eight words are `bits` bytes: the shifts repeat from group to group.
  std::size_t group = 0;
  const std::uint8_t* from = packed.data();
  const std::size_t groups = out.size() / 8;
  for (; group < groups && (group + 1) * width + 8 <= packed.size(); ++group, from += width) {
    std::uint32_t* to = out.data() + 8 * group;
    for (std::size_t k = 0; k < 8; ++k) {
      to[k] = word(from + k * width / 8, k * width % 8);
      largest = std::max(largest, to[k]);
    }
  }
  for (; group < groups; ++group, from += width) {
    std::uint8_t padded[40] = {};
    std::memcpy(padded, from, width);
    std::uint32_t* to = out.data() + 8 * group;
    for (std::size_t k = 0; k < 8; ++k) {
      to[k] = word(padded + k * width / 8, k * width % 8);
      largest = std::max(largest, to[k]);
    }
  }
  return largest < q;
}

}  // namespace brainlock::wire
