#include "brainlock/runtime/machine.hpp"

#include "brainlock/ckks/loaded_keys.hpp"
#include "brainlock/device/cpu_backend.hpp"

namespace brainlock::runtime {

Result<std::shared_ptr<const Machine>> Machine::make(std::shared_ptr<const ckks::Parameters> parameters,
                                                     std::shared_ptr<device::ThreadPool> pool) {
  BRAINLOCK_ASSIGN(auto backend, device::make_cpu_backend(ckks::make_ring(*parameters), pool));
  auto machine = std::make_shared<Machine>();
  machine->parameters = std::move(parameters);
  machine->pool = std::move(pool);
  machine->backend = std::move(backend);
  return std::shared_ptr<const Machine>(std::move(machine));
}

Result<std::shared_ptr<const Machine>> Machine::make(std::shared_ptr<const ckks::Parameters> parameters, unsigned threads) {
  return make(std::move(parameters), std::make_shared<device::ThreadPool>(threads));
}

}  // namespace brainlock::runtime
