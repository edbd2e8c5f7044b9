// The doctor's vocabulary: a check finds something out, and says what, how bad it is and what to do next.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace brainlock::doctor {

enum class Level {
  kOk,
  kSkipped,   ///< does not apply, or could not be looked at because something before it failed
  kWarning,   ///< works, and wants a look
  kFailure,   ///< will not work
};
/// "ok", "skip", "warn", "fail".
std::string_view level_name(Level level);

/// What a check found. Both texts are one line each and hold no secret; `next` is the next step, for warnings and failures.
struct Finding {
  Level level = Level::kOk;
  std::string found;
  std::string next;
  /// Puts what was learnt where checks that come after it look; called only where the check kept to its limit, so that nobody reads what a late one still writes.
  std::function<void()> learn = {};
};
Finding ok(std::string found);
Finding skipped(std::string why);
Finding warning(std::string found, std::string next);
Finding failure(std::string found, std::string next);

/// One question. `run` changes nothing outside of the process, and keeps what it needs alive by itself: it may go on in a thread of its own
/// after its limit.
struct Check {
  std::string name;                        ///< snake_case, one of its kind
  std::function<Finding()> run;
  std::vector<std::string> needs = {};     ///< checks that come before; where one of them failed or was skipped, this one is skipped
  std::vector<std::string> after = {};     ///< checks that come before, whatever they find
  std::chrono::milliseconds limit{10'000}; ///< from its start; the time of those before does not count
  /// What it means that the limit passed.
  Finding late = {};
};

struct Report {
  std::string name;
  Finding finding;
  double seconds = 0;
};

/// Runs the checks side by side, as far as their order allows, and returns when each has ended or its limit has passed; reports come in the order of the checks,
/// each as soon as those before it are known. Names that nobody has are no check that comes before.
std::vector<Report> run_checks(std::vector<Check> checks, const std::function<void(const Report&)>& on_report = {});

/// Whether one of them failed.
bool any_failure(const std::vector<Report>& reports);

/// Checks that passed their limit and still run: then the process must end without waiting for them (std::_Exit()).
bool still_running();

}  // namespace brainlock::doctor
