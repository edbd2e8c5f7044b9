// Every 64-bit Arm processor has NEON; other builds have nothing of it.
#ifdef __aarch64__

#include "kernels/kernel_table.hpp"
#include "kernels/vector_neon.hpp"

namespace brainlock::math::detail {

constinit const Kernels kNeonKernels = VectorKernels<Neon, Neon>::table("neon");

}  // namespace brainlock::math::detail

#endif
