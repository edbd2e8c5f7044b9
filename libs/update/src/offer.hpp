// What a source offers, believed or not at all, and how its files get into a folder.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "brainlock/update/outside.hpp"
#include "brainlock/update/release.hpp"
#include "brainlock/update/settings.hpp"

namespace brainlock::update {

/// Fetches a manifest and its signatures and checks them: release.json, or releases/VERSION/release.json where a
/// version is named. Errors of fetching, check_signatures(), parse_release(); kMismatch for another version than the
/// named one.
Result<Release> fetch_offer(Source& source, const Settings& settings, const std::string& version, std::stop_token stop);

/// Fetches the files into `folder`: what is there already with the right bytes stays, what does not belong there goes.
/// Each file is flushed. Nothing of a file that is not as the manifest says is left. kResource without room on the
/// disk, kCorrupted for other bytes, errors of fetching.
Status fetch_files(Source& source, const std::vector<ReleaseFile>& files, const std::filesystem::path& folder,
                   std::int64_t within_s, const std::function<void(const std::string&)>& say, std::stop_token stop);

/// Whether a folder holds these files and no others.
bool holds_files(const std::filesystem::path& folder, const std::vector<ReleaseFile>& files);

}  // namespace brainlock::update
