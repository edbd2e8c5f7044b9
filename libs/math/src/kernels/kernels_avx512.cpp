// Built with AVX-512 F, BW, DQ, VL and FMA enabled; only dispatch.cpp refers to it, after asking the CPU.
#include "kernels/kernel_table.hpp"
#include "kernels/vector_avx512.hpp"

namespace brainlock::math::detail {

constinit const Kernels kAvx512Kernels = VectorKernels<Avx512, Avx2>::table("avx512");

}  // namespace brainlock::math::detail
