#include "brainlock/base/parallel.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

namespace brainlock {
namespace {

TEST(ParallelFor, EveryItemOnceWhateverTheThreads) {
  for (const unsigned threads : {0U, 1U, 2U, 7U}) {
    for (const std::size_t count : {0U, 1U, 5U, 1000U}) {
      std::vector<int> seen(count, 0);
      parallel_for(count, threads, [&](std::size_t i) { ++seen[i]; });
      EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(count)) << threads << " threads";
    }
  }
}

TEST(ParallelFor, NoMoreThreadsThanAskedForEachWithItsState) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> states{0};
  std::atomic<std::size_t> sum{0};
  parallel_for(100, 3, [&] { return ++states; }, [&](std::size_t i, int state) {
    EXPECT_GE(state, 1);
    sum += i;
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(sum, 4950U);
  EXPECT_EQ(states, 3);
  EXPECT_LE(threads.size(), 3U);
}

}  // namespace
}  // namespace brainlock
