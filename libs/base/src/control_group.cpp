#include "brainlock/base/control_group.hpp"

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace brainlock {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> read_number(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;   // "max", or no such file
}

/// The control group of this process in a hierarchy ("" for version 2) as a path below its mount.
std::string group_of(const fs::path& own_groups, std::string_view controller) {
  std::ifstream in(own_groups);
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    std::istringstream list(names);   // "cpu,cpuacct"; empty for version 2
    bool named = names == controller;
    for (std::string name; std::getline(list, name, ',');) named = named || name == controller;
    if (named) return line.substr(second + 1);
  }
  return "/";
}

/// Calls with each folder from the group's up to the mount: limits above hold too. In a container the group's own name may lie outside of the mount.
template <typename Visit>
void up_the_groups(const fs::path& mount, const std::string& group, Visit visit) {
  std::error_code error;
  fs::path folder = fs::path(mount.string() + group);
  if (!fs::is_directory(folder, error)) folder = mount;
  for (;; folder = folder.parent_path()) {
    visit(folder);
    if (folder == mount || folder.string().size() <= mount.string().size()) return;
  }
}

template <typename T>
void lower(std::optional<T>& least, std::optional<T> value) {
  if (value && (!least || *value < *least)) least = value;
}

}  // namespace

ControlGroupLimits read_control_group_limits(const fs::path& mount, const fs::path& own_groups) {
  constexpr std::uint64_t kNone = std::uint64_t{1} << 62;   // version 1 says "no limit" by a large number, or by -1
  ControlGroupLimits out;
  std::error_code error;
  if (fs::exists(mount / "cgroup.controllers", error)) {
    up_the_groups(mount, group_of(own_groups, ""), [&](const fs::path& folder) {
      lower(out.memory_bytes, read_number(folder / "memory.max"));
      std::ifstream in(folder / "cpu.max");
      double quota = 0, period = 0;
      if (in >> quota >> period && quota > 0 && period > 0) lower(out.processors, std::optional(quota / period));
    });
    return out;
  }
  up_the_groups(mount / "memory", group_of(own_groups, "memory"), [&](const fs::path& folder) {
    const auto limit = read_number(folder / "memory.limit_in_bytes");
    if (limit && *limit < kNone) lower(out.memory_bytes, limit);
  });
  up_the_groups(mount / "cpu", group_of(own_groups, "cpu"), [&](const fs::path& folder) {
    const auto quota = read_number(folder / "cpu.cfs_quota_us"), period = read_number(folder / "cpu.cfs_period_us");
    if (quota && *quota > 0 && *quota < kNone && period && *period > 0) {
      lower(out.processors, std::optional(static_cast<double>(*quota) / static_cast<double>(*period)));
    }
  });
  return out;
}

}  // namespace brainlock
