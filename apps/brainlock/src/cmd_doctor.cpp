// `brainlock doctor`: what keeps a miner or a validator from working. Changes nothing.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/ss58.hpp"
#include "brainlock/doctor/reach.hpp"
#include "brainlock/doctor/service_files.hpp"
#include "brainlock/doctor/setup.hpp"
#include "commands.hpp"
#include "miner_choice.hpp"
#include "miner_options.hpp"
#include "ui.hpp"
#include "validator_options.hpp"
#include "version.hpp"

extern char** environ;  // NOLINT: POSIX's own name

namespace brainlock::app {
namespace {

using doctor::Level;
using doctor::Role;

/// Where the options come from, besides the command line.
struct ServiceFlags {
  std::string environment, unit;

  void add_to(CLI::App& command, const std::string& variable) {
    auto* env = command.add_option("--env", environment, "Environment file of the service: the options are the words of " + variable + " in it (deploy/*.env)");
    command.add_option("--unit", unit, "systemd unit of the service: options, environment and limits are as in it")->excludes(env);
  }
  [[nodiscard]] bool given() const { return !environment.empty() || !unit.empty(); }
  [[nodiscard]] Result<doctor::ServiceFile> read(const std::string& role) const {
    if (!unit.empty()) return doctor::read_unit_file(unit, role);
    return doctor::read_environment_file(environment, role == "miner" ? "BRAINLOCK_MINER" : "BRAINLOCK_VALIDATOR");
  }
};

struct DoctorFlags {
  bool json = false;
  LedgerOptions ledger;   // of the machine alone
  ServiceFlags miner_service, validator_service;
  MinerFlags miner;
  ValidatorFlags validator;
  std::string reach_address, reach_hotkey;
};

void take_common(doctor::Setup& setup, const WalletOptions& wallet, const LedgerOptions& ledger, const LogOptions& log) {
  setup.version = program_version();
  setup.wallets = wallet.path;
  setup.wallet = wallet.name;
  setup.hotkey = wallet.hotkey;
  // Nobody is asked on the terminal: a service is not, either.
  if (wallet.password_stdin) setup.password = wallet.password_source();
  setup.ledger_file = ledger.file;
  setup.endpoints = ledger.endpoint.empty() ? ledger.network : ledger.endpoint;
  setup.netuid = ledger.netuid;
  setup.commit_folder = ledger.commit_folder;
  setup.hash_commits = ledger.hash_commits;
  setup.log_file = log.file;
}

void take_service(doctor::Setup& setup, doctor::MachineFacts& machine, const ServiceFlags& flags, const std::string& role) {
  if (!flags.given()) return;
  const auto service = must(flags.read(role));
  setup.settings_file = service.environment_file;
  setup.service_user = service.user;
  if (service.open_files) machine.open_files = *service.open_files;
  if (service.locked_bytes) machine.locked_bytes = *service.locked_bytes;
}

nlohmann::json report_json(const doctor::Report& report) {
  nlohmann::json out = {{"name", report.name}, {"level", doctor::level_name(report.finding.level)}, {"found", report.finding.found}, {"seconds", report.seconds}};
  if (!report.finding.next.empty()) out["next"] = report.finding.next;
  return out;
}

void print_line(const doctor::Report& report) {
  std::printf("%-4s  %-12s  %s", std::string(doctor::level_name(report.finding.level)).c_str(), report.name.c_str(), report.finding.found.c_str());
  if (!report.finding.next.empty()) std::printf(" -> %s", report.finding.next.c_str());
  std::printf("\n");
  std::fflush(stdout);
}

[[noreturn]] void examine(std::vector<doctor::Check> checks, bool json, const char* role) {
  const auto reports = doctor::run_checks(std::move(checks), json ? std::function<void(const doctor::Report&)>() : print_line);
  std::map<Level, int> count;
  for (const auto& report : reports) ++count[report.finding.level];
  const bool failed = doctor::any_failure(reports);
  if (json) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& report : reports) list.push_back(report_json(report));
    const nlohmann::json out = {{"version", program_version()}, {"role", role}, {"healthy", !failed}, {"failures", count[Level::kFailure]}, {"warnings", count[Level::kWarning]}, {"checks", list}};
    std::printf("%s\n", out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    std::printf("%d failed, %d to look at, %d ok, %d skipped\n", count[Level::kFailure], count[Level::kWarning], count[Level::kOk], count[Level::kSkipped]);
  }
  std::fflush(stdout);
  const int code = failed ? kExitFailed : 0;
  // A check that hangs, on a dead disk for example, is not waited for.
  if (doctor::still_running()) std::_Exit(code);
  throw ExitWith{code};
}

void examine_machine(const DoctorFlags& flags) {
  doctor::Setup setup;
  setup.version = program_version();
  setup.netuid = flags.ledger.netuid;
  setup.ledger_file = flags.ledger.file;
  // No node is asked unless one is named: a look at the machine alone tells nobody of it.
  if (flags.ledger.on_chain() || !flags.ledger.endpoint.empty()) setup.endpoints = flags.ledger.endpoint.empty() ? flags.ledger.network : flags.ledger.endpoint;
  examine(doctor::make_checks(std::move(setup), doctor::read_machine_facts(true)), flags.json, "machine");
}

void examine_miner(const DoctorFlags& flags) {
  const MinerFlags& miner = flags.miner;
  doctor::Setup setup;
  setup.role = Role::kMiner;
  take_common(setup, miner.wallet, miner.ledger, miner.log);
  auto machine = doctor::read_machine_facts(miner.devices != "cpu");
  take_service(setup, machine, flags.miner_service, "miner");
  setup.packages.assign(miner.packages.begin(), miner.packages.end());
  setup.state = miner.state;
  setup.threads = miner.threads;
  setup.miner = {miner.listen, miner.port, miner.external_ip, miner.external_port, miner.metrics_port, miner.devices, miner.in_flight, miner.max_ram_gb,
                 must(net::AddressNetworks::parse(miner.proxy_from))};
  examine(doctor::make_checks(std::move(setup), std::move(machine)), flags.json, "miner");
}

void examine_validator(const DoctorFlags& flags) {
  const ValidatorFlags& validator = flags.validator;
  doctor::Setup setup;
  setup.role = Role::kValidator;
  take_common(setup, validator.wallet, validator.ledger, validator.log);
  auto machine = doctor::read_machine_facts(false);
  take_service(setup, machine, flags.validator_service, "validator");
  setup.packages.assign(validator.packages.begin(), validator.packages.end());
  setup.state = validator.state;
  setup.threads = validator.threads;
  setup.validator.approved = validator.approved;
  setup.validator.dataset = validator.dataset;
  setup.validator.listen = validator.listen;
  setup.validator.page_port = validator.page_port;
  setup.validator.version_key = validator.version_key;
  setup.validator.store = store::store_address_from_environment([](const char* name) -> const char* { return std::getenv(name); }, setup.state / "validator.sqlite");
  examine(doctor::make_checks(std::move(setup), std::move(machine)), flags.json || validator.json, "validator");
}

void examine_from_outside(const DoctorFlags& flags) {
  const client::MinerAddress address = must(client::parse_address(flags.reach_address));
  doctor::ReachTarget target;
  target.ip = address.ip;
  target.port = address.port;
  if (!flags.reach_hotkey.empty()) target.hotkey = must(crypto::ss58_decode(flags.reach_hotkey));
  examine(doctor::make_reach_checks(std::move(target)), flags.json, "reach");
}

/// The service has the variables of its files and no other of ours.
void take_environment(const doctor::Variables& variables) {
  std::vector<std::string> ours;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    for (const char* prefix : {"BRAINLOCK_", "POSTGRES_", "BT_"}) {
      if (text.starts_with(prefix)) ours.push_back(text.substr(0, text.find('=')));
    }
  }
  for (const auto& name : ours) ::unsetenv(name.c_str());
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
}

}  // namespace

std::vector<std::string> with_service_options(std::vector<std::string> words) {
  if (words.size() < 3 || words[0] != "doctor" || (words[1] != "miner" && words[1] != "validator")) return words;
  ServiceFlags flags;
  for (std::size_t i = 2; i < words.size(); ++i) {
    for (auto& [option, file] : {std::pair<std::string, std::string&>("--env", flags.environment), std::pair<std::string, std::string&>("--unit", flags.unit)}) {
      if (words[i] == option && i + 1 < words.size()) file = words[i + 1];
      else if (words[i].starts_with(option + "=")) file = words[i].substr(option.size() + 1);
    }
  }
  if (!flags.given()) return words;
  const auto service = must(flags.read(words[1]));
  take_environment(service.variables);
  words.insert(words.begin() + 2, service.options.begin(), service.options.end());
  return words;
}

void add_doctor_commands(CLI::App& app) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App* command = app.add_subcommand("doctor", "Say what keeps this machine, a miner or a validator from working; changes nothing");
  command->require_subcommand(0, 1);
  command->add_flag("--json", flags->json, "Findings as JSON");
  flags->ledger.add_to(*command, false);
  command->callback([flags, command] {
    if (command->get_subcommands().empty()) examine_machine(*flags);
  });
  CLI::App* miner = command->add_subcommand("miner", "A miner's set-up: takes the options of `brainlock miner`");
  flags->miner.add_to(*miner);
  flags->miner_service.add_to(*miner, "BRAINLOCK_MINER");
  miner->add_flag("--json", flags->json, "Findings as JSON");
  miner->callback([flags] { examine_miner(*flags); });
  CLI::App* validator = command->add_subcommand("validator", "A validator's set-up: takes the options of `brainlock validator`");
  flags->validator.add_to(*validator);
  flags->validator_service.add_to(*validator, "BRAINLOCK_VALIDATOR");
  validator->get_option("--json")->description("Findings as JSON");
  validator->callback([flags] { examine_validator(*flags); });
  CLI::App* reach = command->add_subcommand("reach", "A miner as others see it: for another machine than its own");
  reach->add_option("address", flags->reach_address, "ADDRESS:PORT of the miner")->required();
  reach->add_option("--miner-hotkey", flags->reach_hotkey, "Hotkey whose miner it must be");
  reach->add_flag("--json", flags->json, "Findings as JSON");
  reach->callback([flags] { examine_from_outside(*flags); });
}

}  // namespace brainlock::app
