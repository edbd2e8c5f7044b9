// One line per asker; the lines take turns, so that nobody waits because another asks much. And few jobs that go first.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "brainlock/protocol/signer.hpp"

namespace brainlock::miner {

struct QueueLimits {
  std::size_t total = 64;
  std::size_t per_asker = 8;
  unsigned workers = 1;    ///< an engine that uses all processors for one request wants one
};

/// Threads of its own. Safe from many threads.
class FairQueue {
 public:
  using Ticket = std::uint64_t;
  /// Runs on a worker. `stop` is set if the ticket is cancelled meanwhile, or the queue is destroyed.
  using Job = std::function<void(std::stop_token stop)>;

  explicit FairQueue(const QueueLimits& limits);
  /// Cancels everything; jobs in the line are dropped without being called, running ones are waited for.
  ~FairQueue();

  /// Room for one more of this asker?
  [[nodiscard]] bool has_room(const protocol::AccountId& asker) const;
  /// Nothing if there is no room or the queue is closed.
  std::optional<Ticket> push(const protocol::AccountId& asker, Job job);
  /// Before all lines, and however full they are: the caller bounds how many. Nothing if the queue is closed.
  std::optional<Ticket> push_first(Job job);
  /// Takes the job out of its line, or asks it to stop if it runs. True if it never ran.
  bool cancel(Ticket ticket);
  /// How many are before it: 0 if it runs or is done.
  [[nodiscard]] std::size_t ahead(Ticket ticket) const;
  /// No new ones; returns when all are done or after the time, true if all are done.
  bool drain(std::int64_t timeout_ms);

  struct Load {
    std::size_t running = 0, queued = 0;
  };
  [[nodiscard]] Load load() const;

 private:
  struct Item {
    Ticket ticket = 0;
    Job job;
  };
  struct Line {
    protocol::AccountId asker;
    std::deque<Item> items;
  };
  Item next_item();
  void work(const std::stop_token& stop);

  const QueueLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Item> first_;  ///< before all lines
  std::list<Line> lines_;   ///< the front line's turn is next
  std::map<Ticket, std::stop_source> running_;
  std::size_t queued_ = 0;
  Ticket next_ = 1;
  bool closed_ = false;
  std::vector<std::jthread> workers_;
};

}  // namespace brainlock::miner
