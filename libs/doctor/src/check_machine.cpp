// version, user, processor, cores, memory (of the machine alone), limits, gpu.
#include <sys/stat.h>

#include "patient.hpp"

namespace brainlock::doctor {
namespace {

Finding version_of(const Patient& patient) {
  return ok("brainlock " + patient.setup.version + (patient.machine.built_with_cuda ? ", built with CUDA" : ", built without CUDA"));
}

/// Whoever may read everything finds out nothing about what the service may.
Finding user_of(const Patient& patient) {
  struct stat info {};
  const std::string command = patient.setup.role == Role::kMiner ? "miner" : "validator";
  if (patient.machine.user_id == 0 && ::stat(patient.setup.state.c_str(), &info) == 0 && info.st_uid != 0) {
    return warning("root looks, and " + patient.setup.state.string() + " belongs to another user: what that one may read is not known", "`runuser -u brainlock -- brainlock doctor " + command + " ...`");
  }
  const std::string& service = patient.setup.service_user;
  if (!service.empty() && service != patient.machine.user) {
    return warning("the unit runs as " + service + ", this is " + patient.machine.user + ": what that one may read is not known", "`runuser -u " + service + " -- brainlock doctor " + command + " ...`");
  }
  return ok(patient.machine.user);
}

}  // namespace

void add_machine_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  const Setup& setup = patient->setup;
  const bool alone = setup.role == Role::kMachine;
  checks.push_back({"version", [patient] { return version_of(*patient); }});
  if (!alone) checks.push_back({"user", [patient] { return user_of(*patient); }});
  checks.push_back({"processor", [patient] { return judge_kernels(patient->machine); }});
  checks.push_back({"cores", [patient] { return judge_processors(patient->machine, patient->setup.role == Role::kMiner ? patient->setup.threads : 0); }});
  if (alone) checks.push_back({"memory", [patient] { return judge_memory(patient->machine); }});
  checks.push_back({"limits", [patient] { return judge_limits(patient->machine, patient->setup.role); }});
  if (setup.role == Role::kValidator) return;
  Check gpu{"gpu", [patient, alone] {
              if (alone) {
                const auto& gpus = patient->machine.gpus;
                if (!gpus || !gpus->ok()) return skipped(gpus ? gpus->error().message : "not asked for");
                return judge_gpus(patient->machine, "cuda:all", std::nullopt);
              }
              const auto packages = patient->loaded();
              return judge_gpus(patient->machine, patient->setup.miner.devices, packages.empty() ? std::nullopt : std::optional(miner::forecast_ram(packages)));
            }};
  gpu.after = package_check_names(setup);
  checks.push_back(std::move(gpu));
}

}  // namespace brainlock::doctor
