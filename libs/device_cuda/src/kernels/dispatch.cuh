// Every kernel by its name: what launches by number come down to, on a device and emulated.
#pragma once

#include "driver.hpp"
#include "kernels/conversion.cuh"
#include "kernels/linear.cuh"
#include "kernels/ntt_cluster.cuh"
#include "kernels/pointwise.cuh"
#include "kernels/switching.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// Calls run(kernel, arguments) for the kernel and variant of a launch; false if there is no such variant.
template <class Run>
bool dispatch(const Launch& launch, const Run& run) {
#define BRAINLOCK_ARGUMENTS_AS(type) *static_cast<const type*>(launch.arguments)
#define BRAINLOCK_VARIANT(kernel, n, type) \
  case n: run(&kernel<n>, BRAINLOCK_ARGUMENTS_AS(type)); return true;
#define BRAINLOCK_TRANSFORM(kernel, n, roomy) \
  case n + (roomy ? kRoomyVariant : 0): run(&kernel<n, roomy>, BRAINLOCK_ARGUMENTS_AS(NttArguments)); return true;
#define BRAINLOCK_FEW_DEGREES(kernel, roomy)                                              \
  BRAINLOCK_TRANSFORM(kernel, 13, roomy) BRAINLOCK_TRANSFORM(kernel, 14, roomy)          \
  BRAINLOCK_TRANSFORM(kernel, 15, roomy) BRAINLOCK_TRANSFORM(kernel, 16, roomy)
#define BRAINLOCK_DEGREES(kernel)                                                         \
  switch (launch.variant) {                                                               \
    BRAINLOCK_TRANSFORM(kernel, 10, false) BRAINLOCK_TRANSFORM(kernel, 11, false)        \
    BRAINLOCK_TRANSFORM(kernel, 12, false) BRAINLOCK_TRANSFORM(kernel, 17, false)        \
    BRAINLOCK_FEW_DEGREES(kernel, false) BRAINLOCK_FEW_DEGREES(kernel, true)             \
    default: return false;                                                                \
  }
#define BRAINLOCK_CLUSTER_DEGREES(kernel)                                                 \
  switch (launch.variant) {                                                               \
    BRAINLOCK_FEW_DEGREES(kernel, false) BRAINLOCK_FEW_DEGREES(kernel, true)             \
    default: return false;                                                                \
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
    case Kernel::kNttForwardCluster: BRAINLOCK_CLUSTER_DEGREES(ntt_forward_cluster)
    case Kernel::kNttInverseCluster: BRAINLOCK_CLUSTER_DEGREES(ntt_inverse_cluster)
    case Kernel::kConvertDigits: BRAINLOCK_SOURCES(convert_digits, ConvertDigitsArguments)
    case Kernel::kDivideDigits: BRAINLOCK_SOURCES(divide_digits, DivideDigitsArguments)
    case Kernel::kConvertBasis: BRAINLOCK_SOURCES(convert_basis, ConvertArguments)
    case Kernel::kPrepareKeys: BRAINLOCK_SINGLE(prepare_keys, PrepareKeysArguments);
    case Kernel::kPlaceDigits: BRAINLOCK_SINGLE(place_digits, PlaceArguments);
    case Kernel::kSwitchKeys: BRAINLOCK_SINGLE(switch_keys, SwitchArguments);
    case Kernel::kLift: BRAINLOCK_SINGLE(lift, LiftArguments);
    case Kernel::kAdd: BRAINLOCK_SINGLE(add, AddArguments);
    case Kernel::kMultiply: BRAINLOCK_SINGLE(multiply, MultiplyArguments);
    case Kernel::kSplitParts: BRAINLOCK_SINGLE(split_parts, SplitArguments);
    case Kernel::kTensorSquare: BRAINLOCK_SINGLE(tensor_square, SquareArguments);
    case Kernel::kLinearLayer: BRAINLOCK_SINGLE(linear_layer, LinearArguments);
    case Kernel::kRotateColumns: BRAINLOCK_SINGLE(rotate_columns, RotateArguments);
    case Kernel::kWeightColumnsFull: BRAINLOCK_SINGLE(weight_columns_full, FullWeightArguments);
  }
#undef BRAINLOCK_SINGLE
#undef BRAINLOCK_SOURCES
#undef BRAINLOCK_CLUSTER_DEGREES
#undef BRAINLOCK_DEGREES
#undef BRAINLOCK_FEW_DEGREES
#undef BRAINLOCK_TRANSFORM
#undef BRAINLOCK_VARIANT
#undef BRAINLOCK_ARGUMENTS_AS
  return false;
}

/// Calls run(kernel, launch) for every variant of every kernel; of the launch, kernel and variant are set.
template <class Run>
void for_each_kernel(const Run& run) {
  alignas(16) static const char no_arguments[4096] = {};   // bound to, never read
  Launch launch{};
  launch.arguments = no_arguments;
  for (int kernel = 0; kernel <= static_cast<int>(Kernel::kWeightColumnsFull); ++kernel) {
    launch.kernel = static_cast<Kernel>(kernel);
    for (launch.variant = 0; launch.variant < 2 * kRoomyVariant; ++launch.variant) dispatch(launch, [&](auto* found, const auto&) { run(found, launch); });
  }
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
