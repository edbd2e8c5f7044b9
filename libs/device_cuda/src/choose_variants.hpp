// Which of the ways to do a thing a device is to take: those that are right there, and of them the fastest.
#pragma once

#include <functional>

#include "brainlock/device_cuda/variants.hpp"
#include "ring_tables.hpp"

namespace brainlock::device_cuda {

struct TrialOptions {
  std::string why_none;   ///< not empty: nothing is tried
  /// What is to be taken if it is right, without a clock: the name of a way (Variants::name()); "plain" or "dependent". Empty: the fastest.
  std::string transform, launches;
  /// Seconds that a graph of what has this name takes; by the host's clock if it is not given.
  std::function<double(Driver&, const Graph&, const std::string& name)> time;
};
constexpr const char *kPlainTransform = "two-pass", *kPlainLaunches = "plain";
/// BRAINLOCK_CUDA_TRANSFORM and BRAINLOCK_CUDA_LAUNCHES.
TrialOptions trial_options_from_environment();

/// Each way is first compared with the plain one, word for word, on random words of every modulus, and then timed against it. On a queue of its own:
/// what goes wrong there is a reason against that way and no failure of `driver`, unless the device itself is lost. Takes about a tenth of a second and
/// about 15 MB of the device's memory, for the time of the call. `tables` must be whole.
Variants choose_variants(Driver& driver, const RingTables& tables, const device::Ring& ring, const TrialOptions& options);

}  // namespace brainlock::device_cuda
