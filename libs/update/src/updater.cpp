#include "brainlock/update/updater.hpp"

#include <algorithm>

#include "offer.hpp"
#include "trial.hpp"

namespace brainlock::update {
namespace {

Report report_of(const Judgement& judgement, const Release& release, const Version& installed) {
  Report out;
  out.code = verdict_name(judgement.verdict);
  out.good = !is_refusal(judgement.verdict);
  out.found = judgement.found;
  out.next = judgement.next;
  out.installed = installed.text();
  out.offered = release.version.text();
  out.notes = release.notes;
  out.expected_s = judgement.expected_s;
  return out;
}

std::string version_text(const std::string& release_name) { return release_name.substr(0, release_name.find('-')); }

}  // namespace

Result<Version> version_of_release(const std::string& name) { return parse_version(version_text(name)); }

Result<Judgement> Updater::judge_offer(const Release& release, const ApplyOptions& options, const Version& installed,
                                       const State& state) const {
  Situation situation;
  situation.installed = installed;
  situation.architecture = outside_.architecture;
  situation.glibc = outside_.glibc;
  situation.now_s = outside_.now_s();
  situation.now = options.now;
  situation.again = options.again;
  situation.one_way = options.one_way;
  situation.named = !options.release.empty();
  for (const auto& service : settings_.services) {
    if (service.role != "validator") continue;
    auto present = outside_.store_schema(service);
    if (!present.ok()) return present.error().in("the validator's store, which a release must be able to take over");
    StoreFacts facts;
    facts.present = *present;
    // A program that is too old to say reads what there is, as far as anybody knows.
    facts.readable_now = readable_schema(outside_, installation_.program()).value_or(*present);
    situation.store = facts;
  }
  return judge(release, situation, state);
}

Result<Updater::Offer> Updater::look(Source& source, const ApplyOptions& options, const Version& installed, State& state,
                                     std::stop_token stop) {
  Offer out;
  BRAINLOCK_ASSIGN(out.release, fetch_offer(source, settings_, options.release, stop));
  BRAINLOCK_ASSIGN(out.judgement, judge_offer(out.release, options, installed, state));
  const std::int64_t now_s = outside_.now_s();
  if (is_current(out.release, now_s, state)) remember(state, out.release);
  state.last_check_s = now_s;
  state.last_check = std::string(verdict_name(out.judgement.verdict)) + ": " + out.judgement.found;
  BRAINLOCK_TRY(save(state));
  return out;
}

Result<Report> Updater::check(const ApplyOptions& options, std::stop_token stop) {
  BRAINLOCK_ASSIGN(const auto lock, UpdateLock::take(installation_.lock_file()));
  BRAINLOCK_ASSIGN(State state, load_state(installation_.state_file()));
  const std::string name = installation_.current();
  const bool loose = name.empty() || installation_.has_loose_programs();
  BRAINLOCK_ASSIGN(const Version installed,
                   loose ? program_version(outside_, installation_.program()) : version_of_release(name));
  BRAINLOCK_ASSIGN(const auto source, outside_.open_source(settings_.source));
  BRAINLOCK_ASSIGN(const Offer offer, look(*source, options, installed, state, stop));
  const auto& [release, judgement] = offer;
  Report report = report_of(judgement, release, installed);
  if (state.work) report.next = "an update was broken off: `brainlock update apply` ends it first";
  return report;
}

Result<std::string> Updater::settle(State& state) {
  std::string name = installation_.current();
  if (name.empty() || installation_.has_loose_programs()) {
    BRAINLOCK_ASSIGN(const Version version, program_version(outside_, installation_.program()));
    outside_.say("taking over the program that is installed, " + version.text());
    BRAINLOCK_ASSIGN(name, installation_.adopt(version));
  }
  if (state.current == name) return name;
  if (state.previous == name) state.previous.clear();
  state.current = name;
  BRAINLOCK_TRY(save(state));
  return name;
}

Result<std::string> Updater::take_release(Source& source, const Release& release, std::stop_token stop) {
  const auto& files = release.files.at(outside_.architecture);
  const std::string name = release.version.text();
  // Fetched before, and not installed then.
  if (name != installation_.current() && holds_files(installation_.release_folder(name), files)) return name;
  BRAINLOCK_ASSIGN(const auto folder, installation_.begin_release(release.version));
  BRAINLOCK_TRY(fetch_files(source, files, folder, settings_.download_within_s, outside_.say, stop));
  return installation_.finish_release(release.version);
}

Status Updater::take_over() {
  BRAINLOCK_ASSIGN(const auto lock, UpdateLock::take(installation_.lock_file()));
  BRAINLOCK_ASSIGN(State state, load_state(installation_.state_file()));
  if (state.work) return {};  // the next apply() ends that first
  BRAINLOCK_ASSIGN(const std::string present, settle(state));
  return installation_.confirm(present);
}

Result<Report> Updater::apply(const ApplyOptions& options, std::stop_token stop) {
  BRAINLOCK_ASSIGN(const auto lock, UpdateLock::take(installation_.lock_file()));
  BRAINLOCK_ASSIGN(State state, load_state(installation_.state_file()));
  BRAINLOCK_ASSIGN(const auto recovered, recover(state));
  if (recovered) return *recovered;
  BRAINLOCK_ASSIGN(const std::string present, settle(state));
  BRAINLOCK_TRY(installation_.confirm(present));
  BRAINLOCK_ASSIGN(const Version installed, version_of_release(present));
  BRAINLOCK_ASSIGN(const auto source, outside_.open_source(settings_.source));
  outside_.say("asking " + settings_.source);
  BRAINLOCK_ASSIGN(const Offer offer, look(*source, options, installed, state, stop));
  const auto& [release, judgement] = offer;
  Report report = report_of(judgement, release, installed);
  if (judgement.verdict != Verdict::kReady) return report;

  BRAINLOCK_ASSIGN(const std::string fresh, take_release(*source, release, stop));
  outside_.say("trying " + release.version.text() + " without touching what runs");
  const auto not_this = [&](const char* code, const Status& why, const char* next) {
    report.code = code;
    report.good = false;
    report.found = release.version.text() + " is not installed: " + why.error().message;
    report.next = next;
    return report;
  };
  if (const Status fit = try_program(outside_, installation_.release_program(fresh), release); !fit.ok()) {
    note_failure(state, {release.version, outside_.now_s(), fit.error().message});
    BRAINLOCK_TRY(save(state));
    return not_this("not_fit", fit, "wait for a newer one; this one is not tried again by itself");
  }
  if (const Status well =
          try_doctor(outside_, settings_, installation_.release_program(present), installation_.release_program(fresh));
      !well.ok()) {
    return not_this("doctor", well, "remedy what doctor says, then `brainlock update apply`");
  }
  if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped; nothing was switched"};
  BRAINLOCK_ASSIGN(Report done, switch_over(state, fresh));
  done.offered = report.offered;
  done.notes = report.notes;
  return done;
}

Result<Report> Updater::switch_over(State& state, const std::string& to) {
  state.work = Work{Phase::kSwitching, state.current, to, ""};
  outside_.say("switching from " + version_text(state.current) + " to " + version_text(to));
  BRAINLOCK_TRY(save(state));
  BRAINLOCK_TRY(installation_.switch_to(to));
  outside_.say("switched");
  state.work->phase = Phase::kChecking;
  BRAINLOCK_TRY(save(state));
  return try_and_commit(state, false);
}

Result<Report> Updater::try_and_commit(State& state, bool broken_off) {
  const Work work = *state.work;
  BRAINLOCK_ASSIGN(const Version version, version_of_release(work.to));
  if (const Status well = restart_and_watch(outside_, settings_, version); !well.ok()) {
    state.work->phase = Phase::kUndoing;
    state.work->why = well.error().message;
    return go_back(state, broken_off ? "undone" : "rolled_back");
  }
  outside_.say("it works");
  state.previous = work.from;
  state.current = work.to;
  state.work.reset();
  std::erase_if(state.failed, [&](const auto& failure) { return failure.version == version; });
  BRAINLOCK_TRY(save(state));
  outside_.say("confirming it");
  BRAINLOCK_TRY(installation_.confirm(work.to));
  installation_.keep_only({work.to, work.from});
  Report report;
  report.code = broken_off ? "finished" : "updated";
  report.installed = version.text();
  report.found = version.text() + (broken_off ? " runs: an update that was broken off is finished"
                                              : " runs, in place of " + version_text(work.from));
  const bool by_hand = std::any_of(settings_.services.begin(), settings_.services.end(),
                                   [](const auto& service) { return service.restart.empty(); });
  if (by_hand || settings_.services.empty()) report.next = "restart what has no command of its own for that by hand";
  return report;
}

std::string Updater::store_forbids(const std::filesystem::path& program) const {
  for (const auto& service : settings_.services) {
    if (service.role != "validator") continue;
    const auto present = outside_.store_schema(service);
    const auto readable = readable_schema(outside_, program);
    // What cannot be looked at forbids nothing: an old program that refuses a store says so at its start, and harms
    // nothing.
    if (!present.ok() || !readable || present.value() <= *readable) continue;
    return "the validator's store has schema " + std::to_string(present.value()) +
           " by now, and that program reads up to " + std::to_string(*readable);
  }
  return "";
}

Result<Report> Updater::go_back(State& state, const std::string& code) {
  const Work work = *state.work;
  BRAINLOCK_ASSIGN(const Version before, version_of_release(work.from));
  BRAINLOCK_ASSIGN(const Version failed, version_of_release(work.to));
  note_failure(state, {failed, outside_.now_s(), work.why});
  outside_.say("going back to " + before.text() + ": " + work.why);
  BRAINLOCK_TRY(save(state));
  Report report;
  report.code = code;
  report.good = false;
  report.installed = before.text();
  report.offered = failed.text();
  if (const std::string why = store_forbids(installation_.release_program(work.from)); !why.empty()) {
    state.current = work.to;
    state.previous = work.from;
    state.work.reset();
    BRAINLOCK_TRY(save(state));
    report.runs = false;
    report.code = "cannot_go_back";
    report.installed = failed.text();
    report.found = failed.text() + " does not work (" + work.why + "), and there is no way back: " + why;
    report.next = "restore the backup of the store (docs/operation.md), then `brainlock update rollback`";
    return report;
  }
  BRAINLOCK_TRY(installation_.switch_to(work.from));
  outside_.say("switched back");
  const Status well = restart_and_watch(outside_, settings_, before);
  report.runs = well.ok();
  state.current = work.from;
  if (state.previous == work.from) state.previous.clear();
  state.work.reset();
  BRAINLOCK_TRY(save(state));
  outside_.say("confirming it");
  BRAINLOCK_TRY(installation_.confirm(work.from));
  report.found =
      failed.text() + " was undone, " + before.text() + (well.ok() ? " runs: " : " is installed again: ") + work.why;
  if (well.ok()) {
    report.next = "wait for a newer release; this one is not tried again by itself";
  } else {
    report.found += "; and it does not run either: " + well.error().message;
    report.next = "look at the service's log and at `brainlock doctor`";
  }
  return report;
}

Result<std::optional<Report>> Updater::recover(State& state) {
  if (!state.work) return std::optional<Report>();
  const Work work = *state.work;
  const std::string current = installation_.current();
  // A program that was put there by hand since settles it.
  const bool by_hand = installation_.has_loose_programs();
  if (work.phase == Phase::kUndoing && !by_hand) {
    BRAINLOCK_ASSIGN(Report report, go_back(state, "undone"));
    return std::optional<Report>(std::move(report));
  }
  if (current == work.to && !by_hand) {
    outside_.say("an update to " + version_text(work.to) + " was broken off: going on with it");
    if (work.phase == Phase::kSwitching) {
      state.work->phase = Phase::kChecking;
      BRAINLOCK_TRY(save(state));
    }
    BRAINLOCK_ASSIGN(Report report, try_and_commit(state, true));
    return std::optional<Report>(std::move(report));
  }
  // Otherwise nothing was switched.
  state.work.reset();
  BRAINLOCK_TRY(save(state));
  return std::optional<Report>();
}

Result<Report> Updater::rollback() {
  BRAINLOCK_ASSIGN(const auto lock, UpdateLock::take(installation_.lock_file()));
  BRAINLOCK_ASSIGN(State state, load_state(installation_.state_file()));
  BRAINLOCK_ASSIGN(const auto recovered, recover(state));
  if (recovered) return *recovered;
  BRAINLOCK_ASSIGN(const std::string present, settle(state));
  if (state.previous.empty())
    return Error{ErrorCode::kNotFound, "there is no release before " + version_text(present) +
                                           " here: nothing was updated yet, or it was rolled back"};
  const auto program = installation_.release_program(state.previous);
  BRAINLOCK_TRY(program_version(outside_, program).ok()
                    ? Status()
                    : Status(ErrorCode::kNotFound, program.string() + " does not run any more: nothing was changed"));
  if (const std::string why = store_forbids(program); !why.empty()) {
    return Error{ErrorCode::kUnsupported,
                 why + ": restore the backup of the store first (docs/operation.md); nothing was changed"};
  }
  state.work = Work{Phase::kUndoing, state.previous, present, "rolled back by hand"};
  BRAINLOCK_ASSIGN(Report report, go_back(state, "rolled_back"));
  // Asked for, and done.
  report.good = report.code == "rolled_back" && report.runs;
  return report;
}

Result<Overview> Updater::overview() const {
  Overview out;
  BRAINLOCK_ASSIGN(out.state, load_state(installation_.state_file()));
  out.installed = installation_.current();
  if (out.installed.empty() || installation_.has_loose_programs()) {
    BRAINLOCK_ASSIGN(const Version version, program_version(outside_, installation_.program()));
    out.installed = version.text();
  }
  out.confirmed = installation_.confirmed();
  out.previous = out.state.previous;
  for (const auto& service : settings_.services) {
    const auto version = service_version(outside_, service);
    out.services.push_back(
        {service.role, version.ok() ? version.value() : "", version.ok() ? "" : version.error().message});
  }
  return out;
}

}  // namespace brainlock::update
