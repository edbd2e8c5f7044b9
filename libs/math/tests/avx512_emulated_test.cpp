// The AVX-512 kernels, run on any machine: their own source, compiled with each intrinsic replaced by SIMDe's portable
// definition. Shows that the logic is right; the few intrinsics SIMDe lacks are spelled out under
// BRAINLOCK_EMULATE_SIMD. This file is built for AVX2 (SIMDe then takes two such registers for one): built for the
// baseline it takes the compiler ten minutes.
#include "tables_under_test.hpp"

#if defined(__has_include)
#if __has_include(<simde/x86/avx512.h>)
#define BRAINLOCK_HAVE_SIMDE
#endif
#endif

#ifdef BRAINLOCK_HAVE_SIMDE

#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpsabi"
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

#include <cmath>

#define BRAINLOCK_EMULATE_SIMD

namespace brainlock::math::detail {
namespace {

/// One rounding, as the instruction has it (SIMDe's portable form rounds twice).
__m256 emulated_fma(__m256 a, __m256 b, __m256 c) {
  float x[8], y[8], z[8];
  _mm256_storeu_ps(x, a);
  _mm256_storeu_ps(y, b);
  _mm256_storeu_ps(z, c);
  for (int i = 0; i < 8; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return _mm256_loadu_ps(z);
}

}  // namespace
}  // namespace brainlock::math::detail

#include "kernels/kernel_table.hpp"
#include "kernels/vector_avx512.hpp"

namespace brainlock::math {

constinit const Kernels kEmulatedAvx512 =
    detail::VectorKernels<detail::Avx512, detail::Avx2>::table("avx512_emulated");
const Kernels* emulated_avx512() { return &kEmulatedAvx512; }

}  // namespace brainlock::math

#pragma GCC diagnostic pop

#else

namespace brainlock::math {

const Kernels* emulated_avx512() { return nullptr; }

}  // namespace brainlock::math

#endif
