// The transform's blocks of 64 words for vectors of eight lanes, which take them one at a time: register k holds vector k.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"

namespace brainlock::math::detail {
namespace {

/// What a vector class V of eight lanes inherits: OneBlock<V>. Register is V::Reg, which is not complete here yet.
template <class V>
struct OneBlock {
  template <typename Register>
  BRAINLOCK_INLINE static void load_blocks(Register (&v)[8], const std::uint32_t* x) {
    for (int k = 0; k < 8; ++k) v[k] = V::load(x + 8 * k);
  }
  /// place(b): where block b goes; there is the first alone.
  template <typename Place, typename Register>
  BRAINLOCK_INLINE static void store_blocks(const Place& place, const Register (&v)[8]) {
    std::uint32_t* const x = place(0);
    for (int k = 0; k < 8; ++k) V::store(x + 8 * k, v[k]);
  }
  /// w[g] in all lanes.
  BRAINLOCK_INLINE static auto set_blocks(const std::uint32_t* w, int g, int /*per_block*/) { return V::set1(w[g]); }
};

}  // namespace
}  // namespace brainlock::math::detail
