// The kernel table of each instruction set. Each is defined in its own file, compiled with its own flags.
#pragma once

#include "brainlock/math/kernels.hpp"

namespace brainlock::math::detail {

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kNeonKernels;
/// AVX-512 with AMX. The process must have asked the operating system for tiles.
const Kernels& amx_kernels();
const Kernels& wasm_kernels();

}  // namespace brainlock::math::detail
