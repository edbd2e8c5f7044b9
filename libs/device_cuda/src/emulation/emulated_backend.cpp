#include "brainlock/device_cuda/emulated_backend.hpp"

#include "cuda_backend.hpp"
#include "emulation/emulated_driver.hpp"

namespace brainlock::device_cuda {

Result<std::shared_ptr<device::Backend>> make_emulated_backend(device::Ring ring, const EmulationOptions& options) {
  return CudaBackend::make(std::move(ring), make_emulated_driver(options));
}

}  // namespace brainlock::device_cuda
