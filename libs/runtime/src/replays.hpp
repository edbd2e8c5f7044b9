// Whole runs recorded once and replayed by one call each.
//
// A recording holds the addresses of one set of keys, of the program's weights and of its lane's memory; ciphertexts are what differs from
// request to request, and they are copied to where the recording reads them. A request has a lane to itself from its upload to its
// download. Keys are told apart by their serial number, never by their address.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "brainlock/device/recorder.hpp"
#include "brainlock/runtime/executor.hpp"

namespace brainlock::runtime {

/// Thread safe. Belongs to one LoadedProgram.
class Replays {
 public:
  /// With the machine's number of lanes; null where its backend takes no recordings.
  static std::unique_ptr<Replays> make(const Machine& machine);
  ~Replays();

  /// The outputs, if this request was replayed; nothing if it is to run plainly: a set's first request, which brings all kernels to the device,
  /// and every one where recording is not possible. `inputs` are checked; they are used up by a replay only. kCancelled, kUnavailable.
  Result<std::optional<std::vector<ckks::Ciphertext>>> run(const LoadedProgram& program, const ckks::LoadedKeys& keys,
                                                           const std::vector<ckks::Ciphertext>& inputs, const RunOptions& options);
  LoadedProgram::ReplayReport report() const;
  /// See LoadedProgram::kernel_times().
  Result<std::vector<device::KernelTime>> kernel_times(std::uint64_t keys);

 private:
  /// A run of one set of keys on one lane.
  struct Recorded;
  struct Lane;

  Replays();
  /// A lane that is free, one that knows the keys if there is one; null after a stop, or if no lane records.
  Lane* take_lane(std::uint64_t keys, const std::stop_token& stop);
  void give_back(Lane& lane);
  static Status check_memory(const LoadedProgram& program, const Lane& lane);
  static Result<std::unique_ptr<Recorded>> record(const LoadedProgram& program, const ckks::LoadedKeys& keys, Lane& lane);
  static Result<std::vector<ckks::Ciphertext>> replay(const LoadedProgram& program, Lane& lane, const Recorded& recorded,
                                                      const std::vector<ckks::Ciphertext>& inputs, const RunOptions& options);

  mutable std::mutex mutex_;
  std::condition_variable_any freed_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::set<std::uint64_t> seen_;   ///< keys that had a request
  LoadedProgram::ReplayReport report_;
};

}  // namespace brainlock::runtime
