// The publisher's side: a folder that can be put behind any web server.
//
//   SITE/release.json, release.json.sig     the newest release
//   SITE/releases/0.2.0/release.json[.sig]  each one, for those who must go through it
//   SITE/files/SHA256                       their files
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/ed25519.hpp"
#include "brainlock/update/release.hpp"

namespace brainlock::update {

struct NewFile {
  std::string architecture, path;
  std::filesystem::path from;  ///< its executable bit counts
};

/// Copies the files to SITE/files and writes SITE/releases/VERSION/release.json, not signed yet; signatures of an
/// earlier one of that version go. Errors of reading and writing; what parse_release() refuses.
Result<Release> draft_release(const std::filesystem::path& site, Release release, const std::vector<NewFile>& files);

/// Adds a signature to MANIFEST.sig beside a manifest, in place of one of that key. What parse_release() refuses is not
/// signed.
Status sign_release(const std::filesystem::path& manifest, const crypto::Ed25519KeyPair& key);

/// Makes SITE/releases/VERSION the newest: its signatures are checked against `keys`, all its files are looked at, and
/// only then SITE/release.json changes. kDenied, kCorrupted, kNotFound; kInvalidArgument for one that is older than
/// what is the newest (operators would refuse it).
Status go_live(const std::filesystem::path& site, const Version& version,
               const std::vector<crypto::Ed25519PublicKey>& keys, std::size_t threshold);

/// "10,50@2d,100@5d": shares with the time from `begin_s` on (s, m, h, d; none: at once). kMalformed.
Result<std::vector<RolloutStep>> parse_rollout(std::string_view text, std::int64_t begin_s);

}  // namespace brainlock::update
