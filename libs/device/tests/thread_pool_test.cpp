#include "brainlock/device/thread_pool.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace brainlock::device {
namespace {

class ThreadPoolOf : public ::testing::TestWithParam<unsigned> {};

TEST_P(ThreadPoolOf, RunsEveryTaskOnceInManyBatches) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (std::size_t batch = 0; batch < 3000; ++batch) {
    const std::size_t count = batch % 37;
    std::vector<int> hits(count);
    pool.parallel_for(count, {}, [&](std::size_t i, unsigned worker) {
      EXPECT_LT(worker, pool.threads());
      ++hits[i];
    });
    EXPECT_EQ(hits, std::vector<int>(count, 1));
  }
}

TEST_P(ThreadPoolOf, WorkersNeverShareAnIndexAtOneTime) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> busy(pool.threads());
  pool.parallel_for(500, {}, [&](std::size_t, unsigned worker) {
    EXPECT_EQ(busy[worker].fetch_add(1), 0);
    std::this_thread::yield();
    busy[worker].fetch_sub(1);
  });
}

TEST_P(ThreadPoolOf, StopSkipsTheRest) {
  ThreadPool pool(GetParam());
  std::stop_source stop;
  std::atomic<std::size_t> ran{0};
  pool.parallel_for(1000, stop.get_token(), [&](std::size_t, unsigned) {
    const std::size_t before = ran.fetch_add(1);
    if (before == 10) stop.request_stop();
    while (before > 10 && !stop.stop_requested()) std::this_thread::yield();   // who stops may have been put to sleep on the way
  });
  EXPECT_GE(ran, 11U);
  EXPECT_LE(ran, 11U + GetParam());
}

TEST_P(ThreadPoolOf, SeveralCallersTakeTurns) {
  ThreadPool pool(GetParam());
  std::vector<std::thread> callers;
  std::atomic<std::size_t> total{0};
  std::atomic<bool> mixed{false};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int batch = 0; batch < 200; ++batch) {
        std::atomic<std::size_t> mine{0};
        pool.parallel_for(20, {}, [&](std::size_t, unsigned) { ++mine; });
        if (mine != 20) mixed = true;
        total += mine;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_FALSE(mixed);
  EXPECT_EQ(total, 4U * 200U * 20U);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOf, ::testing::Values(1U, 2U, 3U, 8U));

TEST(ThreadPool, ZeroMeansTheProcessorsOfThisProcess) { EXPECT_GE(ThreadPool(0).threads(), 1U); }

}  // namespace
}  // namespace brainlock::device
