#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "kernels/tables.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace brainlock::math {
namespace {

/// Whether this process may use AMX's byte products: the CPU has them, and the operating system saves tiles for those who ask. Asking makes
/// room for the tiles of every thread that uses them (8 KB); a no, as in sandboxes and on older kernels, is an answer like any other.
[[maybe_unused]] bool ask_for_tiles() {
#if defined(__x86_64__) && defined(__linux__) && defined(SYS_arch_prctl)
  constexpr unsigned kTiles = 1u << 24, kBytes = 1u << 25;      // CPUID leaf 7, EDX
  constexpr int kRequestPermission = 0x1023, kTileData = 18;    // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & (kTiles | kBytes)) != (kTiles | kBytes)) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

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
#if defined(__x86_64__)
  __builtin_cpu_init();  // also asks the operating system whether it saves the wide registers
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    tables.push_back(&detail::kAvx2Kernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      tables.push_back(&detail::kAvx512Kernels);
      static const bool has_tiles = ask_for_tiles();
      if (has_tiles) tables.push_back(&detail::amx_kernels());
    }
  }
#elif defined(__aarch64__)
  tables.push_back(&detail::kNeonKernels);
#elif defined(__wasm_simd128__)
  tables.push_back(&detail::wasm_kernels());
#endif
  return tables;
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace brainlock::math
