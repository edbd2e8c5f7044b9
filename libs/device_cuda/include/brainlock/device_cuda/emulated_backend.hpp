// The CUDA backend with its kernels run by the processor, thread by thread: for tests and for work on kernels without a device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "brainlock/device/backend.hpp"

namespace brainlock::device_cuda {

/// A launch on a device that only counts.
struct CountedLaunch {
  const char* kernel;                   ///< its name in kernels/
  std::uint64_t threads;
  std::uint64_t memory_bytes;           ///< these as in device::Counters
  std::uint64_t integer_operations;
};

struct EmulationOptions {
  std::uint64_t memory_bytes = std::uint64_t{1} << 40;   ///< of the device: allocations beyond fail with kResource
  std::uint64_t failing_launch = 0;                      ///< this launch and all later ones fail; 0: none
  bool roomy = false;                                    ///< instances of kernels with more registers are tried
  bool clusters = false;                                 ///< the device has clusters of blocks
  bool dependent_launches = false;                       ///< and launches that begin before those before them end,
  std::uint64_t most_dependent_launches = 1u << 20;      ///< in graphs of up to so many
  /// What is to go wrong with every launch of a cluster: nothing; a word is wrong; the launch fails; the device fails, for good.
  enum class Fault { kNone, kWrongWord, kLaunch, kDevice };
  Fault cluster_fault = Fault::kNone;
  bool wrong_roomy_passes = false;                       ///< two passes with more registers leave a wrong word
  bool wrong_dependent_launches = false;                 ///< a graph with such launches leaves a wrong word
  /// Launches are held to the limits and counted, and neither they nor copies do anything: what a network of any size costs, and the memory it
  /// takes, is then known in seconds. Words that are read back are zero.
  bool counts_only = false;
  std::function<void(const CountedLaunch&)> on_launch{};   ///< called for each launch then, by the thread that launches
};

/// Same source, same launches and same memory management as on a device, hundreds of times slower than the CPU's backend.
/// Errors as make_cuda_backend().
Result<std::shared_ptr<device::Backend>> make_emulated_backend(device::Ring ring, const EmulationOptions& options = {});

}  // namespace brainlock::device_cuda
