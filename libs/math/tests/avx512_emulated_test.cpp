// The AVX-512 and AMX kernels, run on any machine: their own source, compiled with each intrinsic replaced by SIMDe's portable
// definition. Shows that the logic is right; the few intrinsics SIMDe lacks are spelled out under
// BRAINLOCK_EMULATE_SIMD. This file is built for AVX2 (SIMDe then takes two such registers for one): built for the
// baseline it takes the compiler ten minutes.
#include "tables_under_test.hpp"

#if defined(__has_include)
#if defined(__x86_64__) && __has_include(<simde/x86/avx512.h>)
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

#include "kernels/gemm_tiles.hpp"
#include "kernels/kernel_table.hpp"
#include "kernels/vector_avx512.hpp"

namespace brainlock::math {
namespace {

constinit const Kernels kEmulatedAvx512 =
    detail::VectorKernels<detail::Avx512, detail::Avx2>::table("avx512_emulated");

/// What AMX's instructions do, in loops; a tile that was not loaded, or not configured, holds noise.
struct EmulatedTiles {
  static inline std::uint32_t tile[8][16][16];
  static void fill(std::uint32_t noise) {
    for (auto& rows : tile) {
      for (auto& row : rows) std::fill(std::begin(row), std::end(row), noise);
    }
  }
  static void configure() { fill(0x5eed5eed); }
  static void release() { fill(0xdeadbeef); }
  template <int kTile>
  static void zero() {
    for (auto& row : tile[kTile]) std::fill(std::begin(row), std::end(row), 0u);
  }
  template <int kTile>
  static void load(const std::uint32_t* from, std::size_t stride_bytes) {
    for (std::size_t r = 0; r < 16; ++r) std::copy_n(from + r * (stride_bytes / 4), 16, tile[kTile][r]);
  }
  template <int kTile>
  static void store(std::uint32_t* to, std::size_t stride_bytes) {
    for (std::size_t r = 0; r < 16; ++r) std::copy_n(tile[kTile][r], 16, to + r * (stride_bytes / 4));
  }
  template <int kC, int kA, int kB>
  static void multiply_add() {
    const auto byte = [](std::uint32_t word, int i) { return word >> 8 * i & 255u; };
    for (std::size_t m = 0; m < 16; ++m) {
      for (std::size_t n = 0; n < 16; ++n) {
        for (std::size_t k = 0; k < 16; ++k) {
          for (int i = 0; i < 4; ++i) tile[kC][m][n] += byte(tile[kA][m][k], i) * byte(tile[kB][k][n], i);
        }
      }
    }
  }
};

Kernels make_emulated_amx() {
  Kernels kernels = kEmulatedAvx512;
  kernels.name = "amx_emulated";
  kernels.gemm_periodic = [](std::uint32_t* const* out, std::size_t outputs, const std::uint32_t* const* x, std::size_t inputs, std::size_t sets,
                             const std::uint32_t* w, std::size_t w_run_stride, std::size_t w_row_stride, std::size_t run_length, bool accumulate,
                             const Modulus& m, std::size_t n) {
    detail::gemm_periodic_tiles<EmulatedTiles, detail::Avx512>(kEmulatedAvx512, out, outputs, x, inputs, sets, w, w_run_stride, w_row_stride, run_length,
                                                               accumulate, m, n);
  };
  kernels.prepared_words = detail::tile_words;
  kernels.prepare_weights = detail::make_tiles<detail::Avx512>;
  kernels.gemm_prepared = [](std::uint32_t* const* out, std::size_t outputs, const std::uint32_t* const* x, std::size_t inputs, std::size_t sets,
                             const std::uint32_t* prepared, const Modulus& m, std::size_t n) {
    detail::gemm_made_tiles<EmulatedTiles, detail::Avx512>(out, outputs, x, inputs, sets, prepared, m, n);
  };
  return kernels;
}

}  // namespace

std::vector<const Kernels*> emulated_tables() {
  static const Kernels amx = make_emulated_amx();
  return {&kEmulatedAvx512, &amx};
}

}  // namespace brainlock::math

#pragma GCC diagnostic pop

#else

namespace brainlock::math {

std::vector<const Kernels*> emulated_tables() { return {}; }

}  // namespace brainlock::math

#endif
