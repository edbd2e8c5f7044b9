// How fast a device transforms: the figure by which engines are compared, apart from any network.
#pragma once

#include "brainlock/device/backend.hpp"
#include "brainlock/device_cuda/select.hpp"
#include "brainlock/device_cuda/variants.hpp"

namespace brainlock::device_cuda {

struct TransformSpeed {
  std::uint32_t degree = 0;
  std::uint32_t limbs = 0;          ///< in one batch
  Variants::Transform way = Variants::Transform::kTwoPasses;
  double seconds = 0;               ///< a batch, median
  double two_passes_s = 0;          ///< the same in two passes, launched one by one; 0: that is what `seconds` are
  std::uint64_t traffic_bytes = 0;  ///< a batch's words through device memory: loaded and stored once for each pass
  std::uint64_t operand_bytes = 0;  ///< the same if a word were loaded and stored once, the least there is
};

/// Forward transforms of about 40 limbs at a time over all moduli of the ring, in place, as in a key switch: 100 batches recorded as one
/// graph, timed as a whole by the host's clock; the median of 20 such. In the way that a backend has taken, and in two passes where that is another.
/// Takes some milliseconds on a GPU. A queue of its own and about 30 MB of the device's memory are used. kUnsupported: the choice is no GPU (auto:
/// there is none); errors of make_cuda_backend().
Result<TransformSpeed> measure_forward_transforms(const DeviceChoice& choice, const device::Ring& ring, const Variants& taken);

}  // namespace brainlock::device_cuda
