#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "kernels/tables.hpp"

namespace brainlock::math {
namespace {

const Kernels& choose() {
  const std::vector<const Kernels*> available = available_kernels();
  const char* forced = std::getenv("BRAINLOCK_ISA");
  if (forced == nullptr || *forced == '\0') return *available.back();
  for (const Kernels* table : available) {
    if (table->name == std::string_view(forced)) return *table;
  }
  std::fprintf(stderr, "BRAINLOCK_ISA=%s: not an instruction set this program and CPU offer; choose from:", forced);
  for (const Kernels* table : available) std::fprintf(stderr, " %.*s", static_cast<int>(table->name.size()), table->name.data());
  std::fprintf(stderr, "\n");
  std::abort();
}

}  // namespace

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables = {&detail::kScalarKernels};
  __builtin_cpu_init();  // also asks the operating system whether it saves the wide registers
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    tables.push_back(&detail::kAvx2Kernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      tables.push_back(&detail::kAvx512Kernels);
    }
  }
  return tables;
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace brainlock::math
