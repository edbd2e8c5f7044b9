// Runs loaded programs on ciphertexts.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "brainlock/ckks/objects.hpp"
#include "brainlock/runtime/loaded_program.hpp"

namespace brainlock::runtime {

struct RunOptions {
  /// Called after each instruction on the calling thread: (instructions done, of how many, layer).
  std::function<void(std::size_t, std::size_t, const std::string&)> progress;
  std::stop_token stop;   ///< checked between batches of work; of a replayed run before and after it
  /// On a device that takes it, requests with keys that were used before run as one unit that was recorded then: the same words, and no
  /// host between the kernels. `progress` is then called once, at the end. A profiled run is never replayed.
  bool replay = true;
};

/// Where the time went, in program order. On an accelerator each part is waited for, which costs some overlap. Instructions that ran as one batch share their time evenly.
struct RunProfile {
  struct Entry {
    std::string layer;
    std::string op;                   ///< "split", "square", "combine", "linear", "drop", "add", "raise"
    double seconds = 0;
    std::uint64_t key_switches = 0;   ///< full ones
    std::uint64_t hoisted_rotations = 0;
    std::uint32_t limbs = 0;
  };
  std::vector<Entry> entries;
  std::string device;                 ///< that ran all of it, as Backend::name()
  double seconds = 0;                 ///< whole run
  // The parts of all linear layers, for those who look for the time:
  double decompose_seconds = 0, core_seconds = 0, giant_seconds = 0, rescale_seconds = 0;
};

/// Stateless; one object may serve many threads.
class Executor {
 public:
  /// Outputs in the order of the program's output ciphertexts. Inputs are checked before anything runs: kMismatch for
  /// a wrong count, limb count or scale, kMalformed for a wrong size or a word out of range. kNotFound / kMismatch for
  /// keys, kCancelled after a stop, kResource without memory. Deterministic: the same words for any number of threads.
  Result<std::vector<ckks::Ciphertext>> run(const LoadedProgram& program, const ckks::LoadedKeys& keys,
                                            std::vector<ckks::Ciphertext> inputs, const RunOptions& options = {},
                                            RunProfile* profile = nullptr) const;
};

}  // namespace brainlock::runtime
