// `brainlock update`: new releases for an operator who has asked for them. The publisher's half is
// cmd_update_publish.cpp.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "brainlock/doctor/service_files.hpp"
#include "brainlock/net/address_networks.hpp"
#include "brainlock/store/inspect.hpp"
#include "brainlock/update/updater.hpp"
#include "commands.hpp"
#include "finite_numbers.hpp"
#include "interrupt.hpp"
#include "miner_options.hpp"
#include "ui.hpp"
#include "update_store.hpp"
#include "validator_options.hpp"
#include "version.hpp"

namespace brainlock::app {
namespace {

using nlohmann::json;

struct UpdateFlags {
  std::string home;
  bool as_json = false;
  update::ApplyOptions apply;

  void add_to(CLI::App& command) {
    command.add_option("--home", home, "Folder that setup.sh made; BRAINLOCK_HOME or ~/brainlock otherwise");
    command.add_flag("--json", as_json, "Print JSON");
  }
  [[nodiscard]] update::Installation installation() const {
    std::string place = home;
    if (const char* set = std::getenv("BRAINLOCK_HOME"); place.empty() && set != nullptr) place = set;
    if (const char* own = std::getenv("HOME"); place.empty() && own != nullptr) place = std::string(own) + "/brainlock";
    if (place.empty()) fail({ErrorCode::kInvalidArgument, "neither --home nor HOME says which installation is meant"});
    return update::Installation(std::filesystem::absolute(place).lexically_normal());
  }
};

std::string dumped(const json& value) { return value.dump(2, ' ', false, json::error_handler_t::replace); }

update::Updater updater_of(const UpdateFlags& flags) {
  auto installation = flags.installation();
  auto settings = must(update::load_settings(installation.settings_file()));
  auto outside = update::real_outside();
  outside.store_schema = store_schema_of;
  // Steps go where results do not: JSON on standard output stays JSON.
  outside.say = [](const std::string& step) { std::fprintf(stderr, "%s\n", step.c_str()); };
  return {std::move(installation), std::move(settings), std::move(outside)};
}

/// Prints what came of it, and ends with 1 where not all is as it should be.
void show(const Result<update::Report>& result, bool as_json) {
  if (!result.ok()) {
    if (as_json) {
      const json out = {
          {"good", false}, {"code", error_code_name(result.error().code)}, {"found", result.error().message}};
      std::printf("%s\n", dumped(out).c_str());
    }
    fail(result.error());
  }
  const update::Report& report = result.value();
  if (as_json) {
    json out = {{"good", report.good}, {"code", report.code}, {"found", report.found}, {"installed", report.installed}};
    if (!report.next.empty()) out["next"] = report.next;
    if (!report.offered.empty()) out["offered"] = report.offered;
    if (!report.notes.empty()) out["notes"] = report.notes;
    if (report.expected_s) out["expected_s"] = *report.expected_s;
    std::printf("%s\n", dumped(out).c_str());
  } else {
    std::printf("%s: %s%s%s\n", report.code.c_str(), report.found.c_str(), report.next.empty() ? "" : " -> ",
                report.next.c_str());
    if ((report.code == "ready" || report.code == "waits") && !report.notes.empty())
      std::printf("\n%s\n", report.notes.c_str());
  }
  std::fflush(stdout);
  if (!report.good) throw ExitWith{kExitFailed};
}

void show_status(const UpdateFlags& flags) {
  const auto seen = must(updater_of(flags).overview());
  const std::string version = seen.installed.substr(0, seen.installed.find('-'));
  bool good = !seen.state.work;
  json services = json::array();
  for (const auto& service : seen.services) {
    good = good && service.running == version;
    json entry = {{"role", service.role}, {"running", service.running}};
    if (!service.problem.empty()) entry["problem"] = service.problem;
    services.push_back(std::move(entry));
  }
  json failed = json::array();
  for (const auto& failure : seen.state.failed)
    failed.push_back({{"version", failure.version.text()}, {"at_s", failure.at_s}, {"why", failure.why}});
  if (flags.as_json) {
    json out = {{"good", good},
                {"installed", version},
                {"release", seen.installed},
                {"confirmed", seen.confirmed},
                {"previous", seen.previous},
                {"services", services},
                {"failed", failed},
                {"last_check_s", seen.state.last_check_s},
                {"last_check", seen.state.last_check}};
    if (seen.state.work)
      out["broken_off"] = {{"phase", update::phase_name(seen.state.work->phase)},
                           {"from", seen.state.work->from},
                           {"to", seen.state.work->to}};
    std::printf("%s\n", dumped(out).c_str());
  } else {
    std::printf("installed   %s\nbefore it   %s\n", seen.installed.c_str(),
                seen.previous.empty() ? "none" : seen.previous.c_str());
    for (const auto& service : seen.services) {
      const std::string running = service.running.empty() ? "does not answer: " + service.problem : service.running;
      std::printf(
          "%-10s  %s%s\n", service.role.c_str(), running.c_str(),
          !service.running.empty() && service.running != version ? ": not what is installed -> restart it" : "");
    }
    for (const auto& failure : seen.state.failed)
      std::printf("failed      %s on %s: %s\n", failure.version.text().c_str(), update::time_text(failure.at_s).c_str(),
                  failure.why.c_str());
    if (seen.state.last_check_s > 0)
      std::printf("last check  %s, %s\n", update::time_text(seen.state.last_check_s).c_str(),
                  seen.state.last_check.c_str());
    if (seen.state.work)
      std::printf("broken off  an update from %s to %s -> brainlock update apply\n", seen.state.work->from.c_str(),
                  seen.state.work->to.c_str());
  }
  std::fflush(stdout);
  if (!good) throw ExitWith{kExitFailed};
}

// --- Setting it up
// ---------------------------------------------------------------------------------------------------------------------------------

struct SetupFlags {
  UpdateFlags common;
  std::string source, pm2, unit, system_unit;
  std::vector<std::string> keys, roles, command;
  std::size_t threshold = 0;
  bool overwrite = false;
};

/// Where a service of these options answers, on this machine.
template <typename Flags>
Flags parsed(const std::vector<std::string>& words) {
  Flags flags;
  CLI::App app;
  app.allow_extras();
  flags.add_to(app);
  require_finite_numbers(app);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    fail({ErrorCode::kInvalidArgument, std::string("the service's options: ") + error.what()});
  }
  return flags;
}
std::string local_address(const std::string& listen) {
  return listen.empty() || listen == "0.0.0.0" || listen == "::" ? "127.0.0.1" : listen;
}

std::string health_of(const std::string& role, const std::vector<std::string>& words) {
  net::Url url;
  if (role == "miner") {
    const auto flags = parsed<MinerFlags>(words);
    url = {false, local_address(flags.listen), flags.port, "/v1/status"};
    if (must(net::AddressNetworks::parse(flags.proxy_from)).contains(url.host)) {
      fail({ErrorCode::kInvalidArgument,
            "--proxy-from takes " + url.host +
                " for a proxy: nobody on this machine could see whether a new release works; have the proxy connect "
                "from an address of its own (HAProxy: `source 127.0.0.2`), and name that one"});
    }
  } else {
    const auto flags = parsed<ValidatorFlags>(words);
    if (flags.page_port <= 0)
      fail({ErrorCode::kInvalidArgument,
            "the validator serves no page (--page-port): nobody could see whether a new release works"});
    url = {false, local_address(flags.listen), static_cast<std::uint16_t>(flags.page_port), "/api/status"};
  }
  return net::url_text(url);
}

std::vector<std::string> restart_of(const SetupFlags& flags, const std::string& role) {
  if (!flags.command.empty()) {
    std::vector<std::string> words = flags.command;
    for (auto& word : words) {
      if (const auto at = word.find("{role}"); at != std::string::npos) word.replace(at, 6, role);
    }
    return words;
  }
  const auto named = [&](const std::string& name) { return name == "default" ? "brainlock-" + role : name; };
  if (!flags.pm2.empty()) return {"pm2", "restart", named(flags.pm2)};
  if (!flags.unit.empty()) return {"systemctl", "--user", "restart", named(flags.unit)};
  if (!flags.system_unit.empty()) return {"systemctl", "restart", named(flags.system_unit)};
  return {};
}

void set_up(const SetupFlags& flags) {
  const auto installation = flags.common.installation();
  update::Settings settings;
  settings.source = flags.source;
  for (const auto& text : flags.keys) settings.keys.push_back(must(crypto::hex_decode_array<32>(text)));
  settings.threshold = flags.threshold;
  for (const auto& role : flags.roles) {
    const auto file = installation.home() / (role + ".env");
    const auto service =
        must(doctor::read_environment_file(file, role == "miner" ? "BRAINLOCK_MINER" : "BRAINLOCK_VALIDATOR"));
    settings.services.push_back({role, file.string(), restart_of(flags, role), health_of(role, service.options)});
  }
  std::error_code error;
  std::filesystem::create_directories(installation.settings_file().parent_path(), error);
  must(update::store_settings(installation.settings_file(), settings, flags.overwrite));
  must(updater_of(flags.common).take_over());
  std::printf(
      "wrote %s\nNothing is asked for by itself: `brainlock update check` and `apply` do, and "
      "deploy/brainlock-update.timer where you enable it.\n",
      installation.settings_file().c_str());
}

void add_setup(CLI::App& group) {
  auto flags = std::make_shared<SetupFlags>();
  auto* command = group.add_subcommand(
      "setup", "Say where releases come from, whose signatures count, and how services are restarted");
  flags->common.add_to(*command);
  command->add_option("--source", flags->source, "Address (https://, http://) or folder with release.json")->required();
  command->add_option("--key", flags->keys, "Public key of a publisher, 64 hex digits; may be given several times")
      ->required();
  command->add_option("--threshold", flags->threshold, "So many of the keys must have signed")->required();
  command
      ->add_option("--role", flags->roles,
                   "miner or validator: one that setup.sh has set up in this home; may be given twice")
      ->required()
      ->check(CLI::IsMember({"miner", "validator"}));
  auto* how = command->add_option_group(
      "restart", "how a service is restarted; without one you do it by hand, and nothing is undone by itself");
  how->add_option("--pm2", flags->pm2, "Name in PM2; \"default\": brainlock-ROLE");
  how->add_option("--user-unit", flags->unit, "Unit of your own systemd; \"default\": brainlock-ROLE");
  how->add_option("--unit", flags->system_unit, "Unit of the system's systemd; \"default\": brainlock-ROLE");
  how->add_option("--restart-word", flags->command,
                  "A command: its words, one by one, each behind a --restart-word=; {role} is the role");
  how->require_option(0, 1);
  command->add_flag("--overwrite", flags->overwrite, "Replace the settings that there are");
  command->callback([flags] { set_up(*flags); });
}

void add_about(CLI::App& group) {
  auto as_json = std::make_shared<bool>(false);
  auto* command =
      group.add_subcommand("about", "What this program is: its version, the stores that it reads, what it runs on");
  command->add_flag("--json", *as_json, "Print JSON");
  command->callback([as_json] {
    if (*as_json) {
      const json out = {{"version", program_version()},
                        {"store_schema", store::newest_store_schema()},
                        {"architecture", update::running_architecture()},
                        {"glibc", update::running_glibc().text()}};
      std::printf("%s\n", dumped(out).c_str());
      return;
    }
    std::printf("version %s, store schema %d, %s, glibc %s\n", program_version(), store::newest_store_schema(),
                update::running_architecture().c_str(), update::running_glibc().text().c_str());
  });
}

}  // namespace

void add_update_commands(CLI::App& app) {
  auto* group =
      app.add_subcommand("update",
                         "Signed releases for miners and validators; off until `setup` says where they come from")
          ->require_subcommand(1);
  add_setup(*group);
  {
    auto flags = std::make_shared<UpdateFlags>();
    auto* command = group->add_subcommand(
        "check",
        "Say what release there is, and whether it is for this installation; asks the source, changes nothing");
    flags->add_to(*command);
    command->add_option("--release", flags->apply.release, "This version, and not the newest");
    command->callback([flags] {
      const Interrupt interrupt;
      show(updater_of(*flags).check(flags->apply, interrupt.token()), flags->as_json);
    });
  }
  {
    auto flags = std::make_shared<UpdateFlags>();
    auto* command = group->add_subcommand(
        "apply", "Install it: fetch, try, switch, restart, watch; and go back where it does not work");
    flags->add_to(*command);
    command->add_option("--release", flags->apply.release,
                        "This version, and not the newest: for one that must come in between");
    command->add_flag("--now", flags->apply.now, "Do not wait for the roll-out");
    command->add_flag("--again", flags->apply.again, "Although it was tried here and undone");
    command->add_flag("--one-way", flags->apply.one_way,
                      "Although it changes the validator's store so that nothing older reads it; back it up first");
    command->callback([flags] {
      const Interrupt interrupt;
      show(updater_of(*flags).apply(flags->apply, interrupt.token()), flags->as_json);
    });
  }
  {
    auto flags = std::make_shared<UpdateFlags>();
    auto* command =
        group->add_subcommand("rollback", "Back to the release before, and stay there until there is a newer one");
    flags->add_to(*command);
    command->callback([flags] {
      const Interrupt interrupt;
      show(updater_of(*flags).rollback(), flags->as_json);
    });
  }
  {
    auto flags = std::make_shared<UpdateFlags>();
    auto* command = group->add_subcommand(
        "status",
        "What is installed, what the running services say that they are, what failed; asks this machine alone");
    flags->add_to(*command);
    command->callback([flags] { show_status(*flags); });
  }
  add_about(*group);
  add_publisher_commands(*group);
}

}  // namespace brainlock::app
