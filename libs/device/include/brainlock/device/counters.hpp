// What a device was made to do, for those who measure.
#pragma once

#include <cstdint>
#include <string>

namespace brainlock::device {

/// Since counting began. Launches and copies are counted exactly. Traffic and operations are what the kernels' arguments say that
/// they load, store and compute: each word once a launch, without the ring's tables, which stay in the caches.
struct Counters {
  std::uint64_t kernels = 0;               ///< kernels run
  std::uint64_t launches = 0;              ///< of them, launched one by one
  std::uint64_t replays = 0;               ///< recordings run, each one launch of many kernels
  std::uint32_t distinct_kernels = 0;      ///< kernels, and instances of templates, among them
  double submit_s = 0;                     ///< the host's time in launches and replays
  std::uint64_t copies_to_device = 0, copies_from_device = 0;
  std::uint64_t bytes_to_device = 0, bytes_from_device = 0;
  std::uint64_t memory_bytes = 0;          ///< loaded and stored by kernels
  std::uint64_t integer_operations = 0;    ///< 32-bit instructions of the formulas, an estimate
};

/// One kernel's part of a recording, by the device's clock.
struct KernelTime {
  std::string kernel;
  std::uint64_t launches = 0;
  double seconds = 0;                      ///< of all of them; each has a reading of the clock in it, about a microsecond
  std::uint64_t memory_bytes = 0;          ///< as in Counters
  std::uint64_t integer_operations = 0;
};

/// What the hardware could do at best, by its clocks and widths; 0: not known.
struct Peaks {
  double memory_bytes_per_s = 0;
  double integer_operations_per_s = 0;
};

}  // namespace brainlock::device
