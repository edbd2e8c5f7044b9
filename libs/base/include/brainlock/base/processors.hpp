// How many threads of this process can compute at a time.
#pragma once

#include <optional>

namespace brainlock {

/// Processors that this process may run on (affinity; sets of a container), without its group's quota. At least 1.
unsigned allowed_processors();

/// Threads worth starting for work that waits for its slowest thread: one for each processor allowed, and no more than the quota has whole processors
/// for, since threads beyond a quota are all stopped at the same time, again and again. At least 1.
unsigned usable_processors(unsigned allowed, std::optional<double> quota);
/// The same for this process, as it is now.
unsigned usable_processors();

}  // namespace brainlock
