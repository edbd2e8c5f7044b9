// Every instance of every kernel, for a compiler without the CUDA toolkit: clang makes PTX of this file and so shows that the device
// code is valid CUDA. See tests/kernels_to_ptx.sh.
#include "kernels/conversion.cuh"
#include "kernels/linear.cuh"
#include "kernels/ntt.cuh"
#include "kernels/pointwise.cuh"
#include "kernels/switching.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

#define BRAINLOCK_DEGREES(kernel)                                          \
  template BRAINLOCK_KERNEL kernel<10>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<11>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<12>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<13>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<14>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<15>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<16>(BRAINLOCK_ARGUMENTS(NttArguments)); \
  template BRAINLOCK_KERNEL kernel<17>(BRAINLOCK_ARGUMENTS(NttArguments));
#define BRAINLOCK_SOURCES(kernel, type)                              \
  template BRAINLOCK_KERNEL kernel<4>(BRAINLOCK_ARGUMENTS(type)); \
  template BRAINLOCK_KERNEL kernel<8>(BRAINLOCK_ARGUMENTS(type)); \
  template BRAINLOCK_KERNEL kernel<15>(BRAINLOCK_ARGUMENTS(type));

BRAINLOCK_DEGREES(ntt_forward_columns)
BRAINLOCK_DEGREES(ntt_forward_rows)
BRAINLOCK_DEGREES(ntt_inverse_rows)
BRAINLOCK_DEGREES(ntt_inverse_columns)
BRAINLOCK_SOURCES(convert_digits, ConvertDigitsArguments)
BRAINLOCK_SOURCES(divide_digits, DivideDigitsArguments)
BRAINLOCK_SOURCES(convert_basis, ConvertArguments)

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
