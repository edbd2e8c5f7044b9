// A driver whose device is the processor.
#pragma once

#include "brainlock/device_cuda/emulated_backend.hpp"
#include "driver.hpp"

namespace brainlock::device_cuda {

std::shared_ptr<Driver> make_emulated_driver(const EmulationOptions& options = {});

}  // namespace brainlock::device_cuda
