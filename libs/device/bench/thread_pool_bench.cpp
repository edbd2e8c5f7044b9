// What a batch costs besides its tasks, back to back, so that nobody sleeps: PoolCosts of rehearsal.hpp.
#include <benchmark/benchmark.h>

#include <atomic>

#include "brainlock/device/thread_pool.hpp"

namespace brainlock::device {
namespace {

/// Two tasks that wait for each other, so that both threads have one: from the caller to the other thread, and back.
void batch_of_both(benchmark::State& state) {
  ThreadPool pool(2);
  for (auto _ : state) {
    std::atomic<int> there{0};
    pool.parallel_for(2, {}, [&](std::size_t, unsigned) {
      there.fetch_add(1);
      while (there.load() != 2) {
      }
    });
  }
}
/// Empty tasks, which two threads take from each other as fast as they can. Argument: how many.
void claims(benchmark::State& state) {
  ThreadPool pool(2);
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    std::atomic<int> there{0};
    pool.parallel_for(count, {}, [&](std::size_t i, unsigned) {
      if (i > 1) return;
      there.fetch_add(1);
      while (there.load() != 2) {
      }
    });
  }
}
BENCHMARK(batch_of_both)->UseRealTime()->Unit(benchmark::kNanosecond);
BENCHMARK(claims)->ArgName("tasks")->UseRealTime()->Unit(benchmark::kNanosecond)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace brainlock::device
