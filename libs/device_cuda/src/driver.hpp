// What the backend needs of a device: memory, copies and launches, all in the order of the calls. A device does it, or the host's
// emulation. No C++20 here: nvcc reads this too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/device/counters.hpp"
#include "kernels/arguments.hpp"

namespace brainlock::device_cuda {

namespace gpu {

enum class Kernel {
  kNttForwardColumns, kNttForwardRows, kNttInverseRows, kNttInverseColumns, kNttForwardCluster, kNttInverseCluster,
  kConvertDigits, kDivideDigits, kConvertBasis, kPrepareKeys, kPlaceDigits, kSwitchKeys,
  kLift, kAdd, kMultiply, kSplitParts, kTensorSquare,
  kLinearLayer, kRotateColumns, kWeightColumnsFull,
};
/// As it is called in kernels/.
const char* name_of(Kernel kernel);
/// Whether threads of a block wait for each other.
constexpr bool uses_barriers(Kernel kernel) {
  return kernel <= Kernel::kNttInverseCluster || kernel == Kernel::kLinearLayer;
}
/// Blocks, neighbours along x, that run together and see each other's shared memory.
constexpr unsigned cluster_blocks(Kernel kernel, unsigned variant) {
  return kernel == Kernel::kNttForwardCluster || kernel == Kernel::kNttInverseCluster ? 1u << cluster_shape(variant % kRoomyVariant).log_blocks : 1u;
}

/// Of a linear layer's lists, which lie in device memory: what cost_of() must know of them.
struct LinearWork {
  std::uint64_t key_loads = 0;      ///< rotations, counted once for each group of inputs that shares the loads of a key
  std::uint64_t uses = 0;           ///< rotated columns
  std::uint64_t plain_columns = 0;  ///< inputs as they are
  std::uint64_t weight_words = 0;   ///< of one limb
  std::uint64_t products = 0;       ///< columns times giants, over all outputs
  std::uint64_t giants = 0;         ///< over all outputs
};

struct Launch {
  Kernel kernel;
  unsigned variant;          ///< of kernel templates: log2 of the ring degree (and kRoomyVariant), or most sources; 0 of others
  unsigned grid[3];
  unsigned threads;
  std::size_t shared_bytes;
  const void* arguments;     ///< the kernel's struct of arguments.hpp
  std::size_t argument_bytes;
  LinearWork linear;         ///< of kLinearLayer and later
};

}  // namespace gpu

struct DeviceMemory {
  std::uint64_t free_bytes = 0, total_bytes = 0;
};

/// How the launches of a graph follow each other. kDependent: the next one's blocks may take free places and wait there while one runs; kernels
/// wait themselves (wait_for_earlier_launches), so results are the same.
enum class LaunchOrder { kOneByOne, kDependent };

/// What stands against ways that not every device takes, or that are not worth a trial there; empty: nothing.
struct Features {
  std::string against_roomy, against_clusters, against_dependent_launches;
};

/// Launches as one unit. Holds all that they need of the host.
class Graph {
 public:
  virtual ~Graph() = default;
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

  /// Launches in this order as one unit; their arguments are copied. Errors: the device takes no such unit.
  virtual Result<std::shared_ptr<const Graph>> make_graph(const std::vector<gpu::Launch>& launches, LaunchOrder order) = 0;
  /// Of this driver, or of one that this one is a sibling of.
  virtual void run(const Graph& graph) = 0;
  /// Launches one by one with a reading of the device's clock between them, and waits: the seconds from the end of what was before each to its own end. That is
  /// its time only where the host is ahead of the device: there should be work before it. A reading takes about a microsecond, which is in there.
  virtual Result<std::vector<double>> time(const std::vector<gpu::Launch>& launches) = 0;
  /// The same device and memory with a queue of its own, in no order with this one's.
  virtual Result<std::shared_ptr<Driver>> make_sibling() = 0;
  virtual Features features() const = 0;
  /// What the device could do at best; zeros: not known.
  virtual device::Peaks peaks() const = 0;
};

}  // namespace brainlock::device_cuda
