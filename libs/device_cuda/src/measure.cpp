#include "brainlock/device_cuda/measure.hpp"

#include <algorithm>
#include <chrono>

#include "cuda/cuda_driver.hpp"
#include "emulation/emulated_driver.hpp"
#include "ring_tables.hpp"
#include "transform_launches.hpp"

namespace brainlock::device_cuda {
namespace {

constexpr unsigned kWantedLimbs = 40, kBatches = 100, kRepeats = 20;

/// Seconds a batch: the median over runs of a graph of `batches` of them, after two that do not count.
Result<double> median_seconds(Driver& driver, const TransformLaunches& batch, LaunchOrder order, unsigned batches, unsigned repeats) {
  std::vector<gpu::Launch> launches;
  for (unsigned i = 0; i < batches; ++i) launches.insert(launches.end(), batch.begin(), batch.end());
  BRAINLOCK_ASSIGN(const auto graph, driver.make_graph(launches, order));
  std::vector<double> seconds;
  constexpr unsigned kWarmUp = 2;   // a device that was idle is slow at first
  for (unsigned i = 0; i < kWarmUp + repeats; ++i) {
    driver.wait();
    const auto begin = std::chrono::steady_clock::now();
    driver.run(*graph);
    driver.wait();
    if (i >= kWarmUp) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / batches);
  }
  BRAINLOCK_TRY(driver.status());
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

Result<TransformSpeed> measure_forward_transforms(const DeviceChoice& choice, const device::Ring& ring, const Variants& taken) {
  if (choice.kind == DeviceChoice::Kind::kCpu) return {ErrorCode::kUnsupported, "transforms are measured on a GPU"};
  const bool emulated = choice.kind == DeviceChoice::Kind::kEmulated;
  std::shared_ptr<Driver> driver;
  if (emulated) {
    driver = make_emulated_driver({.clusters = true, .dependent_launches = true});
  } else {
    BRAINLOCK_ASSIGN(driver, make_cuda_driver(choice.index));
  }
  const auto pool = std::make_shared<DevicePool>(driver);
  BRAINLOCK_ASSIGN(RingTables tables, RingTables::make(ring, *driver, *pool));
  const std::uint32_t rows = ring.q_count + ring.p_count;
  const unsigned jobs = std::clamp(kWantedLimbs / rows, 1u, gpu::kMaxJobs);
  const std::size_t words = std::size_t{rows} * ring.degree();
  BRAINLOCK_ASSIGN(device::Buffer memory, pool->allocate(jobs * words));
  const std::vector<device::Word> zeros(words);   // any words below the primes: a transform's time does not depend on them
  for (unsigned j = 0; j < jobs; ++j) driver->copy_in(memory.data() + j * words, zeros.data(), words * sizeof(device::Word));

  gpu::NttArguments arguments{};
  arguments.ring = tables.ring;
  arguments.rows = gpu::row_map(0, ring.q_count, 1, 1, false, false);
  for (unsigned j = 0; j < jobs; ++j) arguments.jobs[j] = {memory.data() + j * words, memory.data() + j * words, nullptr, nullptr};
  const unsigned batches = emulated ? 1 : kBatches, repeats = emulated ? 1 : kRepeats;
  const auto measure = [&](Variants::Transform way, LaunchOrder order) {
    return median_seconds(*driver, transform_launches(way, true, arguments, rows, jobs), order, batches, repeats);
  };
  TransformSpeed out{.degree = ring.degree(), .limbs = jobs * rows, .way = taken.transform(true, std::uint64_t{jobs} * rows)};
  BRAINLOCK_ASSIGN(out.seconds, measure(out.way, taken.dependent_launches ? LaunchOrder::kDependent : LaunchOrder::kOneByOne));
  if (out.way != Variants::Transform::kTwoPasses || taken.dependent_launches) {
    BRAINLOCK_ASSIGN(out.two_passes_s, measure(Variants::Transform::kTwoPasses, LaunchOrder::kOneByOne));
  }
  out.operand_bytes = std::uint64_t{2} * jobs * words * sizeof(device::Word);
  out.traffic_bytes = (is_cluster(out.way) ? 1 : 2) * out.operand_bytes;
  return out;
}

}  // namespace brainlock::device_cuda
