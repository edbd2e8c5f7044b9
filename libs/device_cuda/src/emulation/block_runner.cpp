#include "emulation/block_runner.hpp"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>
#include <vector>

namespace brainlock::device_cuda::emulation {

thread_local constinit Place place;

namespace {

constexpr std::size_t kStackBytes = std::size_t{64} << 10;
constexpr std::uint32_t kNoise = 0xa5a5a5a5u;   // not below any modulus
constexpr std::size_t kGuardWords = 16;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated kernel: %s (block %u, %u, %u, thread %u)\n", what, place.block_x, place.block_y, place.block_z, place.thread);
  std::abort();
}

#if defined(__SANITIZE_THREAD__)
// The thread sanitizer keeps a history and a stack of calls for each thread, and has to be told of each switch.
struct SanitizedFibre {
  SanitizedFibre() : handle(__tsan_create_fiber(0)) {}
  SanitizedFibre(SanitizedFibre&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  SanitizedFibre& operator=(SanitizedFibre&&) = delete;
  ~SanitizedFibre() {
    if (handle != nullptr) __tsan_destroy_fiber(handle);
  }
  void* handle;
};
#endif

/// What a fibre came to when it stopped.
enum class Stop { kBarrier, kClusterWait, kEnd };

/// A block of the cluster that is run.
struct Block {
  Place place;                       ///< but for the thread
  std::vector<std::uint32_t> shared;
  std::vector<unsigned> order;       ///< of its threads
  std::uint64_t waits = 0;           ///< cluster barriers that it came to the second half of
  bool begun = false, ended = false;
};

/// The fibres of one processor thread, reused from block to block: one that is through with a block waits for its part of the next.
class Fibres {
 public:
  Fibres() = default;
  Fibres(const Fibres&) = delete;
  Fibres& operator=(const Fibres&) = delete;
  ~Fibres() {
    if (stacks_ != MAP_FAILED) munmap(stacks_, contexts_.size() * kStackBytes);
  }

  /// The blocks of a cluster, the one numbered `first` before the others wherever there is a choice.
  void run(std::vector<Block>& blocks, unsigned first, void (*body)(const void*), const void* context) {
    const std::size_t threads = blocks[0].order.size();
    reserve(blocks.size() * threads);
    blocks_ = &blocks;
    body_ = body;
    context_ = context;
    arrived_.assign(blocks.size() * threads, 0);
    arrivals_ = 0;
#if defined(__SANITIZE_THREAD__)
    scheduler_handle_ = __tsan_get_current_fiber();
#endif
    current_ = this;
    for (std::size_t ended = 0; ended < blocks.size();) {
      bool went_on = false;
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        const std::size_t b = (first + i) % blocks.size();
        if (blocks[b].ended || !may_go_on(blocks[b])) continue;
        went_on = true;
        run_block(blocks[b], static_cast<unsigned>(b * threads));
        ended += blocks[b].ended ? 1 : 0;
      }
      if (!went_on) fail("a cluster's barrier was not reached by all blocks");
    }
    current_ = nullptr;
  }

  /// From within a fibre: lets the others run up to here.
  static void wait() { current("a barrier in a kernel that is said to have none").stop(Stop::kBarrier); }
  static void cluster_arrive() {
    Fibres& f = current("a cluster's barrier in a kernel that is said to have none");
    ++f.arrivals_;
    ++f.arrived_[f.running_];
  }
  static void cluster_wait() {
    Fibres& f = current("a cluster's barrier in a kernel that is said to have none");
    if (f.arrived_[f.running_] != f.block().waits + 1) fail("the halves of a cluster's barrier are not in turn");
    f.stop(Stop::kClusterWait);
  }
  static std::uint32_t* shared_of_block(const std::uint32_t* own, unsigned number) {
    Fibres& f = current("a look into another block in a kernel that is said to have no barriers");
    if (number >= f.blocks_->size()) fail("a look into a block that the cluster does not have");
    Block& other = (*f.blocks_)[number];
    if (!other.begun) fail("a look into a block that has not begun");
    if (other.ended) fail("a look into a block that has ended");
    return other.shared.data() + (own - f.block().shared.data());
  }

 private:
  static Fibres& current(const char* what_is_wrong_otherwise) {
    if (current_ == nullptr) fail(what_is_wrong_otherwise);
    return *current_;
  }
  Block& block() { return (*blocks_)[running_ / (*blocks_)[0].order.size()]; }
  void stop(Stop why) {
    stop_ = why;
    suspend(running_);
  }
  bool may_go_on(const Block& b) const { return arrivals_ >= b.waits * arrived_.size(); }
  /// Until it ends, or waits for another one.
  void run_block(Block& block, unsigned first_fibre) {
    block.begun = true;
    do {
      std::size_t stops[3] = {};
      for (const unsigned thread : block.order) {
        place = block.place;
        place.thread = thread;
        running_ = first_fibre + thread;
        resume(running_);
        ++stops[static_cast<int>(stop_)];
      }
      if (stops[static_cast<int>(stop_)] != block.order.size()) fail("a barrier was not reached by all threads");
      block.ended = stop_ == Stop::kEnd;
      if (stop_ == Stop::kClusterWait) ++block.waits;
    } while (!block.ended && may_go_on(block));
    if (!block.ended) return;
    for (std::size_t t = 0; t < block.order.size(); ++t) {
      if (arrived_[first_fibre + t] != block.waits) fail("the end between the halves of a cluster's barrier");
    }
  }

  // A switch of contexts costs two system calls (signal masks), a jump none. A fibre is entered by the first and goes on by jumps;
  // sanitizers understand only the first.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  void resume(unsigned thread) {
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(handles_[thread].handle, 0);
#endif
    swapcontext(&scheduler_, &contexts_[thread]);
  }
  void suspend(unsigned thread) {
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(scheduler_handle_, 0);
#endif
    swapcontext(&contexts_[thread], &scheduler_);
  }
#else
  void resume(unsigned thread) {
    if (_setjmp(scheduler_jump_) != 0) return;
    if (!entered_[thread]) {
      entered_[thread] = true;
      setcontext(&contexts_[thread]);
    }
    _longjmp(jumps_[thread], 1);
  }
  void suspend(unsigned thread) {
    if (_setjmp(jumps_[thread]) == 0) _longjmp(scheduler_jump_, 1);
  }
  jmp_buf scheduler_jump_;
  struct Jump {
    jmp_buf to;
    operator jmp_buf&() { return to; }
  };
  std::vector<Jump> jumps_;
  std::vector<bool> entered_;
#endif

  static void enter() {
    for (;;) {
      Fibres* const fibres = current_;
      fibres->body_(fibres->context_);
      fibres->stop(Stop::kEnd);
    }
  }
  void reserve(std::size_t threads) {
    if (threads <= contexts_.size()) return;
    if (stacks_ != MAP_FAILED) munmap(stacks_, contexts_.size() * kStackBytes);
    stacks_ = mmap(nullptr, threads * kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks_ == MAP_FAILED) fail("no memory for stacks");
    contexts_ = std::vector<ucontext_t>(threads);
    for (std::size_t i = 0; i < threads; ++i) {
      getcontext(&contexts_[i]);   // each in its place: a context points into itself
      contexts_[i].uc_stack.ss_sp = static_cast<char*>(stacks_) + i * kStackBytes;
      contexts_[i].uc_stack.ss_size = kStackBytes;
      contexts_[i].uc_link = nullptr;   // a fibre never leaves
      makecontext(&contexts_[i], &Fibres::enter, 0);
    }
#if defined(__SANITIZE_THREAD__)
    handles_.clear();
    handles_.resize(threads);
#elif !defined(__SANITIZE_ADDRESS__)
    entered_.assign(threads, false);
    jumps_.resize(threads);
#endif
  }

  static thread_local constinit Fibres* current_;
  void* stacks_ = MAP_FAILED;
  std::vector<ucontext_t> contexts_;
  std::vector<Block>* blocks_ = nullptr;
  unsigned running_ = 0;                  ///< fibre
  Stop stop_ = Stop::kEnd;                ///< of the fibre that ran last
  std::vector<std::uint64_t> arrived_;    ///< per fibre
  std::uint64_t arrivals_ = 0;            ///< of all
  ucontext_t scheduler_{};
#if defined(__SANITIZE_THREAD__)
  std::vector<SanitizedFibre> handles_;
  void* scheduler_handle_ = nullptr;
#endif
  void (*body_)(const void*) = nullptr;
  const void* context_ = nullptr;
};

thread_local constinit Fibres* Fibres::current_ = nullptr;

/// Upwards, downwards, or with a stride that is odd and so visits every thread of a block of 2^k threads.
void arrange(std::vector<unsigned>& order, unsigned block) {
  const auto threads = static_cast<unsigned>(order.size());
  if (block % 3 == 0 || (threads & (threads - 1)) != 0) {
    std::iota(order.begin(), order.end(), 0U);
    return;
  }
  for (unsigned i = 0; i < threads; ++i) order[i] = (block % 3 == 1 ? threads - 1 - i : (i * 37 + block)) & (threads - 1);
}

thread_local constinit std::uint64_t earlier_waits = 0;

/// The whole of shared memory is noise at first, and its end stays so.
void begin_block(Block& block, std::size_t shared_words, unsigned number) {
  block.shared.assign(shared_words + kGuardWords, kNoise);
  block.place.shared = block.shared.data();
  block.waits = 0;
  block.begun = block.ended = false;
  arrange(block.order, number);
}
void check_end(const Block& block, std::size_t shared_words) {
  for (std::size_t i = shared_words; i < block.shared.size(); ++i) {
    if (block.shared[i] != kNoise) fail("written beyond the end of shared memory");
  }
}

}  // namespace

void barrier() { Fibres::wait(); }
void cluster_arrive() { Fibres::cluster_arrive(); }
void cluster_wait() { Fibres::cluster_wait(); }
std::uint32_t* shared_of_block(const std::uint32_t* own, unsigned block) { return Fibres::shared_of_block(own, block); }
void note_wait_for_earlier_launches() { ++earlier_waits; }
std::uint64_t waits_for_earlier_launches() { return earlier_waits; }

void run_grid(const Shape& shape, void (*body)(const void*), const void* context) {
  thread_local Fibres fibres;
  const std::size_t shared_words = (shape.shared_bytes + 3) / 4;
  const unsigned cluster = std::max(shape.cluster, 1U);
  std::vector<Block> blocks(cluster);
  for (Block& block : blocks) {
    block.order.resize(shape.threads);
    block.place.threads = shape.threads;
    block.shared.resize(shared_words + kGuardWords);
  }
  unsigned number = 0;
  for (unsigned z = 0; z < shape.grid[2]; ++z) {
    for (unsigned y = 0; y < shape.grid[1]; ++y) {
      for (unsigned x = 0; x < shape.grid[0]; x += cluster, number += cluster) {
        for (unsigned b = 0; b < cluster; ++b) {
          blocks[b].place.block_x = x + b;
          blocks[b].place.block_y = y;
          blocks[b].place.block_z = z;
          if (shape.barriers) begin_block(blocks[b], shared_words, number + b);
        }
        if (shape.barriers) {
          fibres.run(blocks, number / cluster % cluster, body, context);
          for (const Block& block : blocks) check_end(block, shared_words);
          continue;
        }
        arrange(blocks[0].order, number);
        for (const unsigned thread : blocks[0].order) {
          place = blocks[0].place;
          place.shared = blocks[0].shared.data();
          place.thread = thread;
          body(context);
        }
      }
    }
  }
  place = {};
}

}  // namespace brainlock::device_cuda::emulation
