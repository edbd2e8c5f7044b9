// The driver of a real GPU.
#pragma once

#include <memory>

#include "brainlock/device_cuda/devices.hpp"
#include "driver.hpp"

namespace brainlock::device_cuda {

/// Errors of make_cuda_backend().
Result<std::shared_ptr<Driver>> make_cuda_driver(int index);

}  // namespace brainlock::device_cuda
