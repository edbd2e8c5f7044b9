// Twiddles of the last NTT stages, re-laid so that the vector kernels load them without shuffles.
#pragma once

#include "brainlock/math/ntt.hpp"

namespace brainlock::math::detail {

/// Fills tables.tail and tables.tail_inv from w and w_inv (left empty where the ring is too small to use them).
void fill_tails(NttTables& tables);

}  // namespace brainlock::math::detail
