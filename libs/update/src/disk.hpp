// What makes a change of names survive a loss of power.
#pragma once

#include <filesystem>

#include "brainlock/base/result.hpp"

namespace brainlock::update {

/// Flushes the names in a folder. kIo.
Status sync_folder(const std::filesystem::path& folder);
/// Flushes a file's bytes. kIo.
Status sync_file(const std::filesystem::path& file);
/// Makes `link` lead to `target` in one step, whatever it was before; on the disk when this returns. Never through a
/// folder of that name. kIo.
Status put_link(const std::filesystem::path& link, const std::filesystem::path& target);

}  // namespace brainlock::update
