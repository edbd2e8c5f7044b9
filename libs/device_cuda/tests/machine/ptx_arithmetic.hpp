// What PTX's arithmetic does beyond C++'s operators, from the PTX ISA.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace brainlock::device_cuda::machine {

using Word = std::uint32_t;
using Wide = std::uint64_t;

inline Wide get8(const Word* slots, unsigned slot) {
  Wide x;
  std::memcpy(&x, slots + slot, sizeof(x));
  return x;
}
inline void set8(Word* slots, unsigned slot, Wide x) { std::memcpy(slots + slot, &x, sizeof(x)); }
inline std::int32_t is_signed(Word x) { return static_cast<std::int32_t>(x); }
inline std::int64_t is_signed(Wide x) { return static_cast<std::int64_t>(x); }

// Amounts beyond the width count as the width.
inline Word shift_left(Word a, Word by) { return by > 31 ? 0 : a << by; }
inline Wide shift_left(Wide a, Word by) { return by > 63 ? 0 : a << by; }
inline Word shift_right(Word a, Word by) { return by > 31 ? 0 : a >> by; }
inline Wide shift_right(Wide a, Word by) { return by > 63 ? 0 : a >> by; }

inline Word bit_insert(Word from, Word into, Word position, Word length) {
  position &= 0xff;
  length &= 0xff;
  for (Word i = 0; i < length && position + i < 32; ++i) {
    const Word bit = Word{1} << (position + i);
    into = (from >> i & 1) != 0 ? into | bit : into & ~bit;
  }
  return into;
}
/// Position and length are clamped; what lies beyond the word is zero.
inline Word bit_extract(Word a, Word position, Word length) {
  position &= 0xff;
  length &= 0xff;
  if (position > 31 || length == 0) return 0;
  return a >> position & (length > 31 ? ~Word{0} : (Word{1} << length) - 1);
}
/// The generic mode: each nibble of the control picks one of eight bytes, or 8 times its sign.
inline Word permute(Word a, Word b, Word control) {
  const Wide bytes = a | Wide{b} << 32;
  Word out = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const Word pick = control >> (4 * i);
    Word byte = static_cast<Word>(bytes >> (8 * (pick & 7)) & 0xff);
    if ((pick & 8) != 0) byte = (byte & 0x80) != 0 ? 0xff : 0;
    out |= byte << (8 * i);
  }
  return out;
}
inline Word reverse_bits(Word x) {
  Word out = 0;
  for (unsigned i = 0; i < 32; ++i) out |= (x >> i & 1) << (31 - i);
  return out;
}
inline float to_float(Word bits) { return std::bit_cast<float>(bits); }
inline Word to_bits(float x) { return std::bit_cast<Word>(x); }
/// To the nearest, ties to even; clamped to the range; NaN is 0.
inline Word float_to_word(float x) {
  if (!(x > 0)) return 0;
  if (x >= 4294967296.0f) return ~Word{0};
  return static_cast<Word>(std::nearbyint(static_cast<double>(x)));
}

}  // namespace brainlock::device_cuda::machine
