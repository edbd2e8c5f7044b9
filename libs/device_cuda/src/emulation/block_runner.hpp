// Runs a grid of CUDA-like blocks on the processor: every thread of a block is a fibre, and a barrier switches to the next one.
//
// Between two barriers the threads run one after the other in an order that changes from block to block, so that a
// kernel which lacks a barrier gives wrong words. Shared memory begins as noise, and its end is watched. A barrier that only
// some threads of a block reach aborts with a message.
#pragma once

#include <cstddef>
#include <cstdint>

namespace brainlock::device_cuda::emulation {

/// Where the running thread is: what threadIdx, blockIdx and blockDim are on a device.
struct Place {
  unsigned thread = 0, threads = 0;
  unsigned block_x = 0, block_y = 0, block_z = 0;
  std::uint32_t* shared = nullptr;
};
extern thread_local constinit Place place;

/// Waits for the other threads of the block.
void barrier();

struct Shape {
  unsigned grid[3] = {1, 1, 1};
  unsigned threads = 1;
  std::size_t shared_bytes = 0;
  bool barriers = false;   ///< without them no fibres are needed; a barrier then aborts
};

/// Calls body(context) for every thread of every block, blocks one after the other, on the calling thread.
void run_grid(const Shape& shape, void (*body)(const void*), const void* context);

}  // namespace brainlock::device_cuda::emulation
