// Counts what a backend makes its device do, while asked to.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "kernel_cost.hpp"

namespace brainlock::device_cuda {

/// What one pass over a recording adds.
struct GraphCost {
  std::uint64_t kernels = 0;
  KernelCost cost;
  std::set<std::pair<gpu::Kernel, unsigned>> distinct;

  void add(const gpu::Launch& launch) {
    ++kernels;
    cost += cost_of(launch);
    distinct.emplace(launch.kernel, launch.variant);
  }
};

/// Thread safe. Shared by a backend and its lanes.
class Meter {
 public:
  [[nodiscard]] bool on() const { return on_.load(std::memory_order_relaxed); }
  void count(bool on);
  [[nodiscard]] device::Counters counters() const;

  /// Do it, and count it if counting is on.
  void launch(Driver& driver, const gpu::Launch& launch) {
    if (!on()) return driver.launch(launch);
    counted_launch(driver, launch);
  }
  void run(Driver& driver, const Graph& graph, const GraphCost& cost) {
    if (!on()) return driver.run(graph);
    counted_run(driver, graph, cost);
  }
  void copy_in(Driver& driver, void* device, const void* host, std::size_t bytes);
  void copy_out(Driver& driver, void* host, const void* device, std::size_t bytes);

 private:
  void counted_launch(Driver& driver, const gpu::Launch& launch);
  void counted_run(Driver& driver, const Graph& graph, const GraphCost& cost);

  std::atomic<bool> on_{false};
  mutable std::mutex mutex_;
  device::Counters counters_;
  std::set<std::pair<gpu::Kernel, unsigned>> distinct_;
};

}  // namespace brainlock::device_cuda
