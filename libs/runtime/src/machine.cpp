#include "brainlock/runtime/machine.hpp"

#include "brainlock/ckks/loaded_keys.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::runtime {

Result<std::shared_ptr<const Machine>> Machine::make(std::shared_ptr<const ckks::Parameters> parameters,
                                                     std::shared_ptr<device::ThreadPool> pool,
                                                     const device_cuda::DeviceChoice& device, unsigned lanes) {
  BRAINLOCK_ASSIGN(auto selected, device_cuda::select_backend(device, ckks::make_ring(*parameters), pool));
  auto machine = std::make_shared<Machine>();
  machine->parameters = std::move(parameters);
  machine->pool = std::move(pool);
  machine->backend = std::move(selected.backend);
  machine->device_reason = std::move(selected.reason);
  machine->lanes = lanes;
  return std::shared_ptr<const Machine>(std::move(machine));
}

Result<std::shared_ptr<const Machine>> Machine::make(std::shared_ptr<const ckks::Parameters> parameters,
                                                     unsigned threads, const device_cuda::DeviceChoice& device,
                                                     unsigned lanes) {
  return make(std::move(parameters), std::make_shared<device::ThreadPool>(threads), device, lanes);
}

std::string Machine::description() const {
  std::string text = backend->name();
  if (text == "cpu") text += ", " + std::to_string(pool->threads()) + " thread(s), " + std::string(math::kernels().name);
  if (!device_reason.empty()) text += "; auto " + device_reason;
  return text;
}

}  // namespace brainlock::runtime
