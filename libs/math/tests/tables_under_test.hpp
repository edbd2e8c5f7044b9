// The kernel tables the tests run: those of this CPU, and the sources for others run by emulation where it can be built.
#pragma once

#include <vector>

#include "brainlock/math/kernels.hpp"

namespace brainlock::math {

/// AVX-512 and AMX. None where SIMDe is not installed. Need AVX2 to run.
std::vector<const Kernels*> emulated_tables();
/// nullptr where SIMDe is not installed. Not in WebAssembly.
const Kernels* emulated_neon();

inline std::vector<const Kernels*> tables_under_test() {
  std::vector<const Kernels*> tables = available_kernels();
#if !defined(__wasm__)
  if (const Kernels* neon = emulated_neon()) tables.push_back(neon);
#endif
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) return tables;
  for (const Kernels* table : emulated_tables()) tables.push_back(table);
#endif
  return tables;
}

}  // namespace brainlock::math
