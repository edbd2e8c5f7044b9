// Whether a program works here: before the switch without touching what runs, after it by what the services answer.
#pragma once

#include <filesystem>
#include <optional>

#include "brainlock/update/outside.hpp"
#include "brainlock/update/release.hpp"
#include "brainlock/update/settings.hpp"

namespace brainlock::update {

/// What `PROGRAM --version` says. Errors of running it; kMalformed.
Result<Version> program_version(const Outside& outside, const std::filesystem::path& program);
/// Newest schema of a validator's store that a program reads (`PROGRAM update about`); nothing where it is too old to
/// say.
std::optional<int> readable_schema(const Outside& outside, const std::filesystem::path& program);

/// Why the new program cannot be what the manifest says that it is: it does not start, or calls itself another version,
/// or reads other stores. It will be no better the next time.
Status try_program(const Outside& outside, const std::filesystem::path& program, const Release& release);
/// `doctor` of the new program for each service: kUnavailable for a check that fails with it and does not with the
/// present one.
Status try_doctor(const Outside& outside, const Settings& settings, const std::filesystem::path& present,
                  const std::filesystem::path& fresh);

/// The version that a service answers with. Errors of asking; kMalformed.
Result<std::string> service_version(const Outside& outside, const Service& service);
/// Restarts each service that has a command for it, then waits until all answer with this version, and watches them for
/// a while. The first failure in words.
Status restart_and_watch(const Outside& outside, const Settings& settings, const Version& version);

}  // namespace brainlock::update
