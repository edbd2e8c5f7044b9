#include <algorithm>

#include "brainlock/wire/evaluation_keys.hpp"
#include "patient.hpp"

namespace brainlock::doctor {

std::vector<std::shared_ptr<const package::Package>> Patient::loaded() const {
  std::vector<std::shared_ptr<const package::Package>> out;
  std::copy_if(packages.begin(), packages.end(), std::back_inserter(out), [](const auto& package) { return package != nullptr; });
  return out;
}

std::uint64_t Patient::key_bytes() const {
  std::uint64_t most = 0;
  for (const auto& package : loaded()) most = std::max(most, wire::evaluation_keys_bytes(package->key_requests(), *package->parameters()));
  return most;
}

std::vector<Check> make_checks(Setup setup, MachineFacts machine) {
  const auto patient = std::make_shared<Patient>();
  patient->setup = std::move(setup);
  patient->machine = std::move(machine);
  patient->packages.resize(patient->setup.packages.size());
  std::vector<Check> checks;
  add_machine_checks(checks, patient);
  if (patient->setup.role == Role::kMachine) {
    add_chain_checks(checks, patient);
    return checks;
  }
  add_secret_checks(checks, patient);
  add_package_checks(checks, patient);
  add_disk_checks(checks, patient);
  add_database_checks(checks, patient);
  add_network_checks(checks, patient);
  add_chain_checks(checks, patient);
  return checks;
}

}  // namespace brainlock::doctor
