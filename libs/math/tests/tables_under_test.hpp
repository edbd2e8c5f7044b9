// The kernel tables the tests run: those of this CPU, and the AVX-512 source run by emulation where it can be built.
#pragma once

#include <vector>

#include "brainlock/math/kernels.hpp"

namespace brainlock::math {

std::vector<const Kernels*> tables_under_test();

}  // namespace brainlock::math
