// Built with AVX2 and FMA enabled; only dispatch.cpp refers to it, after asking the CPU.
#include "kernels/kernel_table.hpp"
#include "kernels/vector_avx2.hpp"

namespace brainlock::math::detail {

constinit const Kernels kAvx2Kernels = VectorKernels<Avx2, Avx2>::table("avx2");

}  // namespace brainlock::math::detail
