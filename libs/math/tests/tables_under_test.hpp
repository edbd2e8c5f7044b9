// The kernel tables the tests run: those of this CPU, and the AVX-512 and AMX sources run by emulation where it can be built.
#pragma once

#include <vector>

#include "brainlock/math/kernels.hpp"

namespace brainlock::math {

/// None where SIMDe is not installed. Need AVX2 to run.
std::vector<const Kernels*> emulated_tables();

inline std::vector<const Kernels*> tables_under_test() {
  std::vector<const Kernels*> tables = available_kernels();
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) return tables;
  for (const Kernels* table : emulated_tables()) tables.push_back(table);
#endif
  return tables;
}

}  // namespace brainlock::math
