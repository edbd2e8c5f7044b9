// AVX-512, and AMX's tiles for the periodic GEMM. Only dispatch.cpp refers to it, after asking the CPU and the operating system.
#include "kernels/gemm_tiles.hpp"
#include "kernels/tables.hpp"
#include "kernels/vector_avx512.hpp"

namespace brainlock::math::detail {
namespace {

/// The calling thread's eight tiles of 16 rows x 64 bytes. Spelled out in assembly, because the compiler's own macros do not say that memory is
/// read and written.
struct AmxTiles {
  static void configure() {
    struct alignas(64) Configuration {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static_assert(sizeof(Configuration) == 64);
    static constexpr Configuration kConfiguration;
    asm volatile("ldtilecfg %0" : : "m"(kConfiguration));
  }
  /// Tiles in use make a switch of threads slower.
  static void release() { asm volatile("tilerelease"); }
  template <int kTile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  BRAINLOCK_INLINE static void load(const U32* from, std::size_t stride_bytes) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride_bytes), "i"(kTile) : "memory");
  }
  template <int kTile>
  BRAINLOCK_INLINE static void store(U32* to, std::size_t stride_bytes) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride_bytes), "i"(kTile) : "memory");
  }
  template <int kC, int kA, int kB>
  BRAINLOCK_INLINE static void multiply_add() {
    asm volatile("tdpbuud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB));
  }
};

void gemm_periodic(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const U32* w,
                   std::size_t w_run_stride, std::size_t w_row_stride, std::size_t run_length, bool accumulate, const Modulus& m, std::size_t n) {
  gemm_periodic_tiles<AmxTiles, Avx512>(kAvx512Kernels, out, outputs, x, inputs, sets, w, w_run_stride, w_row_stride, run_length, accumulate, m, n);
}

void gemm_prepared(U32* const* out, std::size_t outputs, const U32* const* x, std::size_t inputs, std::size_t sets, const U32* prepared, const Modulus& m,
                   std::size_t n) {
  gemm_made_tiles<AmxTiles, Avx512>(out, outputs, x, inputs, sets, prepared, m, n);
}

}  // namespace

const Kernels& amx_kernels() {
  static const Kernels table = [] {
    Kernels kernels = kAvx512Kernels;
    kernels.name = "amx";
    kernels.gemm_periodic = gemm_periodic;
    kernels.prepared_words = tile_words;
    kernels.prepare_weights = make_tiles<Avx512>;
    kernels.gemm_prepared = gemm_prepared;
    return kernels;
  }();
  return table;
}

}  // namespace brainlock::math::detail
