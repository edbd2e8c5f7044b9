// Instead of cuda_driver.cu where the build has no CUDA toolkit.
#ifndef BRAINLOCK_WITH_CUDA

#include "cuda/cuda_driver.hpp"

namespace brainlock::device_cuda {
namespace {

Error built_without() {
  return {ErrorCode::kUnsupported,
          "cuda: this program was built without CUDA; take --device cpu, or build it where the CUDA toolkit (nvcc 11.8 or newer) is on the PATH"};
}

}  // namespace

bool built_with_cuda() { return false; }
Result<std::vector<DeviceInfo>> list_devices() { return built_without(); }
Result<std::shared_ptr<Driver>> make_cuda_driver(int) { return built_without(); }
bool reset_cuda_device(int) { return false; }

}  // namespace brainlock::device_cuda

#endif
