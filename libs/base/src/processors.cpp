#include "brainlock/base/processors.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "brainlock/base/control_group.hpp"

namespace brainlock {

unsigned allowed_processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());   // more than a set has room for
}

unsigned usable_processors(unsigned allowed, std::optional<double> quota) {
  if (!quota || *quota >= static_cast<double>(allowed)) return std::max(allowed, 1U);
  return std::max(static_cast<unsigned>(std::max(*quota, 0.0)), 1U);
}

unsigned usable_processors() { return usable_processors(allowed_processors(), read_control_group_limits().processors); }

}  // namespace brainlock
