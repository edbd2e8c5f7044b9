#include "open_backend.hpp"

namespace brainlock::device_cuda {

Result<std::shared_ptr<device::Backend>> open_backend(const device::Ring& ring, const std::function<Result<std::shared_ptr<Driver>>()>& open,
                                                      const TrialOptions& trials, const std::function<bool()>& reset) {
  Error lost;
  {
    BRAINLOCK_ASSIGN(auto driver, open());
    auto backend = CudaBackend::make(ring, driver, trials);
    if (backend.ok() || driver->status().ok() || !trials.why_none.empty()) return backend;
    lost = backend.error();
  }
  constexpr const char* kAdvice = "the device was lost while ways to be faster were tried on it; BRAINLOCK_CUDA_TRANSFORM=two-pass and BRAINLOCK_CUDA_LAUNCHES=plain leave that out";
  if (!reset()) return lost.in(kAdvice);
  auto driver = open();
  if (!driver) return driver.error().in(kAdvice);   // some failures end only with the process
  TrialOptions none;
  none.why_none = "nothing is tried, since that has broken the device: " + lost.message;
  return CudaBackend::make(ring, std::move(*driver), none);
}

}  // namespace brainlock::device_cuda
