// The driver of a real GPU.
#pragma once

#include <memory>

#include "brainlock/device_cuda/devices.hpp"
#include "driver.hpp"

namespace brainlock::device_cuda {

/// Errors of make_cuda_backend().
Result<std::shared_ptr<Driver>> make_cuda_driver(int index);

/// Brings a device back that a kernel has broken: everything of this process on it is gone. False where that would be more than what was broken: some
/// driver of the device is still there.
bool reset_cuda_device(int index);

}  // namespace brainlock::device_cuda
