// What `bench` says of more threads than there are: device::Rehearsal of whole requests.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "brainlock/device/rehearsal.hpp"
#include "inference.hpp"

namespace brainlock::app {

/// kUnsupported: only the processor's tasks can be rehearsed.
Status check_rehearsal(const device_cuda::DeviceChoice& device);

/// Requests whose tasks one thread did, as if `threads` had. Seconds.
struct RehearsedRun {
  unsigned threads = 0;
  double seconds = 0;              ///< of medians: of each batch, and of what is between them
  device::Rehearsal::Sum median;   ///< of the run in the middle
  double min_s = 0, max_s = 0;     ///< of single runs, which wait for every task that was interrupted
  [[nodiscard]] nlohmann::json json() const;
};
/// After `warm_up` requests, `repeats` that count. The server's pool is as before when this returns; nobody else may use it meanwhile. Every answer must
/// have the words of `expected`: kInternal otherwise.
Result<RehearsedRun> rehearse(const Server& server, const ckks::LoadedKeys& keys, std::span<const ckks::Ciphertext> inputs,
                              std::span<const ckks::Ciphertext> expected, unsigned threads, unsigned warm_up, unsigned repeats);

/// A table on stdout, and in words what it is not; nothing of no runs.
void print_rehearsal(std::span<const RehearsedRun> runs);

}  // namespace brainlock::app
