#include "trial.hpp"

#include <algorithm>
#include <set>

#include "json_reader.hpp"

namespace brainlock::update {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kVersionLimit = seconds(20);
constexpr milliseconds kWhileStarting = milliseconds(250), kWhileWatching = milliseconds(500);
/// A busy machine may miss a question; a process that is gone refuses it.
constexpr int kMostTimeouts = 2;
constexpr std::size_t kMaxAnswer = 1 << 20;

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, std::min<std::size_t>(text.find('\n'), 200));
  for (char& c : line) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return line;
}

struct DoctorSays {
  bool healthy = false;
  std::set<std::string> failing;
};
Result<DoctorSays> ask_doctor(const Outside& outside, const Settings& settings, const Service& service,
                              const std::filesystem::path& program) {
  BRAINLOCK_ASSIGN(const Finished finished,
                   outside.run({program.string(), "doctor", service.role, "--env", service.environment, "--json"},
                               seconds(settings.doctor_within_s), Output::kTake));
  DoctorSays out;
  auto said = read_json(finished.output, kMaxAnswer);
  if (!said.ok() || !said->contains("checks") || !(*said)["checks"].is_array()) {
    return Error{ErrorCode::kMalformed,
                 "doctor ended with status " + std::to_string(finished.status) + ": " + first_line(finished.output)};
  }
  for (const auto& check : (*said)["checks"]) {
    if (!check.is_object() || check.value("level", nlohmann::json()) != "fail") continue;
    std::string name, found;
    BRAINLOCK_TRY(take_text(check, "name", name, 60));
    out.failing.insert(name);
  }
  out.healthy = finished.status == 0 && out.failing.empty();
  return out;
}

bool is_watched(const Service& service) { return !service.restart.empty(); }

/// Why not all services answer with this version; empty if they do.
struct Look {
  std::string problem;
  bool only_late = true;  ///< nothing but missing answers
};
Look look_at(const Outside& outside, const Settings& settings, const Version& version) {
  Look out;
  for (const auto& service : settings.services) {
    if (!is_watched(service)) continue;
    const auto answer = service_version(outside, service);
    if (answer.ok() && answer.value() == version.text()) continue;
    if (answer.ok() || answer.error().code != ErrorCode::kTimeout) out.only_late = false;
    out.problem = service.role + ": " + (answer.ok() ? "answers as version " + answer.value() : answer.error().message);
  }
  return out;
}

Status await_answers(const Outside& outside, const Settings& settings, const Version& version) {
  const auto end = outside.steady() + seconds(settings.answer_within_s);
  while (true) {
    const Look look = look_at(outside, settings, version);
    if (look.problem.empty()) return {};
    if (outside.steady() >= end) {
      return {ErrorCode::kUnavailable, "no service of version " + version.text() + " within " +
                                           std::to_string(settings.answer_within_s) + " s: " + look.problem};
    }
    outside.wait(kWhileStarting);
  }
}

Status watch(const Outside& outside, const Settings& settings, const Version& version) {
  const auto end = outside.steady() + seconds(settings.stay_healthy_s);
  int late = 0;
  while (outside.steady() < end) {
    outside.wait(kWhileWatching);
    const Look look = look_at(outside, settings, version);
    late = look.problem.empty() ? 0 : late + 1;
    if (look.problem.empty() || (look.only_late && late <= kMostTimeouts)) continue;
    return {ErrorCode::kUnavailable, "version " + version.text() + " started, and did not stay: " + look.problem};
  }
  return {};
}

}  // namespace

Result<Version> program_version(const Outside& outside, const std::filesystem::path& program) {
  BRAINLOCK_ASSIGN(const Finished finished, outside.run({program.string(), "--version"}, kVersionLimit, Output::kTake));
  if (finished.status != 0) {
    return Error{ErrorCode::kUnavailable, program.string() + " --version ended with status " +
                                              std::to_string(finished.status) + ": " + first_line(finished.output)};
  }
  auto version = parse_version(finished.output.substr(0, finished.output.find('\n')));
  if (!version.ok()) return version.error().in(program.string() + " --version");
  return version;
}

std::optional<int> readable_schema(const Outside& outside, const std::filesystem::path& program) {
  const auto finished = outside.run({program.string(), "update", "about", "--json"}, kVersionLimit, Output::kTake);
  if (!finished.ok() || finished.value().status != 0) return std::nullopt;
  const auto said = read_json(finished.value().output, kMaxAnswer);
  int schema = 0;
  if (!said.ok() || !take_number(said.value(), "store_schema", schema, 0, 1'000'000).ok()) return std::nullopt;
  return schema;
}

Status try_program(const Outside& outside, const std::filesystem::path& program, const Release& release) {
  BRAINLOCK_ASSIGN(const Version version, program_version(outside, program));
  if (version != release.version)
    return {ErrorCode::kMismatch,
            "the program calls itself " + version.text() + ", its manifest " + release.version.text()};
  const auto schema = readable_schema(outside, program);
  if (!schema) return {ErrorCode::kMismatch, "the program does not say which stores it reads (update about)"};
  if (*schema != release.store.newest) {
    return {ErrorCode::kMismatch, "the program makes schema " + std::to_string(*schema) +
                                      " of the store, its manifest says " + std::to_string(release.store.newest)};
  }
  return {};
}

Status try_doctor(const Outside& outside, const Settings& settings, const std::filesystem::path& present,
                  const std::filesystem::path& fresh) {
  for (const auto& service : settings.services) {
    auto with_fresh = ask_doctor(outside, settings, service, fresh);
    if (!with_fresh.ok()) return with_fresh.error().in(service.role + ", the new program's doctor");
    if (with_fresh->healthy) continue;
    // What is wrong here anyway is no fault of the release.
    auto with_present = ask_doctor(outside, settings, service, present);
    if (!with_present.ok()) return with_present.error().in(service.role + ", the present program's doctor");
    for (const auto& name : with_fresh->failing) {
      if (with_present->failing.contains(name)) continue;
      return {ErrorCode::kUnavailable,
              service.role + ": the check '" + name +
                  "' of doctor fails with the new program, and not with the present one: look at `" + fresh.string() +
                  " doctor " + service.role + " --env " + service.environment + "`"};
    }
  }
  return {};
}

Result<std::string> service_version(const Outside& outside, const Service& service) {
  BRAINLOCK_ASSIGN(const std::string answer, outside.ask(service.health));
  auto said = read_json(answer, kMaxAnswer);
  if (!said.ok()) return said.error().in(service.health);
  std::string version;
  if (const Status taken = take_text(*said, "version", version, 40); !taken.ok())
    return taken.error().in(service.health);
  return version;
}

Status restart_and_watch(const Outside& outside, const Settings& settings, const Version& version) {
  for (const auto& service : settings.services) {
    if (!is_watched(service)) continue;
    outside.say("restarting the " + service.role);
    const auto finished = outside.run(service.restart, seconds(settings.restart_within_s), Output::kLetPass);
    if (!finished.ok()) return finished.error().in("restarting the " + service.role);
    if (finished.value().status != 0) {
      return {ErrorCode::kUnavailable, "restarting the " + service.role + ": " + service.restart.front() +
                                           " ended with status " + std::to_string(finished.value().status)};
    }
  }
  outside.say("waiting for version " + version.text() + " to answer");
  BRAINLOCK_TRY(await_answers(outside, settings, version));
  outside.say("it answers; watching it for " + std::to_string(settings.stay_healthy_s) + " s");
  return watch(outside, settings, version);
}

}  // namespace brainlock::update
