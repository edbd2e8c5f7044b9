#include "brainlock/doctor/machine.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "brainlock/ledger/types.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::doctor {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> read_number(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;   // "max", or no such file
}

/// The control group of this process in a hierarchy ("" for version 2) as a path below its mount.
std::string group_of(std::string_view controller) {
  std::ifstream in("/proc/self/cgroup");
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

void read_groups(MachineFacts& facts) {
  std::error_code error;
  constexpr std::uint64_t kNone = std::uint64_t{1} << 62;   // version 1 says "no limit" by a large number
  const fs::path mount = "/sys/fs/cgroup";
  if (fs::exists(mount / "cgroup.controllers", error)) {
    up_the_groups(mount, group_of(""), [&](const fs::path& folder) {
      lower(facts.group_memory_bytes, read_number(folder / "memory.max"));
      std::ifstream in(folder / "cpu.max");
      double quota = 0, period = 0;
      if (in >> quota >> period && period > 0) lower(facts.processor_quota, std::optional(quota / period));
    });
    return;
  }
  up_the_groups(mount / "memory", group_of("memory"), [&](const fs::path& folder) {
    const auto limit = read_number(folder / "memory.limit_in_bytes");
    if (limit && *limit < kNone) lower(facts.group_memory_bytes, limit);
  });
  up_the_groups(mount / "cpu", group_of("cpu"), [&](const fs::path& folder) {
    const auto quota = read_number(folder / "cpu.cfs_quota_us"), period = read_number(folder / "cpu.cfs_period_us");
    if (quota && period && *period > 0 && *quota < kNone) lower(facts.processor_quota, std::optional(static_cast<double>(*quota) / static_cast<double>(*period)));
  });
}

void read_memory(MachineFacts& facts) {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kilobytes = 0;
    if (!(words >> name >> kilobytes)) continue;
    if (name == "MemTotal:") facts.memory_bytes = kilobytes * 1024;
    if (name == "MemAvailable:") facts.available_bytes = kilobytes * 1024;
  }
}

std::uint64_t limit_of(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur;
}

std::vector<std::string> interface_addresses() {
  std::vector<std::string> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = {};
    const void* address = nullptr;
    if (item->ifa_addr->sa_family == AF_INET) address = &reinterpret_cast<const sockaddr_in*>(item->ifa_addr)->sin_addr;
    if (item->ifa_addr->sa_family == AF_INET6) address = &reinterpret_cast<const sockaddr_in6*>(item->ifa_addr)->sin6_addr;
    if (address == nullptr || ::inet_ntop(item->ifa_addr->sa_family, address, text, sizeof text) == nullptr) continue;
    if (auto canonical = ledger::canonical_ip(text); canonical.ok()) out.push_back(std::move(*canonical));
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace

std::uint64_t MachineFacts::memory_limit() const {
  std::uint64_t least = memory_bytes;
  if (group_memory_bytes) least = std::min(least, *group_memory_bytes);
  if (address_space_bytes) least = std::min(least, *address_space_bytes);
  return least;
}

std::string MachineFacts::memory_limit_name() const {
  const std::uint64_t least = memory_limit();
  if (address_space_bytes && least == *address_space_bytes) return "the limit of this process (ulimit -v)";
  if (group_memory_bytes && least == *group_memory_bytes && least < memory_bytes) return "the limit of its control group";
  return "the machine's memory";
}

MachineFacts read_machine_facts(bool ask_gpus) {
  MachineFacts facts;
  facts.user_id = ::geteuid();
  const passwd* account = ::getpwuid(facts.user_id);
  facts.user = account != nullptr ? account->pw_name : std::to_string(facts.user_id);

  for (const auto* table : math::available_kernels()) facts.kernels.emplace_back(table->name);
  if (const char* forced = std::getenv("BRAINLOCK_ISA"); forced != nullptr && *forced != '\0') {
    facts.forced_kernels = forced;
    if (std::find(facts.kernels.begin(), facts.kernels.end(), facts.forced_kernels) == facts.kernels.end()) ::unsetenv("BRAINLOCK_ISA");
  }
  cpu_set_t set;
  facts.processors = ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(std::max(1, CPU_COUNT(&set))) : std::max(1U, std::thread::hardware_concurrency());
  read_groups(facts);
  read_memory(facts);
  facts.open_files = limit_of(RLIMIT_NOFILE);
  facts.locked_bytes = limit_of(RLIMIT_MEMLOCK);
  if (const auto space = limit_of(RLIMIT_AS); space != UINT64_MAX) facts.address_space_bytes = space;

  timex state{};   // modes 0: only asks
  if (const int answer = ::adjtimex(&state); answer >= 0) facts.clock_synchronised = answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;

  facts.built_with_cuda = device_cuda::built_with_cuda();
  if (ask_gpus) facts.gpus = device_cuda::list_devices();
  facts.addresses = interface_addresses();
  return facts;
}

}  // namespace brainlock::doctor
