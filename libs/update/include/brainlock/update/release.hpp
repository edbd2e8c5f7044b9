// release.json: what a release consists of, for whom it is and until when it counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/hash.hpp"
#include "brainlock/update/version.hpp"

namespace brainlock::update {

inline constexpr std::size_t kMaxManifestBytes = 256 * 1024;
inline constexpr std::size_t kMaxFiles = 64;                               ///< of one architecture
inline constexpr std::uint64_t kMaxReleaseBytes = std::uint64_t{2} << 30;  ///< all files of one architecture
inline constexpr std::int64_t kLongestLifeS =
    400LL * 24 * 3600;  ///< from created to expires: what counts for ever can be held back for ever
inline constexpr std::size_t kMaxRolloutSteps = 8;

/// The program itself, in every release.
inline constexpr std::string_view kProgramPath = "bin/brainlock";

struct ReleaseFile {
  std::string path;  ///< in the release's folder: words of [A-Za-z0-9._+-] between slashes, none begins with a dot
  std::uint64_t size = 0;
  crypto::Hash256 sha256{};  ///< its name at the source, too: files/HEX
  bool executable = false;
  bool operator==(const ReleaseFile&) const = default;
};

/// From this time on, so many in a hundred operators take the release.
struct RolloutStep {
  std::int64_t from_s = 0;
  unsigned percent = 0;
  bool operator==(const RolloutStep&) const = default;
};

/// Schemas of a validator's store that a release takes over, and the one that it makes of it.
struct StoreSchemas {
  int oldest = 0, newest = 0;
  bool operator==(const StoreSchemas&) const = default;
};

struct Release {
  Version version;
  std::int64_t created_s = 0, expires_s = 0;  ///< Unix time
  Version straight_from;                      ///< older versions go through another release first
  GlibcVersion glibc;                         ///< the least one
  StoreSchemas store;
  std::vector<RolloutStep>
      rollout;        ///< times and shares rise; empty: nobody, until a manifest that is newer says otherwise
  std::string notes;  ///< for people, at most 4000 characters
  std::map<std::string, std::vector<ReleaseFile>> files;  ///< by architecture
  bool operator==(const Release&) const = default;
};

/// kTooLarge, kMalformed (with the field), kUnsupported (another format).
Result<Release> parse_release(std::string_view json);
/// The same as text; what parse_release() takes is what was given.
std::string release_json(const Release& release);

/// Whether this is a path that a release may have.
bool is_release_path(std::string_view path);

}  // namespace brainlock::update
