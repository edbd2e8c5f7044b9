// The folder that an operator's programs lie in, and the one link that says which release they are.
//
//   HOME/bin/brainlock                  what start scripts call: a link to ../releases/current/bin/brainlock
//   HOME/releases/0.2.0/bin/brainlock   a release, whole before it gets its name
//   HOME/releases/current               a link to one of them: the only thing that a switch changes
//   HOME/releases/confirmed             a link to the last one that has shown that it works: who updates runs from
//   there HOME/update/                        settings, state, lock
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/update/release.hpp"

namespace brainlock::update {

/// Names of a home's folders and files; changes what its functions say and nothing else. One process at a time, by
/// UpdateLock.
class Installation {
 public:
  explicit Installation(std::filesystem::path home) : home_(std::move(home)) {}

  [[nodiscard]] const std::filesystem::path& home() const { return home_; }
  [[nodiscard]] std::filesystem::path settings_file() const { return home_ / "update" / "settings.json"; }
  [[nodiscard]] std::filesystem::path state_file() const { return home_ / "update" / "state.json"; }
  [[nodiscard]] std::filesystem::path lock_file() const { return home_ / "update" / "lock"; }
  /// What start scripts call.
  [[nodiscard]] std::filesystem::path program() const { return home_ / "bin" / "brainlock"; }
  [[nodiscard]] std::filesystem::path release_folder(const std::string& name) const {
    return home_ / "releases" / name;
  }
  [[nodiscard]] std::filesystem::path release_program(const std::string& name) const {
    return release_folder(name) / kProgramPath;
  }

  /// Name of the release that the link leads to; empty if there is no such link yet.
  [[nodiscard]] std::string current() const;
  [[nodiscard]] std::string confirmed() const;
  /// Whether bin/ holds programs of its own, put there by hand or by setup.sh, that are not in a release yet.
  [[nodiscard]] bool has_loose_programs() const;

  /// Takes the programs in bin/ as the release `version`, makes it the current one, and links to it in their place;
  /// nothing is missing at any instant. Gives its name: the version, and a number behind it where another release has
  /// that. kNotFound without a program.
  Result<std::string> adopt(const Version& version);

  /// An unfinished release of that version: a folder that has no name yet. What is there of an earlier try stays, that
  /// of other versions goes.
  Result<std::filesystem::path> begin_release(const Version& version);
  /// Gives it its name, once its bytes are on the disk. In place of one of that name that is neither current nor
  /// confirmed.
  Result<std::string> finish_release(const Version& version);

  /// Makes a release the current one; one step, on the disk when this returns. kNotFound if it has no program.
  Status switch_to(const std::string& name);
  Status confirm(const std::string& name);
  /// Removes releases other than these, and unfinished ones.
  void keep_only(const std::vector<std::string>& names);

 private:
  [[nodiscard]] std::filesystem::path unfinished(const Version& version) const {
    return home_ / "releases" / (".new-" + version.text());
  }
  std::filesystem::path home_;
};

/// One update at a time: holds a lock that goes with the process, however that ends. Move-only.
class UpdateLock {
 public:
  /// kUnavailable if another process has it.
  static Result<UpdateLock> take(const std::filesystem::path& file);
  UpdateLock(UpdateLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  UpdateLock& operator=(UpdateLock&&) = delete;
  ~UpdateLock();

 private:
  explicit UpdateLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// A file's SHA-256 and size. kNotFound, kIo.
struct FileDigest {
  std::uint64_t size = 0;
  crypto::Hash256 sha256{};
};
Result<FileDigest> digest_file(const std::filesystem::path& file);

}  // namespace brainlock::update
