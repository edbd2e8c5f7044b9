// Operations that are noted instead of done, to be done many times later by one call each.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "brainlock/device/backend.hpp"

namespace brainlock::device {

/// A sequence of operations with its memory. Only its own recorder's backend may upload to and download from that memory.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Does all of it once, in the order of its lane (see Recorder). Failures come back with the lane's finish() and download().
  virtual void replay() const = 0;
  virtual std::uint64_t kernels() const = 0;
  /// Does all of it a few times, once launch by launch with a clock, and waits: by kernel, the longest first. For whoever has the lane.
  virtual Result<std::vector<KernelTime>> kernel_times() const = 0;
};

/// Makes recordings that share memory and a queue of the device of their own: a *lane*. Recordings of one recorder may overwrite each
/// other's memory, so a request has the lane to itself from its upload to its download; different lanes know nothing of each other. Not
/// thread safe. What operations read besides (keys, weights) must be whole before, and outlive the recording.
class Recorder {
 public:
  virtual ~Recorder() = default;
  /// Where operations are noted. Its allocate() is the lane's memory. Only for operations: an upload would be done at once and never again, and
  /// downloads and finish() are errors of take().
  virtual Backend& noting() = 0;
  /// The same lane, where operations are done: for uploads and downloads, in order with replays.
  virtual Backend& doing() = 0;
  /// What was noted since the last call (or since the beginning); the first error of it, if there was one. kUnsupported: an operation that
  /// cannot be noted.
  virtual Result<std::shared_ptr<const Recording>> take() = 0;
};

}  // namespace brainlock::device
