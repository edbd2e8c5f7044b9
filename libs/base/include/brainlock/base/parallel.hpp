// Work of many independent items on a few threads that live as long as the call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace brainlock {

/// Calls body(i, state) for every i below `count`, on at most `threads` threads, the caller's among them; each thread has a state of its
/// own from make_state(). Returns when all are done. Items are handed out in order, one at a time: worth a thread's start where
/// they take milliseconds. Neither function may throw.
template <typename MakeState, typename Body>
void parallel_for(std::size_t count, unsigned threads, const MakeState& make_state, const Body& body) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    auto state = make_state();
    for (std::size_t i = next++; i < count; i = next++) body(i, state);
  };
  std::vector<std::jthread> helpers;
  for (std::size_t t = 1; t < std::min<std::size_t>(threads, count); ++t) helpers.emplace_back(loop);
  loop();
}

/// The same without a state: body(i).
template <typename Body>
void parallel_for(std::size_t count, unsigned threads, const Body& body) {
  parallel_for(count, threads, [] { return 0; }, [&](std::size_t i, int) { body(i); });
}

}  // namespace brainlock
