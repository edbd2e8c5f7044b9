// The GPUs of this machine. Present in every build: one made without the CUDA toolkit says so when a GPU is asked for. No C++20 here:
// nvcc reads this too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::device_cuda {

struct DeviceInfo {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;             ///< compute capability
  std::uint64_t memory_bytes = 0;
  unsigned multiprocessors = 0;
  std::uint64_t last_cache_bytes = 0;
  std::uint64_t clock_hz = 0;           ///< of the multiprocessors, at most; 0: not said
  std::uint64_t memory_bytes_per_s = 0; ///< by the memory's clock and width; 0: not said
};

constexpr int kLeastComputeCapability = 8;   ///< major

/// Whether this build holds CUDA code.
bool built_with_cuda();

/// All GPUs that the driver shows. kUnsupported: a build without CUDA; kUnavailable: no driver, one too old, or no GPU. Messages
/// say what to do next.
Result<std::vector<DeviceInfo>> list_devices();

}  // namespace brainlock::device_cuda
