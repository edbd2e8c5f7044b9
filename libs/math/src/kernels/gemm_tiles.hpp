// The periodic-weight GEMM on a matrix unit for bytes (AMX): about eight times the products a cycle of 512-bit registers.
//
// With x_i the bytes of a word and v_ij the bytes of v_i = 2^(8 i) w mod q, the bytes of a weight's product are sums of byte products:
//
//     w x = sum_i x_i v_i = sum_j 2^(8 j) sum_i x_i v_ij   (mod q)
//
// so that one tile product does 16 inputs x 16 words x 4 outputs:
//
//     A  16 rows x 64 bytes   row 4 m + j: v_0j .. v_3j of 16 inputs' weights for output m     made here, for all sets and words of a run
//     B  16 rows x 64 bytes   row k: 16 words of input k                                       as they lie in memory
//     C  16 rows x 16 sums    row 4 m + j: the sums that 2^(8 j) belongs to, for 16 words
//
// Tiles is the unit: AmxTiles (kernels_amx.cpp), or plain loops that say what it does (tests). V has sixteen lanes.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/sums.hpp"

namespace brainlock::math::detail {
namespace {

constexpr std::size_t kTileWords = 256;                       ///< a tile: 16 rows of 16 words
constexpr std::size_t kTileInputs = 16, kTileOutputs = 4;     ///< of one product
constexpr std::size_t kBlocksAtOnce = 16;                     ///< of inputs: sums stay below 256 * 4 * 255^2 < 2^26, both buffers in L2
constexpr std::size_t kInputsAtOnce = kBlocksAtOnce * kTileInputs;
constexpr std::size_t kWordsAtOnce = 64;

/// Where some words of a block of inputs lie: rows a constant distance apart.
struct TileSource {
  const U32* rows;   ///< the first
  std::size_t stride_words;
};

/// Words t to t + n of up to 16 rows (`row`, of which there are `rows`): in their place, if they lie evenly, else in `copy` (16 kWordsAtOnce).
inline TileSource find_source(const U32* const* row, std::size_t rows, std::size_t t, std::size_t n, U32* copy) {
  const std::ptrdiff_t distance = rows >= kTileInputs ? row[1] - row[0] : 0;
  bool even = distance > 0;
  for (std::size_t k = 2; k < kTileInputs && even; ++k) even = row[k] - row[k - 1] == distance;
  if (even) return {row[0] + t, static_cast<std::size_t>(distance)};
  for (std::size_t k = 0; k < kTileInputs; ++k) {
    if (k < rows) {
      std::copy_n(row[k] + t, n, copy + k * kWordsAtOnce);
    } else {
      std::fill_n(copy + k * kWordsAtOnce, n, 0u);   // their weights are zero, too
    }
  }
  return {copy, kWordsAtOnce};
}

/// Makes A tiles of one run's weights, [block][tile]. q > 2^24.
template <class V>
class TileMaker {
 public:
  explicit TileMaker(const Modulus& m)
      : q_(V::set1(m.q)), shoup8_(V::set1(shoup_of(1u << 8, m.q))), shoup16_(V::set1(shoup_of(1u << 16, m.q))), shoup24_(V::set1(shoup_of(1u << 24, m.q))) {}

  /// w: the weight of the first input and output. What is missing of a tile is filled with zeros.
  void make(U32* tiles, const U32* w, std::size_t row_stride, std::size_t inputs, std::size_t outputs) const {
    for (std::size_t k = 0; k < inputs; k += kTileInputs) {
      for (std::size_t o = 0; o < outputs; o += kTileOutputs, tiles += kTileWords) {
        U32* const rows = tiles;
        typename V::Reg weights[kTileOutputs];
        V::load_columns(weights, w + k * row_stride + o, row_stride, std::min(inputs - k, kTileInputs), std::min(outputs - o, kTileOutputs));
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kTileOutputs; ++i) store_bytes(rows + 4 * 16 * i, weights[i]);
      }
    }
  }

 private:
  /// 2^kBits w mod q.
  template <int kBits>
  BRAINLOCK_INLINE typename V::Reg shifted(typename V::Reg w, typename V::Reg shoup) const {
    return reduce_once<V>(V::sub(V::template shift_left32<kBits>(w), V::mul_low(mul_high_uniform<V>(w, shoup), q_)), q_);
  }
  /// Row j of four: byte j of w, 2^8 w, 2^16 w and 2^24 w mod q.
  BRAINLOCK_INLINE void store_bytes(U32* rows, typename V::Reg v0) const {
    const auto v1 = shifted<8>(v0, shoup8_), v2 = shifted<16>(v0, shoup16_), v3 = shifted<24>(v0, shoup24_);
    const auto low01 = V::odd_bytes_of(v0, V::template shift_left32<8>(v1)), high01 = V::odd_bytes_of(V::template shift_right32<8>(v0), v1);
    const auto low23 = V::odd_bytes_of(v2, V::template shift_left32<8>(v3)), high23 = V::odd_bytes_of(V::template shift_right32<8>(v2), v3);
    V::store(rows, V::odd_halves_of(low01, V::template shift_left32<16>(low23)));
    V::store(rows + 16, V::odd_halves_of(high01, V::template shift_left32<16>(high23)));
    V::store(rows + 32, V::odd_halves_of(V::template shift_right32<16>(low01), low23));
    V::store(rows + 48, V::odd_halves_of(V::template shift_right32<16>(high01), high23));
  }

  typename V::Reg q_, shoup8_, shoup16_, shoup24_;
};

/// Two tiles of outputs by two of words at a time. Sums become words while the unit is busy with the next ones: it takes few instructions, so
/// that the processor finds those behind them.
template <class Tiles, class V>
class TileProducts {
 public:
  explicit TileProducts(const Modulus& m) : reducer_(m) {}
  TileProducts(const TileProducts&) = delete;
  TileProducts& operator=(const TileProducts&) = delete;

  /// Outputs 0 to `outputs` (at most 8) of 16 kWordTiles words: to t and on in the outputs, from `skip` on in the sources. What is pending is done by
  /// the next call, or by finish().
  template <int kOutputTiles, int kWordTiles>
  void multiply(U32* const* out, std::size_t outputs, const U32* weights, const TileSource* sources, std::size_t blocks, std::size_t t,
                std::size_t skip, bool accumulate) {
    // Tiles 0 to 3: C; 4, 5: A; 6, 7: B.
    Tiles::template zero<0>();
    if constexpr (kWordTiles == 2) Tiles::template zero<1>();
    if constexpr (kOutputTiles == 2) Tiles::template zero<2>();
    if constexpr (kOutputTiles == 2 && kWordTiles == 2) Tiles::template zero<3>();
    for (std::size_t b = 0; b < blocks; ++b, weights += kOutputTiles * kTileWords) {
      const U32* const x = sources[b].rows + skip;
      const std::size_t stride = sources[b].stride_words * sizeof(U32);
      Tiles::template load<4>(weights, 64);
      Tiles::template load<6>(x, stride);
      Tiles::template multiply_add<0, 4, 6>();
      if constexpr (kOutputTiles == 2) Tiles::template load<5>(weights + kTileWords, 64);
      if constexpr (kOutputTiles == 2) Tiles::template multiply_add<2, 5, 6>();
      if constexpr (kWordTiles == 2) {
        Tiles::template load<7>(x + 16, stride);
        Tiles::template multiply_add<1, 4, 7>();
        if constexpr (kOutputTiles == 2) Tiles::template multiply_add<3, 5, 7>();
      }
    }
    finish();
    Tiles::template store<0>(sums_, 64);
    if constexpr (kWordTiles == 2) Tiles::template store<1>(sums_ + kTileWords, 64);
    if constexpr (kOutputTiles == 2) Tiles::template store<2>(sums_ + 2 * kTileWords, 64);
    if constexpr (kOutputTiles == 2 && kWordTiles == 2) Tiles::template store<3>(sums_ + 3 * kTileWords, 64);
    pending_ = {out, outputs, t, kWordTiles, accumulate};
  }

  void finish() {
    for (std::size_t o = 0; o < pending_.outputs; ++o) {
      for (std::size_t i = 0; i < pending_.word_tiles; ++i) {
        finish_words(pending_.out[o] + pending_.t + 16 * i, sums_ + (o / kTileOutputs * 2 + i) * kTileWords + o % kTileOutputs * 4 * 16);
      }
    }
    pending_.outputs = 0;
  }

 private:
  struct Pending {
    U32* const* out = nullptr;
    std::size_t outputs = 0, t = 0, word_tiles = 0;
    bool accumulate = false;
  };

  /// Sixteen words of an output from the four rows of its sums.
  BRAINLOCK_INLINE void finish_words(U32* out, const U32* sums) const {
    const auto c0 = V::load(sums), c1 = V::load(sums + 16), c2 = V::load(sums + 32), c3 = V::load(sums + 48);
    const auto s8 = V::set1(1u << 8), s16 = V::set1(1u << 16), s24 = V::set1(1u << 24);
    const WideSum<V> sum = {
        V::add64(V::add64(V::low_halves(c0), V::mul_even(c1, s8)), V::add64(V::mul_even(c2, s16), V::mul_even(c3, s24))),
        V::add64(V::add64(V::odd_to_even(c0), V::mul_even(V::odd_to_even(c1), s8)),
                 V::add64(V::mul_even(V::odd_to_even(c2), s16), V::mul_even(V::odd_to_even(c3), s24)))};
    auto r = reduce_once<V>(reducer_.reduce_lazy(sum), reducer_.q);   // sums are below 2^26 (2^24 + 2^17): the lazy word is below 2^19 + q
    if (pending_.accumulate) r = reduce_once<V>(V::add(r, V::load(out)), reducer_.q);
    V::store(out, r);
  }

  MontgomeryReducer<V> reducer_;
  Pending pending_;
  alignas(64) U32 sums_[4 * kTileWords];
};

/// Inputs [first, first + inputs) and outputs [output, output + outputs) of a GEMM, at most kInputsAtOnce and two tiles: what one pass of products takes.
struct TilePiece {
  std::size_t first, inputs, output, outputs;
  std::size_t blocks() const { return (inputs + kTileInputs - 1) / kTileInputs; }
  std::size_t words() const { return blocks() * ((outputs + kTileOutputs - 1) / kTileOutputs) * kTileWords; }
};
/// Calls work(piece) for each piece, in the order in which their tiles lie in memory.
template <typename Work>
BRAINLOCK_INLINE void for_each_piece(std::size_t inputs, std::size_t outputs, const Work& work) {
  for (std::size_t first = 0; first < inputs; first += kInputsAtOnce) {
    for (std::size_t output = 0; output < outputs; output += 2 * kTileOutputs) {
      work(TilePiece{first, std::min(inputs - first, kInputsAtOnce), output, std::min(outputs - output, 2 * kTileOutputs)});
    }
  }
}

/// Words [begin, end) of one run, a multiple of 16. tiles_of(piece): its tiles.
template <class Tiles, class V, typename TilesOf>
void gemm_tiles_run(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const TilesOf& tiles_of,
                    bool accumulate, const Modulus& m, std::size_t begin, std::size_t end) {
  static_assert(V::kLanes == 16);
  TileProducts<Tiles, V> products(m);
  TileSource sources[kBlocksAtOnce];
  alignas(64) U32 gathered[kInputsAtOnce * kWordsAtOnce];   // written where it is needed only

  for_each_piece(inputs, outputs, [&](const TilePiece& piece) {
    const std::size_t first = piece.first, count = piece.inputs, output = piece.output, here = piece.outputs, blocks = piece.blocks();
    const bool adds = accumulate || first != 0;
    const U32* const weights = tiles_of(piece);
    for (std::size_t s = 0; s < sets; ++s) {
      const U32* const* const rows = x + s * inputs + first;
      for (std::size_t t = begin; t < end; t += kWordsAtOnce) {
        const std::size_t n = std::min(end - t, kWordsAtOnce);
        for (std::size_t b = 0; b < blocks; ++b) {
          sources[b] = find_source(rows + b * kTileInputs, count - b * kTileInputs, t, n, gathered + b * kTileInputs * kWordsAtOnce);
        }
        const auto multiply = [&]<int kOutputTiles>() {
          U32* const* const to = out + s * outputs + output;
          std::size_t i = 0;
          for (; i + 32 <= n; i += 32) products.template multiply<kOutputTiles, 2>(to, here, weights, sources, blocks, t + i, i, adds);
          if (i < n) products.template multiply<kOutputTiles, 1>(to, here, weights, sources, blocks, t + i, i, adds);
        };
        here > kTileOutputs ? multiply.template operator()<2>() : multiply.template operator()<1>();
      }
    }
  });
  products.finish();
}

/// Weights are made anew for each call: shorter runs than these do not earn it. And what TileMaker takes.
constexpr std::size_t kLeastTileRun = 32, kLeastTileInputs = 8;
constexpr U32 kLeastTilePrime = 1u << 24;

/// Kernels::gemm_periodic; what tiles are not for is left to `other`.
template <class Tiles, class V>
void gemm_periodic_tiles(const Kernels& other, U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const U32* w,
                         std::size_t w_run_stride, std::size_t w_row_stride, std::size_t run_length, bool accumulate, const Modulus& m, std::size_t n) {
  const std::size_t shortest = n % run_length == 0 ? run_length : n % run_length;
  if (shortest < kLeastTileRun || shortest % 16 != 0 || run_length % 16 != 0 || inputs < kLeastTileInputs || m.q <= kLeastTilePrime) {
    return other.gemm_periodic(out, outputs, x, inputs, sets, w, w_run_stride, w_row_stride, run_length, accumulate, m, n);
  }
  const TileMaker<V> maker(m);
  alignas(64) U32 tiles[kBlocksAtOnce * 2 * kTileWords];
  Tiles::configure();
  for (std::size_t begin = 0; begin < n; begin += run_length, w += w_run_stride) {
    const auto tiles_of = [&](const TilePiece& piece) {
      maker.make(tiles, w + piece.first * w_row_stride + piece.output, w_row_stride, piece.inputs, piece.outputs);
      return tiles;
    };
    gemm_tiles_run<Tiles, V>(out, outputs, x, inputs, sets, tiles_of, accumulate, m, begin, std::min(begin + run_length, n));
  }
  Tiles::release();
}

/// Words of the tiles of one run's weights; 0: tiles are not for them.
inline std::size_t tile_words(std::size_t outputs, std::size_t inputs, const Modulus& m) {
  std::size_t words = 0;
  if (inputs < kLeastTileInputs || m.q <= kLeastTilePrime) return 0;
  for_each_piece(inputs, outputs, [&](const TilePiece& piece) { words += piece.words(); });
  return words;
}
template <class V>
void make_tiles(U32* tiles, std::size_t outputs, std::size_t inputs, const U32* w, std::size_t w_row_stride, const Modulus& m) {
  const TileMaker<V> maker(m);
  for_each_piece(inputs, outputs, [&](const TilePiece& piece) {
    maker.make(tiles, w + piece.first * w_row_stride + piece.output, w_row_stride, piece.inputs, piece.outputs);
    tiles += piece.words();
  });
}
/// One run of n words, a multiple of 16, with tiles that were made before.
template <class Tiles, class V>
void gemm_made_tiles(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const U32* tiles, const Modulus& m,
                     std::size_t n) {
  Tiles::configure();
  const auto tiles_of = [&](const TilePiece& piece) { return std::exchange(tiles, tiles + piece.words()); };
  gemm_tiles_run<Tiles, V>(out, outputs, x, inputs, sets, tiles_of, false, m, 0, n);
  Tiles::release();
}

}  // namespace
}  // namespace brainlock::math::detail
