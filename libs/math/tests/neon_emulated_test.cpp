// The NEON kernels, run on any machine: their own source, compiled with each intrinsic replaced by SIMDe's portable
// definition.
// `./dev arm64` runs what a compiler makes of them for Arm.
#include "tables_under_test.hpp"

#if defined(__has_include)
#if !defined(__aarch64__) && __has_include(<simde/arm/neon.h>)
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
#include <simde/arm/neon.h>

#include <cmath>

#define BRAINLOCK_EMULATE_SIMD

namespace brainlock::math::detail {
namespace {

/// One rounding, as the instruction has it (SIMDe's portable form rounds twice).
float32x4_t emulated_fma(float32x4_t a, float32x4_t b, float32x4_t c) {
  float x[4], y[4], z[4];
  vst1q_f32(x, a);
  vst1q_f32(y, b);
  vst1q_f32(z, c);
  for (int i = 0; i < 4; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return vld1q_f32(z);
}

/// SIMDe has no VCVTN.
uint32x4_t emulated_round(float32x4_t a) {
  float x[4];
  std::uint32_t rounded[4];
  vst1q_f32(x, a);
  for (int i = 0; i < 4; ++i) rounded[i] = static_cast<std::uint32_t>(static_cast<std::int32_t>(std::nearbyint(x[i])));
  return vld1q_u32(rounded);
}

}  // namespace
}  // namespace brainlock::math::detail

#include "kernels/kernel_table.hpp"
#include "kernels/vector_neon.hpp"

namespace brainlock::math {
namespace {

constinit const Kernels kEmulatedNeon = detail::VectorKernels<detail::Neon, detail::Neon>::table("neon_emulated");

}  // namespace

const Kernels* emulated_neon() { return &kEmulatedNeon; }

}  // namespace brainlock::math

#pragma GCC diagnostic pop

#else

namespace brainlock::math {

const Kernels* emulated_neon() { return nullptr; }

}  // namespace brainlock::math

#endif
