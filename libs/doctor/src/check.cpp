#include "brainlock/doctor/check.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace brainlock::doctor {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<int> running{0};

/// Texts come from files, nodes and servers too: one line each, whatever they hold.
std::string one_line(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return text;
}

struct Progress {
  std::mutex mutex;
  std::condition_variable changed;
  struct Step {
    bool started = false, late = false;
    std::optional<Finding> finding;
    Clock::time_point begun{}, ended{};
  };
  std::vector<Step> steps;
};

bool passed(const Finding& finding) { return finding.level == Level::kOk || finding.level == Level::kWarning; }

/// Whether check `index` may start; `why_not` is filled where it never will.
bool ready(const std::vector<Check>& checks, const Progress& progress, std::size_t index, std::string& why_not) {
  bool waits = false;
  const auto look = [&](const std::string& name, bool must_pass) {
    for (std::size_t i = 0; i < checks.size(); ++i) {
      if (i == index || checks[i].name != name) continue;
      const auto& finding = progress.steps[i].finding;
      if (!finding) waits = true;
      else if (must_pass && !passed(*finding)) why_not = "not looked at: '" + name + "' comes first";
    }
  };
  for (const auto& name : checks[index].needs) look(name, true);
  for (const auto& name : checks[index].after) look(name, false);
  return !waits && why_not.empty();
}

std::thread start(const Check& check, const std::shared_ptr<Progress>& progress, std::size_t index) {
  ++running;
  return std::thread([run = check.run, progress, index] {
    Finding finding;
    try {
      finding = run();
    } catch (const std::exception& error) {  // of a library below, out of memory for example
      finding = failure(std::string("the check itself failed: ") + error.what(), "see whether memory is short, and run it again");
    }
    {
      const std::lock_guard lock(progress->mutex);
      auto& step = progress->steps[index];
      if (!step.finding) {
        if (finding.learn) finding.learn();
        finding.learn = {};
        step.finding = std::move(finding);
        step.ended = Clock::now();
      }
    }
    progress->changed.notify_all();
    --running;
  });
}

}  // namespace

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kSkipped: return "skip";
    case Level::kWarning: return "warn";
    case Level::kFailure: break;
  }
  return "fail";
}

Finding ok(std::string found) { return {Level::kOk, std::move(found), {}, {}}; }
Finding skipped(std::string why) { return {Level::kSkipped, std::move(why), {}, {}}; }
Finding warning(std::string found, std::string next) { return {Level::kWarning, std::move(found), std::move(next), {}}; }
Finding failure(std::string found, std::string next) { return {Level::kFailure, std::move(found), std::move(next), {}}; }

std::vector<Report> run_checks(std::vector<Check> checks, const std::function<void(const Report&)>& on_report) {
  const auto progress = std::make_shared<Progress>();
  progress->steps.resize(checks.size());
  std::vector<std::thread> threads(checks.size());
  std::vector<Report> reports;
  std::unique_lock lock(progress->mutex);
  while (reports.size() < checks.size()) {
    const auto now = Clock::now();
    auto wake = now + std::chrono::hours(1);
    bool settled = false;   // a finding came to be here: others may be ready for it
    for (std::size_t i = 0; i < checks.size(); ++i) {
      auto& step = progress->steps[i];
      if (step.finding) continue;
      if (step.started) {
        if (now < step.begun + checks[i].limit) {
          wake = std::min(wake, step.begun + checks[i].limit);
          continue;
        }
        const std::string seconds = std::to_string((checks[i].limit.count() + 999) / 1000) + " s";
        step.finding = checks[i].late.found.empty() ? failure("no result", "") : checks[i].late;
        step.finding->found += " (not done after " + seconds + ")";
        step.ended = now;
        step.late = true;
        settled = true;
        continue;
      }
      std::string why_not;
      if (ready(checks, *progress, i, why_not)) {
        step.started = true;
        step.begun = now;
        wake = std::min(wake, now + checks[i].limit);
        threads[i] = start(checks[i], progress, i);
      } else if (!why_not.empty()) {
        step.finding = skipped(why_not);
        step.begun = step.ended = now;
        settled = true;
      }
    }
    while (reports.size() < checks.size() && progress->steps[reports.size()].finding) {
      const auto& step = progress->steps[reports.size()];
      Report report{checks[reports.size()].name, *step.finding, std::chrono::duration<double>(step.ended - step.begun).count()};
      report.finding.found = one_line(std::move(report.finding.found));
      report.finding.next = one_line(std::move(report.finding.next));
      if (on_report) on_report(report);
      reports.push_back(std::move(report));
    }
    if (!settled && reports.size() < checks.size()) progress->changed.wait_until(lock, wake);
  }
  lock.unlock();
  for (std::size_t i = 0; i < threads.size(); ++i) {
    if (!threads[i].joinable()) continue;
    if (progress->steps[i].late) threads[i].detach();
    else threads[i].join();
  }
  return reports;
}

bool any_failure(const std::vector<Report>& reports) {
  return std::any_of(reports.begin(), reports.end(), [](const Report& report) { return report.finding.level == Level::kFailure; });
}

bool still_running() { return running > 0; }

}  // namespace brainlock::doctor
