// package (each), memory.
#include <algorithm>

#include "brainlock/protocol/routes.hpp"
#include "patient.hpp"
#include "text.hpp"

namespace brainlock::doctor {
namespace {

Finding package_at(const PatientPtr& shared, std::size_t index) {
  const Patient& patient = *shared;
  const auto& folder = patient.setup.packages[index];
  const auto package = package::Package::load(folder);
  if (!package.ok()) {
    std::string next = "compile it again (`brainlock compile MODEL.onnx -o " + folder.string() + " --overwrite`), or copy it again";
    if (package.error().code == ErrorCode::kNotFound) next = "correct --package, or `brainlock compile MODEL.onnx -o " + folder.string() + "`";
    if (package.error().code == ErrorCode::kInsecure) next = "do not serve it: compile the model again, with this program";
    if (package.error().code == ErrorCode::kDenied || package.error().code == ErrorCode::kIo) next = "let user " + patient.machine.user + " read the folder and its files";
    return failure(package.error().message, next);
  }
  const std::string hash = (*package)->hash_hex();
  std::string text = (*package)->program().model_name + " (" + (*package)->program().profile + "), " + std::to_string(static_cast<int>((*package)->parameters()->security_bits())) + " bits, hash " + hash.substr(0, 16) + "...";
  if (patient.setup.role == Role::kValidator) {
    for (const auto& approval : patient.setup.validator.approved) {
      const auto id = protocol::parse_content_id(approval);
      if (!id.ok()) return failure("--approve " + approval.substr(0, 80) + " is no hash: 64 lower-case hexadecimal digits", "take it from those who run the subnet; `brainlock inspect " + folder.string() + "` prints the package's");
    }
    const auto& approved = patient.setup.validator.approved;
    if (std::find(approved.begin(), approved.end(), hash) == approved.end()) {
      return failure(folder.string() + " has hash " + hash + ", which no --approve names", "approve it if it is the subnet's package, otherwise fetch or compile that one");
    }
    text += ", approved";
  }
  Finding finding = ok(text);
  finding.learn = [shared, index, loaded = *package] { shared->packages[index] = loaded; };
  return finding;
}

Finding memory_of(const Patient& patient) {
  if (patient.setup.role == Role::kValidator) return judge_validator_memory(patient.machine, patient.key_bytes());
  return judge_miner_memory(patient.machine, miner::forecast_ram(patient.loaded()), patient.setup.miner.max_ram_gb, patient.setup.miner.in_flight, patient.running);
}

}  // namespace

std::vector<std::string> package_check_names(const Setup& setup) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < setup.packages.size(); ++i) out.push_back(i == 0 ? "package" : "package_" + std::to_string(i + 1));
  return out;
}

void add_package_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  const auto names = package_check_names(patient->setup);
  for (std::size_t i = 0; i < names.size(); ++i) {
    Check check{names[i], [patient, i] { return package_at(patient, i); }};
    check.limit = std::chrono::seconds(60);
    check.late = failure("reading " + patient->setup.packages[i].string() + " takes too long", "look at that disk (`dmesg`, `iostat`)");
    checks.push_back(std::move(check));
  }
  Check memory{"memory", [patient] { return memory_of(*patient); }};
  memory.needs = names;
  memory.after = {"port"};   // whether the miner runs already
  checks.push_back(std::move(memory));
}

}  // namespace brainlock::doctor
