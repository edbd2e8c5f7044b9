#include "driver.hpp"

namespace brainlock::device_cuda::gpu {

const char* name_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::kNttForwardColumns: return "ntt_forward_columns";
    case Kernel::kNttForwardRows: return "ntt_forward_rows";
    case Kernel::kNttInverseRows: return "ntt_inverse_rows";
    case Kernel::kNttInverseColumns: return "ntt_inverse_columns";
    case Kernel::kNttForwardCluster: return "ntt_forward_cluster";
    case Kernel::kNttInverseCluster: return "ntt_inverse_cluster";
    case Kernel::kConvertDigits: return "convert_digits";
    case Kernel::kDivideDigits: return "divide_digits";
    case Kernel::kConvertBasis: return "convert_basis";
    case Kernel::kPrepareKeys: return "prepare_keys";
    case Kernel::kPlaceDigits: return "place_digits";
    case Kernel::kSwitchKeys: return "switch_keys";
    case Kernel::kLift: return "lift";
    case Kernel::kAdd: return "add";
    case Kernel::kMultiply: return "multiply";
    case Kernel::kSplitParts: return "split_parts";
    case Kernel::kTensorSquare: return "tensor_square";
    case Kernel::kLinearLayer: return "linear_layer";
    case Kernel::kRotateColumns: return "rotate_columns";
    case Kernel::kWeightColumnsFull: return "weight_columns_full";
  }
  return "unknown";
}

}  // namespace brainlock::device_cuda::gpu
