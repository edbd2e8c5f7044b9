#include "brainlock/device/thread_pool.hpp"

#include <cassert>

#include "brainlock/base/processors.hpp"

namespace brainlock::device {
namespace {

constexpr int kSpins = 1500;  // about 30..60 us with the pause instruction

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // waits for the pipeline, about as long; "yield" does nothing on most processors
#endif
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) {
  if (threads == 0) threads = usable_processors();
  workers_.reserve(threads - 1);
  for (unsigned w = 1; w < threads; ++w) workers_.emplace_back([this, w] { work(w); });
}

ThreadPool::~ThreadPool() {
  quit_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t count, const std::stop_token& stop, Function function, void* context) {
  if (count == 0) return;
  assert(count < kClosed);
  const std::lock_guard lock(batch_mutex_);
  if (rehearsal_ != nullptr) return rehearse_batch(count, stop, function, context);
  if (workers_.empty() || count == 1) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!stop.stop_requested()) function(context, i, 0);
    }
    return;
  }
  const auto generation = static_cast<std::uint32_t>(ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  count_.store(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
  function_.store(function, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  stop_.store(&stop, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(std::uint64_t{generation} << 32, std::memory_order_release);
  epoch_.fetch_add(1);
  epoch_.notify_all();

  drain(generation, 0);
  const auto expected = static_cast<std::uint32_t>(count);
  for (int spin = 0; done_.load(std::memory_order_acquire) != expected; ++spin) {
    if (spin < kSpins) {
      pause();
    } else {
      const std::uint32_t seen = done_.load(std::memory_order_acquire);
      if (seen != expected) done_.wait(seen, std::memory_order_acquire);
    }
  }
  ticket_.store(std::uint64_t{generation} << 32 | kClosed, std::memory_order_release);
}

void ThreadPool::rehearse_batch(std::size_t count, const std::stop_token& stop, Function function, void* context) {
  rehearsal_->begin_batch(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool done = !stop.stop_requested();
    if (done) function(context, i, 0);  // always worker 0: a worker's scratch is warm in its core's cache
    rehearsal_->end_task(done);
  }
  rehearsal_->end_batch();
}

void ThreadPool::drain(std::uint32_t generation, unsigned worker) {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (true) {
    const auto next = static_cast<std::uint32_t>(ticket);
    if (static_cast<std::uint32_t>(ticket >> 32) != generation || next == kClosed) return;
    const std::uint32_t count = count_.load(std::memory_order_relaxed);
    if (next >= count) return;
    const Function function = function_.load(std::memory_order_relaxed);
    void* const context = context_.load(std::memory_order_relaxed);
    const std::stop_token* const stop = stop_.load(std::memory_order_relaxed);
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    if (!stop->stop_requested()) function(context, next, worker);
    // Notify on every task: the caller may sleep on any value of the counter.
    done_.fetch_add(1, std::memory_order_acq_rel);
    done_.notify_one();
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(unsigned worker) {
  std::uint32_t seen = 0;
  while (true) {
    int spin = 0;
    while (epoch_.load(std::memory_order_acquire) == seen) {
      if (++spin < kSpins) {
        pause();
      } else {
        epoch_.wait(seen, std::memory_order_acquire);
      }
    }
    seen = epoch_.load(std::memory_order_acquire);
    if (quit_.load(std::memory_order_acquire)) return;
    drain(static_cast<std::uint32_t>(ticket_.load(std::memory_order_acquire) >> 32), worker);
  }
}

}  // namespace brainlock::device
