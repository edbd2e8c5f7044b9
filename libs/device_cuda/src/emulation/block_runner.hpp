// Runs a grid of CUDA-like blocks on the processor: every thread of a block is a fibre, and a barrier switches to the next one.
//
// Between two barriers the threads run one after the other in an order that changes from block to block, so that a
// kernel which lacks a barrier gives wrong words. Shared memory begins as noise, and its end is watched. A barrier that only
// some threads of a block reach aborts with a message.
//
// Blocks of a cluster run together, but each as far as it can get alone: a block goes on until it waits for others. So a cluster's barrier
// that is missing gives wrong words too, and a look into a block that has not begun, or has ended, aborts.
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
/// The two halves of a cluster's barrier: the thread has come this far; all threads of all blocks have.
void cluster_arrive();
void cluster_wait();
/// What `own`, in the shared memory of this block, is in block number `block` of the cluster.
std::uint32_t* shared_of_block(const std::uint32_t* own, unsigned block);

/// A kernel says that it has waited for the launches before it; calls on this thread so far.
void note_wait_for_earlier_launches();
std::uint64_t waits_for_earlier_launches();

struct Shape {
  unsigned grid[3] = {1, 1, 1};
  unsigned threads = 1;
  std::size_t shared_bytes = 0;
  bool barriers = false;   ///< without them no fibres are needed; a barrier then aborts
  unsigned cluster = 1;    ///< blocks of a cluster, neighbours along x; more than one need barriers
};

/// Calls body(context) for every thread of every block, clusters one after the other, on the calling thread.
void run_grid(const Shape& shape, void (*body)(const void*), const void* context);

}  // namespace brainlock::device_cuda::emulation
