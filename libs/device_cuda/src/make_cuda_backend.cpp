#include "brainlock/device_cuda/cuda_backend.hpp"
#include "cuda/cuda_driver.hpp"
#include "open_backend.hpp"

namespace brainlock::device_cuda {

Result<std::shared_ptr<device::Backend>> make_cuda_backend(device::Ring ring, int index) {
  return open_backend(ring, [index] { return make_cuda_driver(index); }, trial_options_from_environment(), [index] { return reset_cuda_device(index); });
}

}  // namespace brainlock::device_cuda
