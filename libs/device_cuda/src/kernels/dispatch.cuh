// Every kernel by its name: what launches by number come down to, on a device and emulated.
#pragma once

#include "driver.hpp"
#include "kernels/conversion.cuh"
#include "kernels/linear.cuh"
#include "kernels/ntt.cuh"
#include "kernels/pointwise.cuh"
#include "kernels/switching.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// Calls run(kernel, arguments) for the kernel and variant of a launch; false if there is no such variant.
template <class Run>
bool dispatch(const Launch& launch, const Run& run) {
#define BRAINLOCK_ARGUMENTS_AS(type) *static_cast<const type*>(launch.arguments)
#define BRAINLOCK_VARIANT(kernel, n, type) \
  case n: run(&kernel<n>, BRAINLOCK_ARGUMENTS_AS(type)); return true;
#define BRAINLOCK_DEGREES(kernel)                                                                                                       \
  switch (launch.variant) {                                                                                                             \
    BRAINLOCK_VARIANT(kernel, 10, NttArguments) BRAINLOCK_VARIANT(kernel, 11, NttArguments) BRAINLOCK_VARIANT(kernel, 12, NttArguments) \
    BRAINLOCK_VARIANT(kernel, 13, NttArguments) BRAINLOCK_VARIANT(kernel, 14, NttArguments) BRAINLOCK_VARIANT(kernel, 15, NttArguments) \
    BRAINLOCK_VARIANT(kernel, 16, NttArguments) BRAINLOCK_VARIANT(kernel, 17, NttArguments)                                             \
    default: return false;                                                                                                              \
  }
#define BRAINLOCK_SOURCES(kernel, type)                                                                               \
  switch (launch.variant) {                                                                                           \
    BRAINLOCK_VARIANT(kernel, 4, type) BRAINLOCK_VARIANT(kernel, 8, type) BRAINLOCK_VARIANT(kernel, 15, type)          \
    default: return false;                                                                                            \
  }
#define BRAINLOCK_SINGLE(kernel, type)          \
  if (launch.variant != 0) return false;        \
  run(&kernel, BRAINLOCK_ARGUMENTS_AS(type));   \
  return true
  switch (launch.kernel) {
    case Kernel::kNttForwardColumns: BRAINLOCK_DEGREES(ntt_forward_columns)
    case Kernel::kNttForwardRows: BRAINLOCK_DEGREES(ntt_forward_rows)
    case Kernel::kNttInverseRows: BRAINLOCK_DEGREES(ntt_inverse_rows)
    case Kernel::kNttInverseColumns: BRAINLOCK_DEGREES(ntt_inverse_columns)
    case Kernel::kConvertDigits: BRAINLOCK_SOURCES(convert_digits, ConvertDigitsArguments)
    case Kernel::kConvertBasis: BRAINLOCK_SOURCES(convert_basis, ConvertArguments)
    case Kernel::kPrepareKeys: BRAINLOCK_SINGLE(prepare_keys, PrepareKeysArguments);
    case Kernel::kPlaceDigits: BRAINLOCK_SINGLE(place_digits, PlaceArguments);
    case Kernel::kSwitchKeys: BRAINLOCK_SINGLE(switch_keys, SwitchArguments);
    case Kernel::kLift: BRAINLOCK_SINGLE(lift, LiftArguments);
    case Kernel::kAdd: BRAINLOCK_SINGLE(add, AddArguments);
    case Kernel::kSplitParts: BRAINLOCK_SINGLE(split_parts, SplitArguments);
    case Kernel::kTensorSquare: BRAINLOCK_SINGLE(tensor_square, SquareArguments);
    case Kernel::kRotateColumns: BRAINLOCK_SINGLE(rotate_columns, RotateArguments);
    case Kernel::kWeightColumns: BRAINLOCK_SINGLE(weight_columns, WeightArguments);
    case Kernel::kWeightColumnsFull: BRAINLOCK_SINGLE(weight_columns_full, WeightArguments);
  }
#undef BRAINLOCK_SINGLE
#undef BRAINLOCK_SOURCES
#undef BRAINLOCK_DEGREES
#undef BRAINLOCK_VARIANT
#undef BRAINLOCK_ARGUMENTS_AS
  return false;
}

/// Calls run(kernel) for every variant of every kernel.
template <class Run>
void for_each_kernel(const Run& run) {
  alignas(16) static const char no_arguments[4096] = {};   // bound to, never read
  Launch launch{};
  launch.arguments = no_arguments;
  for (int kernel = 0; kernel <= static_cast<int>(Kernel::kWeightColumnsFull); ++kernel) {
    launch.kernel = static_cast<Kernel>(kernel);
    for (launch.variant = 0; launch.variant < 32; ++launch.variant) dispatch(launch, [&](auto* found, const auto&) { run(found); });
  }
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
