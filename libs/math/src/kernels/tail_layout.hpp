// Twiddles of the last three NTT stages, re-laid so that the vector kernels load them without shuffles.
#pragma once

#include <cstddef>

#include "brainlock/math/ntt.hpp"

namespace brainlock::math::detail {

// The vector kernels finish the transform on blocks of 64 words held as 8 vectors of 8, transposed: register k then
// holds word k of eight vectors, and the stages of stride 4, 2, 1 work between registers, with twiddles that differ
// from lane to lane. Seven twiddle vectors serve a block: one for stride 4, two for stride 2, four for stride 1.
// Two blocks are interleaved so that 16-lane kernels find both in one load:
//
//     tail[pair p][twiddle vector i: 7][w: block 2p, 8 lanes | block 2p+1, 8 lanes | Shoup words, likewise]
//
// followed by one vector of padding (kernels read odd words by loading from one word further on).
constexpr std::uint32_t kTailBlock = 64;
constexpr std::size_t kTailVector = 32;                    ///< words between twiddle vectors
constexpr std::size_t kTailShoup = 16;                     ///< from a w vector to its Shoup words
constexpr std::size_t kTailPair = 7 * kTailVector;         ///< words a pair of blocks takes
constexpr std::uint32_t kMinVectorDegree = 2 * kTailBlock; ///< smaller rings use the scalar kernels

/// Words from the start of `tail` to the twiddles of `block`.
constexpr std::size_t tail_offset(std::size_t block) { return block / 2 * kTailPair + block % 2 * 8; }

/// Fills tables.tail and tables.tail_inv from w and w_inv (left empty below kMinVectorDegree).
void fill_tails(NttTables& tables);

}  // namespace brainlock::math::detail
