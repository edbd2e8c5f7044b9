// Many images at once, with progress and time left.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "ui.hpp"

namespace brainlock::app {

/// Calls work(i) for i below `count` on `threads` threads; progress, called `what`, on this one (`quiet`: none). `work` must not throw.
template <typename Work>
void for_images(const char* what, bool quiet, std::size_t count, unsigned threads, const Work& work) {
  Progress progress(what, quiet);
  std::atomic<std::size_t> next{0}, done{0};
  std::vector<std::jthread> workers;
  for (unsigned t = 0; t < std::min<std::size_t>(threads, count); ++t)
    workers.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) {
        work(i);
        ++done;
      }
    });
  while (done < count) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    progress.update(done, count);
  }
}

}  // namespace brainlock::app
