#include "brainlock/device_cuda/measure.hpp"

#include <algorithm>
#include <chrono>

#include "cuda/cuda_driver.hpp"
#include "emulation/emulated_driver.hpp"
#include "ring_tables.hpp"

namespace brainlock::device_cuda {
namespace {

constexpr unsigned kWantedLimbs = 40, kBatches = 100, kRepeats = 20;

}  // namespace

Result<TransformSpeed> measure_forward_transforms(const DeviceChoice& choice, const device::Ring& ring) {
  if (choice.kind == DeviceChoice::Kind::kCpu) return {ErrorCode::kUnsupported, "transforms are measured on a GPU"};
  const bool emulated = choice.kind == DeviceChoice::Kind::kEmulated;
  std::shared_ptr<Driver> driver;
  if (emulated) {
    driver = make_emulated_driver();
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
  arguments.rows = {.first = 0, .limbs = ring.q_count, .pieces = 1, .stride = 1, .compact_out = 0, .skip_own = 0};
  for (unsigned j = 0; j < jobs; ++j) arguments.jobs[j] = {memory.data() + j * words, memory.data() + j * words, nullptr, nullptr};
  const unsigned log_degree = tables.ring.log_degree;
  const gpu::TransformShape shape = gpu::transform_shape(log_degree);
  std::vector<gpu::Launch> launches;
  for (unsigned i = 0; i < (emulated ? 1 : kBatches); ++i) {
    for (const auto kernel : {gpu::Kernel::kNttForwardColumns, gpu::Kernel::kNttForwardRows}) {
      launches.push_back({kernel, log_degree, {1u << (log_degree - shape.log_tile), rows, jobs}, shape.threads, shape.shared_words * sizeof(device::Word),
                          &arguments, sizeof(arguments), {}});
    }
  }
  BRAINLOCK_ASSIGN(const auto graph, driver->make_graph(launches));
  std::vector<double> seconds;
  for (unsigned i = 0; i < (emulated ? 1 : kRepeats + 2); ++i) {
    driver->wait();
    const auto begin = std::chrono::steady_clock::now();
    driver->run(*graph);
    driver->wait();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / (emulated ? 1 : kBatches));
  }
  BRAINLOCK_TRY(driver->status());
  if (!emulated) seconds.erase(seconds.begin(), seconds.begin() + 2);   // a device that was idle is slow at first
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2), seconds.end());
  const std::uint64_t operands = std::uint64_t{2} * jobs * words * sizeof(device::Word);
  return TransformSpeed{ring.degree(), jobs * rows, seconds[seconds.size() / 2], 2 * operands, operands};
}

}  // namespace brainlock::device_cuda
