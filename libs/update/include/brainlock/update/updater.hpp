// An operator's updates: look, install, go back. Each either ends in a working installation of one release or says why
// not.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "brainlock/update/installation.hpp"
#include "brainlock/update/judge.hpp"
#include "brainlock/update/outside.hpp"
#include "brainlock/update/settings.hpp"
#include "brainlock/update/state.hpp"

namespace brainlock::update {

/// What came of it.
struct Report {
  /// "ready", "nothing_new", "waits"; a refusal (verdict_name()); "updated", "finished" (an update that was broken
  /// off), "rolled_back", "undone" (likewise), "not_fit" (the new program does not start, or is not what its manifest
  /// says), "doctor" (it finds a fault that the present one does not), "cannot_go_back".
  std::string code;
  bool good = true;         ///< whether all is as it should be
  bool runs = true;         ///< whether what is installed after it has answered
  std::string found, next;  ///< a line each
  std::string installed;    ///< version, after it
  std::string offered;      ///< version of the manifest, if one was read
  std::string notes;        ///< of the release
  std::optional<std::int64_t> expected_s;
};

struct ApplyOptions {
  bool now = false, again = false, one_way = false;  ///< see Situation
  std::string release = {};                          ///< a version; empty: the newest
};

struct ServiceState {
  std::string role, running;  ///< version that answers; empty:
  std::string problem;
};
struct Overview {
  std::string installed, confirmed, previous;  ///< release folders; empty: none
  std::vector<ServiceState> services;
  State state;
};

/// Holds no lock between calls; check(), apply() and rollback() take it (kUnavailable).
class Updater {
 public:
  Updater(Installation installation, Settings settings, Outside outside)
      : installation_(std::move(installation)), settings_(std::move(settings)), outside_(std::move(outside)) {}

  /// Makes a release of the program that is installed, so that there is one to go back to, and one that updates run
  /// from. Nothing else changes.
  Status take_over();
  /// Reads the source's manifest, remembers what it must, and changes nothing else.
  Result<Report> check(const ApplyOptions& options, std::stop_token stop = {});
  /// First ends what an earlier run left; where that was something, it is all that this run does. Otherwise installs
  /// what the source has, if it is for this installation. `stop` is heeded until the switch. Errors: of fetching and of
  /// the disk, before anything was switched.
  Result<Report> apply(const ApplyOptions& options, std::stop_token stop = {});
  /// Back to the release before, which is then not left again by itself. kNotFound if there is none.
  Result<Report> rollback();
  /// What is installed and what the services say that they are. Changes nothing, asks the services alone.
  Result<Overview> overview() const;

 private:
  /// Ends what was under way; nothing if nothing had been switched.
  Result<std::optional<Report>> recover(State& state);
  /// Programs that were put there by hand become a release. Name of the present one.
  Result<std::string> settle(State& state);
  Result<Judgement> judge_offer(const Release& release, const ApplyOptions& options, const Version& installed,
                                const State& state) const;
  struct Offer {
    Release release;
    Judgement judgement;
  };
  /// What the source has and what that means here, noted in the state.
  Result<Offer> look(Source& source, const ApplyOptions& options, const Version& installed, State& state, std::stop_token stop);
  Result<std::string> take_release(Source& source, const Release& release, std::stop_token stop);
  Result<Report> switch_over(State& state, const std::string& to);
  Result<Report> try_and_commit(State& state, bool broken_off);
  Result<Report> go_back(State& state, const std::string& code);
  Status save(const State& state) const { return store_state(installation_.state_file(), state); }
  /// Why the present store keeps `program` from running; empty if it does not.
  std::string store_forbids(const std::filesystem::path& program) const;

  Installation installation_;
  Settings settings_;
  Outside outside_;
};

/// The version in a release folder's name.
Result<Version> version_of_release(const std::string& name);

}  // namespace brainlock::update
