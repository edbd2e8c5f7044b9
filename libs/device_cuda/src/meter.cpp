#include "meter.hpp"

#include <chrono>

namespace brainlock::device_cuda {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

void Meter::count(bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    counters_ = {};
    distinct_.clear();
  }
  on_ = on;
}

device::Counters Meter::counters() const {
  const std::lock_guard lock(mutex_);
  device::Counters out = counters_;
  out.distinct_kernels = static_cast<std::uint32_t>(distinct_.size());
  return out;
}

void Meter::counted_launch(Driver& driver, const gpu::Launch& launch) {
  const auto start = Clock::now();
  driver.launch(launch);
  const double seconds = seconds_since(start);
  const KernelCost cost = cost_of(launch);
  const std::lock_guard lock(mutex_);
  ++counters_.kernels;
  ++counters_.launches;
  counters_.submit_s += seconds;
  counters_.memory_bytes += cost.memory_bytes;
  counters_.integer_operations += cost.integer_operations;
  distinct_.emplace(launch.kernel, launch.variant);
}

void Meter::counted_run(Driver& driver, const Graph& graph, const GraphCost& cost) {
  const auto start = Clock::now();
  driver.run(graph);
  const double seconds = seconds_since(start);
  const std::lock_guard lock(mutex_);
  counters_.kernels += cost.kernels;
  ++counters_.replays;
  counters_.submit_s += seconds;
  counters_.memory_bytes += cost.cost.memory_bytes;
  counters_.integer_operations += cost.cost.integer_operations;
  distinct_.insert(cost.distinct.begin(), cost.distinct.end());
}

void Meter::copy_in(Driver& driver, void* device, const void* host, std::size_t bytes) {
  driver.copy_in(device, host, bytes);
  if (!on()) return;
  const std::lock_guard lock(mutex_);
  ++counters_.copies_to_device;
  counters_.bytes_to_device += bytes;
}

void Meter::copy_out(Driver& driver, void* host, const void* device, std::size_t bytes) {
  driver.copy_out(host, device, bytes);
  if (!on()) return;
  const std::lock_guard lock(mutex_);
  ++counters_.copies_from_device;
  counters_.bytes_from_device += bytes;
}

}  // namespace brainlock::device_cuda
