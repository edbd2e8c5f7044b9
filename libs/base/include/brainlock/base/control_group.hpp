// What the control groups of this process allow: containers and services have less than their machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace brainlock {

struct ControlGroupLimits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> processors;   ///< a quota of time, in processors
};

/// The least of the group's own limits and those of the groups above it; versions 1 and 2. What cannot be read limits nothing. The arguments are for
/// tests: where the hierarchies are mounted, and the file that names this process's groups. Reads some ten files.
ControlGroupLimits read_control_group_limits(const std::filesystem::path& mount = "/sys/fs/cgroup",
                                             const std::filesystem::path& own_groups = "/proc/self/cgroup");

}  // namespace brainlock
