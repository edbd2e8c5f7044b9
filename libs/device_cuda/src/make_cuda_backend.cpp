#include "brainlock/device_cuda/cuda_backend.hpp"
#include "cuda/cuda_driver.hpp"
#include "cuda_backend.hpp"

namespace brainlock::device_cuda {

Result<std::shared_ptr<device::Backend>> make_cuda_backend(device::Ring ring, int index) {
  BRAINLOCK_ASSIGN(auto driver, make_cuda_driver(index));
  return CudaBackend::make(std::move(ring), std::move(driver));
}

}  // namespace brainlock::device_cuda
