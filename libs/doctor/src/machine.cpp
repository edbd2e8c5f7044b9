#include "brainlock/doctor/machine.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "brainlock/base/control_group.hpp"
#include "brainlock/base/processors.hpp"
#include "brainlock/ledger/types.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::doctor {
namespace {

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
  facts.processors = allowed_processors();
  const ControlGroupLimits limits = read_control_group_limits();
  facts.group_memory_bytes = limits.memory_bytes;
  facts.processor_quota = limits.processors;
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
