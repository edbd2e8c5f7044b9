// Which device does the work, as users name it: cpu, cuda, cuda:N or auto.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "brainlock/device/backend.hpp"
#include "brainlock/device/thread_pool.hpp"

namespace brainlock::device_cuda {

struct DeviceChoice {
  enum class Kind {
    kCpu,
    kCuda,       ///< one GPU, or an error
    kAuto,       ///< the first GPU that can be used, else the CPU
    kEmulated,   ///< the GPU's kernels on the processor: for tests
  };
  Kind kind = Kind::kCpu;
  int index = 0;   ///< of the GPU
};

/// "cpu", "cuda" (the first GPU), "cuda:2", "auto", "emulated". kInvalidArgument says what is expected.
Result<DeviceChoice> parse_device(std::string_view text);

/// Whether a GPU that was asked for can be opened: for those who have long work to do before they need it. Other choices pass.
Status check_device(const DeviceChoice& choice);

struct Selected {
  std::shared_ptr<device::Backend> backend;
  std::string reason;   ///< of auto: why it took what it took; otherwise empty
};
/// Errors of the backend that was asked for. auto has none but those of the CPU's backend.
Result<Selected> select_backend(const DeviceChoice& choice, device::Ring ring, std::shared_ptr<device::ThreadPool> pool);

}  // namespace brainlock::device_cuda
