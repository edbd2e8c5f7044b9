// How linear_layer goes through a layer's columns: in chunks, each a few rotations whose columns lie in shared memory at the same time.
#pragma once

#include <vector>

#include "brainlock/device/backend.hpp"
#include "kernels/arguments.hpp"

namespace brainlock::device_cuda {

struct LinearPlan {
  struct Output {
    std::vector<gpu::LinearEntry> entries;   ///< chunk after chunk
    std::vector<gpu::Word> entry_begin;      ///< by chunk, and the end
    unsigned tiles = 0;                      ///< of giant steps
  };
  std::vector<gpu::LinearRotation> rotations;   ///< with kUsesAtOnce uses at most: longer ones are several
  std::vector<gpu::LinearUse> uses;             ///< columns are places in shared memory
  std::vector<gpu::LinearChunk> chunks;         ///< may make the same columns again, for an output that has some of them often
  std::vector<Output> outputs;
  unsigned tile_count = 0;     ///< of all outputs
  unsigned makers = 0, adders = 0;   ///< groups of a block
  unsigned log_slots = 0;
  std::size_t shared_bytes = 0;   ///< of a block, within what every device gives without being asked

  /// For periodic weights that are constant over 2^log_run words, four at least.
  LinearPlan(const device::LinearCore& core, unsigned log_run);
};

/// Rotations of a layer with kUsesAtOnce uses at most. `zero` says whether those by zero are among them.
void list_rotations(const device::LinearCore& core, bool zero, std::vector<gpu::LinearRotation>& rotations, std::vector<gpu::LinearUse>& uses);

}  // namespace brainlock::device_cuda
