// An NVIDIA GPU as a backend.
#pragma once

#include <memory>

#include "brainlock/device/backend.hpp"
#include "brainlock/device_cuda/devices.hpp"

namespace brainlock::device_cuda {

/// The backend on GPU `index`: same words as the CPU's. Errors of list_devices(); kNotFound: no such GPU; kUnsupported: compute
/// capability below 8.0, or a ring degree outside [2^10, 2^17]; kInvalidArgument: see check_ring(); kResource: no memory.
Result<std::shared_ptr<device::Backend>> make_cuda_backend(device::Ring ring, int index);

}  // namespace brainlock::device_cuda
