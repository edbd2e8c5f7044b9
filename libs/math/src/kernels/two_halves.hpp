// Eight lanes in two registers of four: what such vector classes have in common.
#pragma once

#include "kernels/inline.hpp"

namespace brainlock::math::detail {
namespace {

/// Word l of register k becomes word k of register l: four squares of four, of which two change places. V::transpose4(x)
/// does so with four halves from x on.
template <class V, typename Register>
BRAINLOCK_INLINE void transpose_halves(Register (&v)[8]) {
  decltype(v[0].low) low[8], high[8];
  for (int k = 0; k < 8; ++k) {
    low[k] = v[k].low;
    high[k] = v[k].high;
  }
  V::transpose4(low);
  V::transpose4(low + 4);
  V::transpose4(high);
  V::transpose4(high + 4);
  for (int k = 0; k < 4; ++k) {
    v[k] = {low[k], low[k + 4]};
    v[k + 4] = {high[k], high[k + 4]};
  }
}

}  // namespace
}  // namespace brainlock::math::detail
