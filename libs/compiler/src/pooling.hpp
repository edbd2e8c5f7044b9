// Average pools: sums of neighbours in lifted registers, without a multiplication.
#pragma once

#include "brainlock/base/result.hpp"
#include "value_table.hpp"

namespace brainlock::compiler {

/// Appends the instructions of one pool and makes `value` what it leaves: sums, not means, whose factor says so.
/// kUnsupported if the layout's phases cannot be pooled so.
Status lower_pool(const PoolParams& pool, LiftedTensor& value, Emitter& out);

}  // namespace brainlock::compiler
