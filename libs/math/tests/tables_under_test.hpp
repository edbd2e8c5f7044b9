// The kernel tables the tests run: those of this CPU, and the AVX-512 source run by emulation where it can be built.
#pragma once

#include <vector>

#include "brainlock/math/kernels.hpp"

namespace brainlock::math {

/// Null where SIMDe is not installed. Needs AVX2 to run.
const Kernels* emulated_avx512();

inline std::vector<const Kernels*> tables_under_test() {
  std::vector<const Kernels*> tables = available_kernels();
  if (__builtin_cpu_supports("avx2") && emulated_avx512() != nullptr) tables.push_back(emulated_avx512());
  return tables;
}

}  // namespace brainlock::math
