// What batches of tasks would take on many threads, added up while one thread does all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace brainlock::device {

/// What a ThreadPool costs besides its tasks, in nanoseconds. On two virtual CPUs of one Zen 5 EPYC, which share their last cache, a batch that needs both
/// threads takes 0.32 us from its caller to the other one and back, and 35 ns pass between two claims (device_bench, batch_of_both and claims, medians).
/// Where threads do not share that cache a line takes several times as long from one to another, and many wait for it: hence six and three times that, a
/// guess.
struct PoolCosts {
  std::uint64_t batch_ns = 2000;  ///< from a batch's caller to the other threads, and from its last task back to the caller
  std::uint64_t claim_ns = 100;   ///< between two claims, which come one after the other, whoever makes them
};

/// A rehearsal of one run on `threads` threads. A pool that rehearses (ThreadPool::rehearse) does every task on its caller's thread, and this adds up:
/// task i goes to the thread that would be free first, as tasks are claimed in their order; a batch takes until its last task ends, and its PoolCosts; what
/// happens between batches counts as it is. Tasks that were skipped by a stop take no time. A batch of one task runs on the caller alone, as in the pool.
///
/// What it cannot see: threads that wait for memory or for each other's cache lines, clocks that fall when all cores are busy, sleepers that must be
/// woken. And one core's caches are warm in another way than those of many. So it says what the shape of the work allows, not what a machine will do.
/// One thread at a time, and one request.
class Rehearsal {
 public:
  /// Nanoseconds from some beginning, never less than before. Called once a task, twice a batch.
  using Clock = std::function<std::uint64_t()>;

  /// threads >= 1. Begins at once. No clock: the calling thread's processor time, in which nobody else's work counts
  /// (a reading takes some 0.4 us, which are taken off each task again).
  explicit Rehearsal(unsigned threads, PoolCosts costs = {}, Clock clock = {});

  [[nodiscard]] unsigned threads() const { return static_cast<unsigned>(free_at_.size()); }

  /// Forgets what was added up; the time begins now.
  void restart();
  struct Sum {
    double seconds = 0;          ///< the rehearsed run, from restart() to now
    double between_s = 0;        ///< of it, outside of batches, on one thread anyway
    double pool_s = 0;           ///< of it, PoolCosts::batch_ns
    double work_s = 0;           ///< all tasks added up: what one thread takes for them
    std::uint64_t batches = 0;   ///< of more than one task
    std::uint64_t tasks = 0;
  };
  [[nodiscard]] Sum sum() const;
  /// The rehearsed time of each batch since restart(), with all costs. Runs that do the same have as many, one for one.
  [[nodiscard]] const std::vector<std::uint64_t>& batches_ns() const { return batches_ns_; }

  // What a pool tells, in this order: a batch begins, each of its tasks has ended (or was not done), the batch is over.
  void begin_batch(std::size_t count);
  void end_task(bool done);
  void end_batch();

 private:
  PoolCosts costs_;
  Clock clock_;
  std::uint64_t reading_ = 0;          ///< what the clock itself takes of each task's time
  std::uint64_t started_ = 0;          ///< restart()
  std::uint64_t batch_started_ = 0, task_started_ = 0;
  std::uint64_t in_batches_ = 0;       ///< real time of all batches so far
  std::uint64_t rehearsed_ = 0;        ///< the sum of batches_ns_
  std::vector<std::uint64_t> batches_ns_;
  std::uint64_t work_ = 0, batches_ = 0, tasks_ = 0;
  bool alone_ = false;                 ///< this batch has one task, or there is one thread
  std::uint64_t next_claim_ = 0, end_ = 0;  ///< in this batch, from its beginning
  std::vector<std::uint64_t> free_at_; ///< the same, by thread: a heap, the earliest first
};

}  // namespace brainlock::device
