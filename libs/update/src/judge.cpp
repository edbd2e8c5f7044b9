#include "brainlock/update/judge.hpp"

#include <algorithm>
#include <ctime>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::update {
namespace {

/// Clocks of publisher and operator may differ by so much.
constexpr std::int64_t kClockDoubtS = 24 * 3600;

struct Wait {
  bool in = false;
  std::optional<std::int64_t> expected_s;
};
Wait wait_for(const Release& release, const Situation& situation, const State& state) {
  const unsigned place = rollout_place(state.operator_id, release.version);
  const auto mine = std::find_if(release.rollout.begin(), release.rollout.end(),
                                 [&](const RolloutStep& step) { return place < step.percent; });
  if (mine == release.rollout.end()) return {};
  return {mine->from_s <= situation.now_s, mine->from_s};
}

std::optional<Judgement> judge_time(const Release& release, const Situation& situation, const State& state) {
  const std::string name = release.version.text();
  if (release.created_s > situation.now_s + kClockDoubtS) {
    return Judgement{
        Verdict::kClock,
        "the manifest of " + name + " was made on " + time_text(release.created_s) + ", which is not yet here",
        "look at this machine's clock (`timedatectl`)",
        {}};
  }
  if (situation.now_s + kClockDoubtS < state.newest_created_s) {
    return Judgement{Verdict::kClock,
                     "this clock says " + time_text(situation.now_s) + ", and a manifest of " +
                         time_text(state.newest_created_s) + " was seen",
                     "look at this machine's clock (`timedatectl`)",
                     {}};
  }
  if (release.expires_s <= situation.now_s) {
    return Judgement{Verdict::kExpired,
                     "the manifest of " + name + " counted until " + time_text(release.expires_s),
                     "the publisher renews it, or somebody holds newer ones back: ask over another way",
                     {}};
  }
  return std::nullopt;
}

std::optional<Judgement> judge_order(const Release& release, const Situation& situation, const State& state) {
  const std::string name = release.version.text();
  if (release.version < situation.installed) {
    return Judgement{Verdict::kDowngrade,
                     name + " is older than " + situation.installed.text() + ", which is installed",
                     "`brainlock update rollback` goes back to what was installed before",
                     {}};
  }
  if (!situation.named && state.highest_seen && release.version < *state.highest_seen) {
    return Judgement{Verdict::kReplayed,
                     "the source shows " + name + ", and has shown " + state.highest_seen->text() + " before",
                     "somebody serves yesterday's manifests, or the publisher went back, for which there would be a "
                     "higher version: ask over another way",
                     {}};
  }
  if (!situation.named && release.created_s < state.newest_created_s) {
    return Judgement{Verdict::kReplayed,
                     "the manifest was made on " + time_text(release.created_s) + ", and one of " +
                         time_text(state.newest_created_s) + " was seen before",
                     "somebody serves yesterday's manifests: ask over another way",
                     {}};
  }
  if (release.version == situation.installed)
    return Judgement{Verdict::kNothingNew, name + " is installed, and there is no newer one", "", {}};
  return std::nullopt;
}

std::optional<Judgement> judge_machine(const Release& release, const Situation& situation) {
  const std::string name = release.version.text();
  if (!release.files.contains(situation.architecture)) {
    return Judgement{Verdict::kArchitecture,
                     name + " has no files for " + situation.architecture,
                     "build it here from its sources (./dev build brainlock)",
                     {}};
  }
  if (situation.glibc < release.glibc) {
    return Judgement{Verdict::kGlibc,
                     name + " needs glibc " + release.glibc.text() + ", here is " + situation.glibc.text(),
                     "a newer system, or build it here from its sources",
                     {}};
  }
  if (situation.installed < release.straight_from) {
    return Judgement{Verdict::kStepMissing,
                     name + " takes over from " + release.straight_from.text() + " or newer, and " +
                         situation.installed.text() + " is installed",
                     "first `brainlock update apply --release " + release.straight_from.text() + "`",
                     {}};
  }
  return std::nullopt;
}

std::optional<Judgement> judge_store(const Release& release, const Situation& situation) {
  if (!situation.store) return std::nullopt;
  const auto& store = *situation.store;
  const std::string name = release.version.text();
  const std::string has = "the validator's store has schema " + std::to_string(store.present);
  if (store.present != 0 && store.present < release.store.oldest) {
    return Judgement{Verdict::kStoreTooOld,
                     has + ", and " + name + " takes over " + std::to_string(release.store.oldest) + " and newer",
                     "first a release in between (`brainlock update apply --release VERSION`)",
                     {}};
  }
  if (store.present > release.store.newest) {
    return Judgement{Verdict::kStoreTooOld,
                     has + ", which " + name + " does not know: it reads up to " + std::to_string(release.store.newest),
                     "wait for a newer release",
                     {}};
  }
  if (release.store.newest > store.readable_now && !situation.one_way) {
    return Judgement{Verdict::kNoWayBack,
                     name + " makes schema " + std::to_string(release.store.newest) + " of the store, and " +
                         situation.installed.text() + " reads up to " + std::to_string(store.readable_now) +
                         ": there is no way back but a backup",
                     "back the store up (docs/operation.md), then `brainlock update apply --one-way`",
                     {}};
  }
  return std::nullopt;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kReady:
      return "ready";
    case Verdict::kNothingNew:
      return "nothing_new";
    case Verdict::kWaits:
      return "waits";
    case Verdict::kClock:
      return "clock";
    case Verdict::kExpired:
      return "expired";
    case Verdict::kReplayed:
      return "replayed";
    case Verdict::kDowngrade:
      return "downgrade";
    case Verdict::kArchitecture:
      return "architecture";
    case Verdict::kGlibc:
      return "glibc";
    case Verdict::kStepMissing:
      return "step_missing";
    case Verdict::kStoreTooOld:
      return "store";
    case Verdict::kNoWayBack:
      return "no_way_back";
    case Verdict::kFailedBefore:
      return "failed_before";
  }
  return "unknown";
}

bool is_refusal(Verdict verdict) {
  return verdict != Verdict::kReady && verdict != Verdict::kNothingNew && verdict != Verdict::kWaits;
}

Judgement judge(const Release& release, const Situation& situation, const State& state) {
  if (auto found = judge_time(release, situation, state)) return *found;
  if (auto found = judge_order(release, situation, state)) return *found;
  if (auto found = judge_machine(release, situation)) return *found;
  if (auto found = judge_store(release, situation)) return *found;
  const std::string name = release.version.text();
  if (const auto* failure = failure_of(state, release.version); failure != nullptr && !situation.again) {
    return {Verdict::kFailedBefore,
            name + " was tried here on " + time_text(failure->at_s) + ": " + failure->why,
            "wait for a newer one, or, with the reason gone, `brainlock update apply --again`",
            {}};
  }
  const Wait wait = wait_for(release, situation, state);
  if (!wait.in && !situation.now) {
    const std::string when = wait.expected_s ? "comes here on " + time_text(*wait.expected_s)
                                             : "has not been opened to this part of the operators";
    return {Verdict::kWaits, name + " is rolled out in steps, and " + when,
            "`brainlock update apply --now` does not wait", wait.expected_s};
  }
  return {Verdict::kReady,
          name + " can be installed, in place of " + situation.installed.text(),
          "`brainlock update apply`",
          {}};
}

bool is_current(const Release& release, std::int64_t now_s, const State& state) {
  Situation situation;
  situation.now_s = now_s;
  return !judge_time(release, situation, state);
}

void remember(State& state, const Release& release) {
  if (!state.highest_seen || *state.highest_seen < release.version) state.highest_seen = release.version;
  state.newest_created_s = std::max(state.newest_created_s, release.created_s);
}

unsigned rollout_place(std::string_view operator_id, const Version& version) {
  std::string text = "brainlock roll-out 1:";
  text.append(operator_id).append(":").append(version.text());
  const auto hash = crypto::sha256(crypto::as_bytes(text));
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | hash[i];
  return static_cast<unsigned>(number % 100);
}

std::string time_text(std::int64_t seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[40];
  if (::gmtime_r(&time, &parts) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts) == 0)
    return std::to_string(seconds);
  return text;
}

}  // namespace brainlock::update
