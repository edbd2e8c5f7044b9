// What the backend needs of a device: memory, copies and launches, all in the order of the calls. A device does it, or the host's
// emulation. No C++20 here: nvcc reads this too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "brainlock/base/result.hpp"

namespace brainlock::device_cuda {

namespace gpu {

enum class Kernel {
  kNttForwardColumns, kNttForwardRows, kNttInverseRows, kNttInverseColumns,
  kConvertDigits, kConvertBasis, kPrepareKeys, kPlaceDigits, kSwitchKeys,
  kLift, kAdd, kSplitParts, kTensorSquare,
  kRotateColumns, kWeightColumns, kWeightColumnsFull,
};
/// Whether threads of a block wait for each other.
constexpr bool uses_barriers(Kernel kernel) {
  return kernel <= Kernel::kNttInverseColumns || kernel == Kernel::kWeightColumns;
}

struct Launch {
  Kernel kernel;
  unsigned variant;          ///< of kernel templates: stages, or most sources
  unsigned grid[3];
  unsigned threads;
  std::size_t shared_bytes;
  const void* arguments;     ///< the kernel's struct of arguments.hpp
};

}  // namespace gpu

struct DeviceMemory {
  std::uint64_t free_bytes = 0, total_bytes = 0;
};

/// All calls may come from any thread; work is done in the order in which the calls were made. A failed copy or launch is kept and
/// returned by the next status(): results after it mean nothing.
class Driver {
 public:
  virtual ~Driver() = default;
  /// "cuda:0 (NVIDIA H200)".
  virtual std::string name() const = 0;
  virtual Result<DeviceMemory> memory() = 0;

  /// kResource when there is no more.
  virtual Result<void*> allocate(std::size_t bytes) = 0;
  /// Waits for work in flight first.
  virtual void release(void* memory) = 0;

  /// The host memory may be reused on return.
  virtual void copy_in(void* device, const void* host, std::size_t bytes) = 0;
  /// Waits for the copy.
  virtual void copy_out(void* host, const void* device, std::size_t bytes) = 0;
  virtual void launch(const gpu::Launch& launch) = 0;
  /// Waits for everything so far.
  virtual void wait() = 0;
  /// First failure so far.
  virtual Status status() const = 0;
};

}  // namespace brainlock::device_cuda
