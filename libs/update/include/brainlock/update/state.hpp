// What an installation remembers of its updates, so that power may go at any instant and nobody can serve it
// yesterday's news.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/update/version.hpp"

namespace brainlock::update {

inline constexpr std::size_t kMaxStateBytes = 64 * 1024;
inline constexpr std::size_t kMaxFailures = 20;  ///< older ones are forgotten; no version that old is offered again

enum class Phase {
  kSwitching,  ///< the link may lead to either release
  kChecking,   ///< it leads to the new one, which has not shown yet that it works
  kUndoing,    ///< the way back has begun
};
std::string_view phase_name(Phase phase);

/// What was under way when this was written.
struct Work {
  Phase phase = Phase::kSwitching;
  std::string from, to;  ///< names of release folders
  std::string why;       ///< of an undoing
  bool operator==(const Work&) const = default;
};

struct FailedRelease {
  Version version;
  std::int64_t at_s = 0;
  std::string why;
  bool operator==(const FailedRelease&) const = default;
};

struct State {
  std::string
      operator_id;  ///< 32 hexadecimal digits, random, never sent: they choose this operator's place in a roll-out
  std::string current, previous;        ///< names of release folders; empty: none
  std::optional<Version> highest_seen;  ///< of all manifests that were believed
  std::int64_t newest_created_s = 0;    ///< likewise
  std::int64_t last_check_s = 0;        ///< 0: never
  std::string last_check;               ///< what it found, one line
  std::vector<FailedRelease> failed;
  std::optional<Work> work;
  bool operator==(const State&) const = default;
};

/// kTooLarge, kMalformed.
Result<State> parse_state(std::string_view json);
std::string state_json(const State& state);

/// The file's, or a new one with an id of its own where there is no file. kMalformed for a damaged one: what was seen
/// and what failed would be forgotten.
Result<State> load_state(const std::filesystem::path& file);
/// Whole or not at all, and on the disk when this returns. Mode 0600.
Status store_state(const std::filesystem::path& file, const State& state);

/// Notes a failure, in place of an older one of that version.
void note_failure(State& state, FailedRelease failure);
const FailedRelease* failure_of(const State& state, const Version& version);

}  // namespace brainlock::update
