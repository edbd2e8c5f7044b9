#include "brainlock/miner/fair_queue.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>

namespace brainlock::miner {
namespace {

const protocol::AccountId kAlice{1}, kBob{2}, kCarol{3};

/// A queue whose one worker is held until go().
struct Held {
  std::promise<void> gate, started;
  FairQueue queue;
  std::mutex mutex;
  std::string order;

  explicit Held(QueueLimits limits = {}) : queue(limits) {
    queue.push({99}, [this, ready = gate.get_future().share()](const std::stop_token&) {
      started.set_value();
      ready.wait();
    });
    started.get_future().wait();
  }
  FairQueue::Ticket add(const protocol::AccountId& asker, char mark) {
    return queue.push(asker, [this, mark](const std::stop_token&) {
      const std::lock_guard lock(mutex);
      order.push_back(mark);
    }).value();
  }
  std::string finish() {
    gate.set_value();
    EXPECT_TRUE(queue.drain(5000));
    return order;
  }
};

TEST(FairQueue, LinesTakeTurns) {
  Held held;
  for (const char mark : {'a', 'a', 'a', 'a'}) held.add(kAlice, mark);
  held.add(kBob, 'b');
  held.add(kCarol, 'c');
  held.add(kBob, 'b');
  EXPECT_EQ(held.finish(), "abcabaa");
}

TEST(FairQueue, SomeGoFirstHoweverFullTheLinesAre) {
  Held held({.total = 3, .per_asker = 2});
  const auto a = held.add(kAlice, 'a');
  held.add(kAlice, 'a');
  held.add(kBob, 'b');
  ASSERT_FALSE(held.queue.has_room(kCarol));
  const auto push_first = [&](char mark) {
    return held.queue.push_first([&held, mark](const std::stop_token&) {
      const std::lock_guard lock(held.mutex);
      held.order.push_back(mark);
    }).value();
  };
  const auto x = push_first('x'), y = push_first('y'), z = push_first('z');
  EXPECT_EQ(held.queue.ahead(x), 1u);
  EXPECT_EQ(held.queue.ahead(z), 3u);
  EXPECT_EQ(held.queue.ahead(a), 4u);
  EXPECT_TRUE(held.queue.cancel(y));
  EXPECT_EQ(held.queue.load().queued, 5u);
  EXPECT_EQ(held.finish(), "xzaba");
}

TEST(FairQueue, AheadCountsTurns) {
  Held held;
  const auto a1 = held.add(kAlice, 'a'), a2 = held.add(kAlice, 'a'), a3 = held.add(kAlice, 'a');
  const auto b1 = held.add(kBob, 'b'), b2 = held.add(kBob, 'b');
  // order: a1 b1 a2 b2 a3, behind the one that runs
  EXPECT_EQ(held.queue.ahead(a1), 1u);
  EXPECT_EQ(held.queue.ahead(b1), 2u);
  EXPECT_EQ(held.queue.ahead(a2), 3u);
  EXPECT_EQ(held.queue.ahead(b2), 4u);
  EXPECT_EQ(held.queue.ahead(a3), 5u);
  held.finish();
  EXPECT_EQ(held.queue.ahead(a1), 0u);
}

TEST(FairQueue, LimitsHoldPerAskerAndInAll) {
  Held held({.total = 3, .per_asker = 2, .workers = 1});
  held.add(kAlice, 'a');
  held.add(kAlice, 'a');
  EXPECT_FALSE(held.queue.has_room(kAlice));
  EXPECT_FALSE(held.queue.push(kAlice, [](const std::stop_token&) {}));
  EXPECT_TRUE(held.queue.has_room(kBob));
  held.add(kBob, 'b');
  EXPECT_FALSE(held.queue.has_room(kCarol));
  EXPECT_EQ(held.queue.load().queued, 3u);
  EXPECT_EQ(held.queue.load().running, 1u);
  EXPECT_EQ(held.finish(), "aba");
}

TEST(FairQueue, WaitingJobIsDroppedAndRunningOneIsAskedToStop) {
  Held held;
  const auto a = held.add(kAlice, 'a');
  held.add(kBob, 'b');
  EXPECT_TRUE(held.queue.cancel(a));
  EXPECT_FALSE(held.queue.cancel(a));
  EXPECT_EQ(held.finish(), "b");

  FairQueue queue({});
  std::promise<void> started;
  std::promise<bool> saw_stop;
  const auto ticket = queue.push(kAlice, [&](const std::stop_token& stop) {
    started.set_value();
    while (!stop.stop_requested()) std::this_thread::yield();
    saw_stop.set_value(true);
  });
  started.get_future().wait();
  EXPECT_FALSE(queue.cancel(*ticket));
  EXPECT_TRUE(saw_stop.get_future().get());
}

TEST(FairQueue, DrainTakesNoMoreAndSaysIfTimeRanOut) {
  Held held;
  EXPECT_FALSE(held.queue.drain(1));
  EXPECT_FALSE(held.queue.push(kAlice, [](const std::stop_token&) {}));
  held.gate.set_value();
  EXPECT_TRUE(held.queue.drain(5000));
}

}  // namespace
}  // namespace brainlock::miner
