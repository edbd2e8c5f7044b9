// A persistent pool for short, equal batches of work: the cores of one machine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <vector>

#include "brainlock/device/rehearsal.hpp"

namespace brainlock::device {

/// Runs indexed tasks on `threads` threads, the caller's among them. Tasks are claimed one by one, so uneven ones
/// balance. Workers spin some tens of microseconds after a batch, then sleep. Any thread may call parallel_for();
/// batches of several callers run one after the other. Not reentrant: a task must not call parallel_for() of its pool.
class ThreadPool {
 public:
  /// threads >= 1; 0: usable_processors().
  explicit ThreadPool(unsigned threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  /// Of the pool, or of the rehearsal: what callers cut their work by.
  [[nodiscard]] unsigned threads() const { return rehearsal_ != nullptr ? rehearsal_->threads() : static_cast<unsigned>(workers_.size()) + 1; }

  /// From now on every task runs on its caller's thread, as worker 0, and `rehearsal` adds up what threads() of them would take; null ends that. For
  /// measuring only: not while a batch runs, and one caller at a time from then on.
  void rehearse(std::shared_ptr<Rehearsal> rehearsal) { rehearsal_ = std::move(rehearsal); }

  /// Calls task(index, worker) for every index in [0, count), worker in [0, threads()); returns when all are done.
  /// Tasks must not throw. Once `stop` is requested the tasks not yet begun are skipped.
  template <typename Task>
  void parallel_for(std::size_t count, const std::stop_token& stop, Task&& task) {
    using Plain = std::remove_reference_t<Task>;
    run(count, stop, [](void* context, std::size_t index, unsigned worker) { (*static_cast<Plain*>(context))(index, worker); },
        const_cast<void*>(static_cast<const void*>(std::addressof(task))));
  }

 private:
  using Function = void (*)(void* context, std::size_t index, unsigned worker);
  void run(std::size_t count, const std::stop_token& stop, Function function, void* context);
  void work(unsigned worker);
  void drain(std::uint32_t generation, unsigned worker);
  void rehearse_batch(std::size_t count, const std::stop_token& stop, Function function, void* context);

  // ticket_ = generation << 32 | next index. A batch is closed (next = kClosed) before the fields below change, so a
  // claim that succeeds proves that the fields read before it belong to the same batch.
  static constexpr std::uint32_t kClosed = 0xffffffffu;
  std::atomic<std::uint64_t> ticket_{kClosed};
  std::atomic<std::uint32_t> count_{0};
  std::atomic<Function> function_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<const std::stop_token*> stop_{nullptr};
  std::atomic<std::uint32_t> done_{0};
  std::atomic<std::uint32_t> epoch_{0};  ///< what sleeping workers wait on
  std::atomic<bool> quit_{false};
  std::mutex batch_mutex_;
  std::shared_ptr<Rehearsal> rehearsal_;
  std::vector<std::thread> workers_;
};

}  // namespace brainlock::device
