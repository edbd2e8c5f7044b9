// What a kernel may use of the machine it runs on, for three compilers: nvcc; clang without the CUDA toolkit (checks that the
// kernels compile to PTX); and the host's C++ compiler, which runs the same source thread by thread (emulation/).
//
// Kernels are functions marked BRAINLOCK_KERNEL with one argument, a plain struct of arguments.hpp by value. Blocks are
// one-dimensional, grids three-dimensional. Every thread of a block passes every barrier, or none does. Where warps of a block take different ways,
// barrier_apart() is the one barrier of all of them, wherever in the kernel each of them calls it.
//
// A kernel's first statement is wait_for_earlier_launches(): it may have been started while those before it still run (see
// LaunchOrder of driver.hpp), and only its arguments are there for certain.
//
// Blocks of a cluster, neighbours along x, run at the same time and see each other's shared memory. A cluster's barrier is in two halves:
// cluster_arrive() says that the thread is through with what it read and wrote so far, cluster_arrive_begun() only that it is there, and
// cluster_wait() waits until all threads of all blocks said so. Before the first look into another block it must have begun, and after the
// last one it must still be there: both need a barrier.
//
// One program holds kernels for both places, so each place has a namespace: BRAINLOCK_PLACE.
#pragma once

#include "kernels/arguments.hpp"

#if defined(BRAINLOCK_EMULATE_CUDA)

#include <cmath>

#include "emulation/block_runner.hpp"

#define BRAINLOCK_PLACE on_host
#define BRAINLOCK_KERNEL inline void
#define BRAINLOCK_BOUNDS(threads, blocks)
#define BRAINLOCK_DEVICE inline
#define BRAINLOCK_ARGUMENTS(type) const type
#define BRAINLOCK_UNROLL
#define BRAINLOCK_HAS_CLUSTERS

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

inline unsigned thread_x() { return emulation::place.thread; }
inline unsigned block_threads() { return emulation::place.threads; }
inline unsigned block_x() { return emulation::place.block_x; }
inline unsigned block_y() { return emulation::place.block_y; }
inline unsigned block_z() { return emulation::place.block_z; }
inline Word* shared_words() { return emulation::place.shared; }
inline void barrier() { emulation::barrier(); }
inline void barrier_apart() { emulation::barrier(); }
inline void wait_for_earlier_launches() { emulation::note_wait_for_earlier_launches(); }
inline void cluster_arrive() { emulation::cluster_arrive(); }
inline void cluster_arrive_begun() { emulation::cluster_arrive(); }
inline void cluster_wait() { emulation::cluster_wait(); }
/// Shared memory of the cluster's block number `block`.
class ClusterWords {
 public:
  ClusterWords(const Word* own, unsigned block) : words_(emulation::shared_of_block(own, block)) {}
  Word load(unsigned offset) const { return words_[offset]; }
  void store(unsigned offset, Word x) const { words_[offset] = x; }

 private:
  Word* words_;
};
inline float fused_multiply_add(float a, float b, float c) { return std::fma(a, b, c); }
inline Word round_to_word(float x) { return static_cast<Word>(std::nearbyint(x)); }
inline Word reverse_word(Word x) {
  x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
  x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
  x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
  return __builtin_bswap32(x);
}
template <class T>
T load_constant(const T* p) {
  return *p;
}
inline void load_constant_pair(const Factor* p, Factor& first, Factor& second) {
  first = p[0];
  second = p[1];
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE

#else

#define BRAINLOCK_PLACE on_device
#if defined(__clang__)
// The toolkit's headers are absent: name what the compiler itself provides.
#define BRAINLOCK_KERNEL __attribute__((global)) void
#define BRAINLOCK_BOUNDS(threads, blocks) __attribute__((launch_bounds(threads, blocks)))
#define BRAINLOCK_DEVICE __attribute__((device, always_inline)) inline
#define BRAINLOCK_ARGUMENTS(type) const type
#define BRAINLOCK_SHARED __attribute__((shared, aligned(16)))
#else
#define BRAINLOCK_KERNEL __global__ void
// Threads of a block at most, and blocks that a multiprocessor is to have room for: what leaves a thread its registers.
#define BRAINLOCK_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
#define BRAINLOCK_DEVICE __device__ __forceinline__
// In place in the constant bank: an index into the jobs makes no copy.
#define BRAINLOCK_ARGUMENTS(type) const __grid_constant__ type
#define BRAINLOCK_SHARED __shared__ __align__(16)
#endif
#define BRAINLOCK_UNROLL _Pragma("unroll")

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

extern BRAINLOCK_SHARED Word block_shared_words[];
BRAINLOCK_DEVICE Word* shared_words() { return block_shared_words; }

#if defined(__clang__)
BRAINLOCK_DEVICE void wait_for_earlier_launches() {}   // compute capability 8.0 starts nothing early
BRAINLOCK_DEVICE unsigned thread_x() { return static_cast<unsigned>(__nvvm_read_ptx_sreg_tid_x()); }
BRAINLOCK_DEVICE unsigned block_threads() { return static_cast<unsigned>(__nvvm_read_ptx_sreg_ntid_x()); }
BRAINLOCK_DEVICE unsigned block_x() { return static_cast<unsigned>(__nvvm_read_ptx_sreg_ctaid_x()); }
BRAINLOCK_DEVICE unsigned block_y() { return static_cast<unsigned>(__nvvm_read_ptx_sreg_ctaid_y()); }
BRAINLOCK_DEVICE unsigned block_z() { return static_cast<unsigned>(__nvvm_read_ptx_sreg_ctaid_z()); }
BRAINLOCK_DEVICE void barrier() { __syncthreads(); }
BRAINLOCK_DEVICE void barrier_apart() { asm volatile("bar.sync 1, %0;" ::"r"(block_threads()) : "memory"); }
BRAINLOCK_DEVICE float fused_multiply_add(float a, float b, float c) { return __nvvm_fma_rn_f(a, b, c); }
BRAINLOCK_DEVICE Word round_to_word(float x) { return static_cast<Word>(__nvvm_f2ui_rn(x)); }
BRAINLOCK_DEVICE Word reverse_word(Word x) { return __builtin_bitreverse32(x); }
template <class T>
BRAINLOCK_DEVICE T load_constant(const T* p) {
  return *p;
}
BRAINLOCK_DEVICE void load_constant_pair(const Factor* p, Factor& first, Factor& second) {
  first = p[0];
  second = p[1];
}
#else
BRAINLOCK_DEVICE unsigned thread_x() { return threadIdx.x; }
BRAINLOCK_DEVICE unsigned block_threads() { return blockDim.x; }
BRAINLOCK_DEVICE unsigned block_x() { return blockIdx.x; }
BRAINLOCK_DEVICE unsigned block_y() { return blockIdx.y; }
BRAINLOCK_DEVICE unsigned block_z() { return blockIdx.z; }
BRAINLOCK_DEVICE void barrier() { __syncthreads(); }
/// A barrier of its own with the number of threads: one that counts all threads must be called at the same place by all of them.
BRAINLOCK_DEVICE void barrier_apart() { asm volatile("bar.sync 1, %0;" ::"r"(block_threads()) : "memory"); }
/// And lets the next launch begin to wait: its blocks take places that are free, since all of this one's have theirs by then.
BRAINLOCK_DEVICE void wait_for_earlier_launches() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
BRAINLOCK_DEVICE float fused_multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
BRAINLOCK_DEVICE Word round_to_word(float x) { return __float2uint_rn(x); }
BRAINLOCK_DEVICE Word reverse_word(Word x) { return __brev(x); }
/// Memory that no kernel in flight writes: through the read-only path.
BRAINLOCK_DEVICE Word load_constant(const Word* p) { return __ldg(p); }
BRAINLOCK_DEVICE float load_constant(const float* p) { return __ldg(p); }
BRAINLOCK_DEVICE Factor load_constant(const Factor* p) {
  const uint2 pair = __ldg(reinterpret_cast<const uint2*>(p));
  return {pair.x, pair.y};
}
/// Two neighbours, the first at a multiple of 16 bytes: one load.
BRAINLOCK_DEVICE void load_constant_pair(const Factor* p, Factor& first, Factor& second) {
  const uint4 words = __ldg(reinterpret_cast<const uint4*>(p));
  first = {words.x, words.y};
  second = {words.z, words.w};
}
BRAINLOCK_DEVICE Modulus load_constant(const Modulus* p) {
  const uint4 words = __ldg(reinterpret_cast<const uint4*>(p));
  return {words.x, words.y, words.z, words.w};
}
BRAINLOCK_DEVICE Prime load_constant(const Prime* p) {
  const uint4 words = __ldg(reinterpret_cast<const uint4*>(p));
  return {words.x, words.y, words.z, words.w};
}
template <class T>
BRAINLOCK_DEVICE T load_constant(const T* p) {
  return *p;
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define BRAINLOCK_HAS_CLUSTERS
BRAINLOCK_DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
BRAINLOCK_DEVICE void cluster_arrive_begun() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
BRAINLOCK_DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
/// Shared memory of the cluster's block number `block`.
class ClusterWords {
 public:
  BRAINLOCK_DEVICE ClusterWords(const Word* own, unsigned block) {
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address_) : "r"(static_cast<unsigned>(__cvta_generic_to_shared(own))), "r"(block));
  }
  BRAINLOCK_DEVICE Word load(unsigned offset) const {
    Word x;
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(x) : "r"(address_ + 4 * offset) : "memory");
    return x;
  }
  BRAINLOCK_DEVICE void store(unsigned offset, Word x) const {
    asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(address_ + 4 * offset), "r"(x) : "memory");
  }

 private:
  unsigned address_;
};
#endif
#endif

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE

#endif
