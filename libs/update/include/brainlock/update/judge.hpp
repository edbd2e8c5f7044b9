// Whether a release that was believed is for this installation, now. Pure: facts in, a verdict out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "brainlock/update/release.hpp"
#include "brainlock/update/state.hpp"
#include "brainlock/update/version.hpp"

namespace brainlock::update {

enum class Verdict {
  kReady,       ///< may be installed
  kNothingNew,  ///< it is what runs
  kWaits,       ///< the roll-out has not come to this operator
  // Refusals:
  kClock,         ///< made in the future, or this clock was set back
  kExpired,       ///< kept back, or not renewed by its publisher
  kReplayed,      ///< older than a manifest that was seen
  kDowngrade,     ///< older than what runs
  kArchitecture,  ///< no files for this processor
  kGlibc,         ///< the system is too old for it
  kStepMissing,   ///< another release comes before
  kStoreTooOld,   ///< it does not take over the validator's store
  kNoWayBack,     ///< it changes the store so that what runs now could not read it
  kFailedBefore,  ///< it was tried here, and undone
};
/// "ready", "nothing_new", "expired", ...: for machines.
std::string_view verdict_name(Verdict verdict);
/// Whether it is one of the refusals.
bool is_refusal(Verdict verdict);

/// What the store has, and what the program that runs now could read.
struct StoreFacts {
  int present = 0;       ///< 0: nothing in it yet
  int readable_now = 0;  ///< newest schema of the installed program
};

struct Situation {
  Version installed;
  std::string architecture;
  GlibcVersion glibc;
  std::int64_t now_s = 0;
  std::optional<StoreFacts> store;  ///< of a validator
  // What the operator asks for beyond the usual:
  bool now = false;      ///< whatever the roll-out says
  bool again = false;    ///< although it failed here
  bool one_way = false;  ///< although there is no way back
  bool named = false;    ///< he named this version: an older manifest than the newest is what he wants
};

struct Judgement {
  Verdict verdict = Verdict::kReady;
  std::string found;                       ///< one line
  std::string next;                        ///< the next step; empty where there is none
  std::optional<std::int64_t> expected_s;  ///< kWaits: when the roll-out comes here, as far as is planned
};

/// Judges a manifest whose signatures were checked.
Judgement judge(const Release& release, const Situation& situation, const State& state);

/// Whether a manifest is of now; only such a one may be remembered.
bool is_current(const Release& release, std::int64_t now_s, const State& state);
/// Remembers that it was seen.
void remember(State& state, const Release& release);

/// This operator's place in a roll-out, 0 to 99: those below the share are in. Differs from version to version, so that
/// nobody is always the first.
unsigned rollout_place(std::string_view operator_id, const Version& version);

/// "2026-11-30 06:50 UTC".
std::string time_text(std::int64_t seconds);

}  // namespace brainlock::update
