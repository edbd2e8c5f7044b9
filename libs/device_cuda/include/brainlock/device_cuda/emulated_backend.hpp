// The CUDA backend with its kernels run by the processor, thread by thread: for tests and for work on kernels without a device.
#pragma once

#include <cstdint>
#include <memory>

#include "brainlock/device/backend.hpp"

namespace brainlock::device_cuda {

struct EmulationOptions {
  std::uint64_t memory_bytes = std::uint64_t{1} << 40;   ///< of the device: allocations beyond fail with kResource
  std::uint64_t failing_launch = 0;                      ///< this launch and all later ones fail; 0: none
};

/// Same source, same launches and same memory management as on a device, hundreds of times slower than the CPU's backend.
/// Errors as make_cuda_backend().
Result<std::shared_ptr<device::Backend>> make_emulated_backend(device::Ring ring, const EmulationOptions& options = {});

}  // namespace brainlock::device_cuda
