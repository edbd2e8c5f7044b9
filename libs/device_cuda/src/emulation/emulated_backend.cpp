#include "brainlock/device_cuda/emulated_backend.hpp"

#include "cuda_backend.hpp"
#include "emulation/emulated_driver.hpp"

namespace brainlock::device_cuda {

Result<std::shared_ptr<device::Backend>> make_emulated_backend(device::Ring ring, const EmulationOptions& options) {
  TrialOptions trials = trial_options_from_environment();
  EmulationOptions device = options;
  // What someone asks for who looks for a fault.
  device.roomy = device.roomy || trials.transform.find("-roomy") != std::string::npos;
  device.clusters = device.clusters || trials.transform.find("cluster") != std::string::npos;
  device.dependent_launches = device.dependent_launches || trials.launches == "dependent";
  // The processor's time says nothing; what is there is to be taken.
  trials.time = [](Driver&, const Graph&, const std::string& name) { return name == kPlainTransform || name == kPlainLaunches ? 2.0 : 1.0; };
  return CudaBackend::make(std::move(ring), make_emulated_driver(device), trials);
}

}  // namespace brainlock::device_cuda
