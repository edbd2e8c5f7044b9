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

/// The fibres of one processor thread, reused from block to block: one that is through with a block waits for its part of the next.
class Fibres {
 public:
  Fibres() = default;
  Fibres(const Fibres&) = delete;
  Fibres& operator=(const Fibres&) = delete;
  ~Fibres() {
    if (stacks_ != MAP_FAILED) munmap(stacks_, contexts_.size() * kStackBytes);
  }

  void run(const std::vector<unsigned>& order, void (*body)(const void*), const void* context) {
    const std::size_t threads = order.size();
    reserve(threads);
    body_ = body;
    context_ = context;
    done_.assign(threads, false);
#if defined(__SANITIZE_THREAD__)
    scheduler_handle_ = __tsan_get_current_fiber();
#endif
    current_ = this;
    for (std::size_t finished = 0; finished == 0;) {
      for (const unsigned thread : order) {
        place.thread = thread;
        resume(thread);
        finished += done_[thread] ? 1 : 0;
      }
      if (finished != 0 && finished != threads) fail("a barrier was not reached by all threads");
    }
    current_ = nullptr;
  }

  /// From within a fibre: lets the others run up to here.
  static void wait() {
    if (current_ == nullptr) fail("a barrier in a kernel that is said to have none");
    current_->suspend(place.thread);
  }

 private:
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
      fibres->done_[place.thread] = true;
      fibres->suspend(place.thread);
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
  std::vector<bool> done_;
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

}  // namespace

void barrier() { Fibres::wait(); }

void run_grid(const Shape& shape, void (*body)(const void*), const void* context) {
  thread_local Fibres fibres;
  const std::size_t shared_words = (shape.shared_bytes + 3) / 4;
  std::vector<std::uint32_t> shared(shared_words + kGuardWords);
  std::vector<unsigned> order(shape.threads);
  place = {};
  place.threads = shape.threads;
  place.shared = shared.data();
  unsigned block = 0;
  for (place.block_z = 0; place.block_z < shape.grid[2]; ++place.block_z) {
    for (place.block_y = 0; place.block_y < shape.grid[1]; ++place.block_y) {
      for (place.block_x = 0; place.block_x < shape.grid[0]; ++place.block_x, ++block) {
        arrange(order, block);
        if (shape.barriers) {
          shared.assign(shared.size(), kNoise);
          fibres.run(order, body, context);
          for (std::size_t i = shared_words; i < shared.size(); ++i) {
            if (shared[i] != kNoise) fail("written beyond the end of shared memory");
          }
        } else {
          for (const unsigned thread : order) {
            place.thread = thread;
            body(context);
          }
        }
      }
    }
  }
}

}  // namespace brainlock::device_cuda::emulation
