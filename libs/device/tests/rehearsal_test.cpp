// A rehearsal adds up tasks whose times are made up.
#include "brainlock/device/rehearsal.hpp"

#include <gtest/gtest.h>

#include "brainlock/device/thread_pool.hpp"

namespace brainlock::device {
namespace {

/// A pool that rehearses on a clock of its own, which only tasks and host() move.
class MadeUp {
 public:
  explicit MadeUp(unsigned threads, PoolCosts costs = {0, 0}, unsigned real_threads = 1)
      : pool_(real_threads), rehearsal_(std::make_shared<Rehearsal>(threads, costs, [this] { return now_ns_; })) {
    pool_.rehearse(rehearsal_);
  }
  ThreadPool& pool() { return pool_; }
  Rehearsal& rehearsal() { return *rehearsal_; }
  Rehearsal::Sum sum() const { return rehearsal_->sum(); }
  /// What happens between batches.
  void host(std::uint64_t us) { now_ns_ += us * 1000; }
  /// A batch of tasks of so many microseconds.
  void batch(const std::vector<std::uint64_t>& task_us, const std::stop_token& stop = {}) {
    pool_.parallel_for(task_us.size(), stop, [&](std::size_t i, unsigned worker) {
      EXPECT_EQ(worker, 0U);
      host(task_us[i]);
    });
  }

 private:
  std::uint64_t now_ns_ = 5;
  ThreadPool pool_;
  std::shared_ptr<Rehearsal> rehearsal_;
};

constexpr double kUs = 1e-6;
constexpr double kRounding = 1e-12;   // of sums of a few binary fractions of seconds

TEST(Rehearsal, PoolHasItsThreadsWhileItRehearses) {
  MadeUp run(64);
  EXPECT_EQ(run.pool().threads(), 64U);
  run.pool().rehearse(nullptr);
  EXPECT_EQ(run.pool().threads(), 1U);
}

TEST(Rehearsal, FewerTasksThanThreadsTakeAsLongAsTheLongest) {
  MadeUp run(8);
  run.batch({10, 30, 20});
  EXPECT_NEAR(run.sum().seconds, 30 * kUs, kRounding);
  EXPECT_NEAR(run.sum().work_s, 60 * kUs, kRounding);
  EXPECT_EQ(run.sum().tasks, 3U);
}

TEST(Rehearsal, TasksGoInTheirOrderToTheThreadThatIsFreeFirst) {
  MadeUp run(2);
  run.batch({30, 10, 10, 10, 10, 5});   // one thread: 30, 10; the other one: 10, 10, 10, 5
  EXPECT_NEAR(run.sum().seconds, 40 * kUs, kRounding);
  run.rehearsal().restart();
  run.batch({10, 10, 10, 10, 5, 30});   // 10, 10, 5 and 10, 10, 30: the long one came last
  EXPECT_NEAR(run.sum().seconds, 50 * kUs, kRounding);
}

TEST(Rehearsal, OneLongTaskIsWaitedFor) {
  MadeUp run(16);
  std::vector<std::uint64_t> tasks(100, 1);
  tasks[0] = 1000;
  run.batch(tasks);
  EXPECT_NEAR(run.sum().seconds, 1000 * kUs, kRounding);
}

TEST(Rehearsal, OneThreadTakesTheSumAndPaysNothing) {
  MadeUp run(1, {1000, 100});
  run.batch({1, 2, 3});
  EXPECT_NEAR(run.sum().seconds, 6 * kUs, kRounding);
  EXPECT_EQ(run.sum().batches, 0U);
}

TEST(Rehearsal, NoTasksAreNoBatch) {
  MadeUp run(4, {1000, 100});
  run.batch({});
  EXPECT_EQ(run.sum().seconds, 0);
  EXPECT_EQ(run.sum().batches, 0U);
}

TEST(Rehearsal, OneTaskPaysNothing) {
  MadeUp run(4, {1000, 100});
  run.batch({7});
  EXPECT_NEAR(run.sum().seconds, 7 * kUs, kRounding);
  EXPECT_EQ(run.sum().batches, 0U);
}

TEST(Rehearsal, AddsWhatIsBetweenBatchesAndWhatTheyCost) {
  MadeUp run(4, {1000, 0});
  run.host(5);
  run.batch({10, 10});
  run.host(7);
  run.batch({20, 1, 1, 1, 1});
  run.host(1);
  const auto sum = run.sum();
  EXPECT_NEAR(sum.between_s, 13 * kUs, kRounding);
  EXPECT_NEAR(sum.pool_s, 2 * kUs, kRounding);
  EXPECT_NEAR(sum.seconds, (13 + 2 + 10 + 20) * kUs, kRounding);
  EXPECT_NEAR(sum.work_s, 44 * kUs, kRounding);
  EXPECT_EQ(sum.batches, 2U);
  EXPECT_EQ(sum.tasks, 7U);
  EXPECT_EQ(run.rehearsal().batches_ns(), (std::vector<std::uint64_t>{11000, 21000}));
}

TEST(Rehearsal, ClaimsComeOneAfterTheOther) {
  MadeUp run(8, {0, 3000});
  run.batch({10, 10, 10, 10});   // the last one is claimed after 9 us
  EXPECT_NEAR(run.sum().seconds, 19 * kUs, kRounding);
  run.rehearsal().restart();
  run.batch(std::vector<std::uint64_t>(100, 0));   // 99 claims after the first
  EXPECT_NEAR(run.sum().seconds, 297 * kUs, kRounding);
}

TEST(Rehearsal, TasksThatAStopSkippedTakeNoTime) {
  MadeUp run(2);
  std::stop_source stop;
  std::vector<std::size_t> ran;
  run.pool().parallel_for(10, stop.get_token(), [&](std::size_t i, unsigned) {
    ran.push_back(i);
    run.host(10);
    if (i == 2) stop.request_stop();
  });
  EXPECT_EQ(ran, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_NEAR(run.sum().seconds, 20 * kUs, kRounding);
  EXPECT_EQ(run.sum().tasks, 3U);
  run.batch({10, 10, 10}, stop.get_token());
  EXPECT_NEAR(run.sum().seconds, 20 * kUs, kRounding);
}

TEST(Rehearsal, RestartForgets) {
  MadeUp run(2);
  run.batch({10, 10});
  run.host(4);
  run.rehearsal().restart();
  EXPECT_EQ(run.sum().seconds, 0);
  EXPECT_EQ(run.sum().work_s, 0);
  EXPECT_TRUE(run.rehearsal().batches_ns().empty());
  run.batch({3, 3});
  EXPECT_NEAR(run.sum().seconds, 3 * kUs, kRounding);
}

TEST(Rehearsal, EndsAndThePoolIsAsBefore) {
  MadeUp run(64, {0, 0}, 3);
  run.batch({10, 10});
  run.pool().rehearse(nullptr);
  std::vector<int> hits(500);
  run.pool().parallel_for(hits.size(), {}, [&](std::size_t i, unsigned worker) {
    EXPECT_LT(worker, 3U);
    ++hits[i];
  });
  EXPECT_EQ(hits, std::vector<int>(hits.size(), 1));
  EXPECT_EQ(run.sum().tasks, 2U);
}

TEST(Rehearsal, HasAClockOfItsOwn) {
  ThreadPool pool(1);
  const auto rehearsal = std::make_shared<Rehearsal>(4U);
  pool.rehearse(rehearsal);
  std::atomic<std::uint64_t> sum{0};
  pool.parallel_for(8, {}, [&](std::size_t, unsigned) {
    for (int i = 0; i < 10000; ++i) sum += 1;
  });
  EXPECT_GT(rehearsal->sum().work_s, 0);
  EXPECT_LE(rehearsal->sum().between_s, rehearsal->sum().seconds);
}

}  // namespace
}  // namespace brainlock::device
