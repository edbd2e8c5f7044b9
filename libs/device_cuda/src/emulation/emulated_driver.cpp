#define BRAINLOCK_EMULATE_CUDA
#include "emulation/emulated_driver.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "kernel_cost.hpp"
#include "kernels/dispatch.cuh"

namespace brainlock::device_cuda {
namespace {

constexpr std::size_t kAlignment = 256;   // as cudaMalloc

/// The memory and the failures of a device, shared by its drivers.
class EmulatedDevice {
 public:
  explicit EmulatedDevice(const EmulationOptions& options) : options_(options) {}
  EmulatedDevice(const EmulatedDevice&) = delete;
  EmulatedDevice& operator=(const EmulatedDevice&) = delete;
  ~EmulatedDevice() {
    for (const auto& [memory, bytes] : blocks_) std::free(memory);
  }

  DeviceMemory memory() {
    const std::lock_guard lock(mutex_);
    return DeviceMemory{options_.memory_bytes - used_, options_.memory_bytes};
  }
  Result<void*> allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    void* const memory = rounded <= options_.memory_bytes - used_ ? std::aligned_alloc(kAlignment, rounded) : nullptr;
    if (memory == nullptr) {
      return {ErrorCode::kResource, "out of memory: no room for " + std::to_string(bytes) + " bytes, " + std::to_string(used_) + " of " +
                                        std::to_string(options_.memory_bytes) + " in use"};
    }
    used_ += rounded;
    blocks_.emplace(memory, rounded);
    return memory;
  }
  void release(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto it = blocks_.find(memory);
    if (it == blocks_.end()) return;
    used_ -= it->second;
    std::free(memory);
    blocks_.erase(it);
  }

  /// Whether the next launch is to be done.
  bool launches() {
    const std::lock_guard lock(mutex_);
    if (++launches_ == options_.failing_launch) status_ = Error{ErrorCode::kUnavailable, "emulated device: launch " + std::to_string(launches_) + " was told to fail"};
    return status_.ok();
  }
  void fail(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (status_) status_ = Error{ErrorCode::kInternal, what};
  }
  const EmulationOptions& options() const { return options_; }
  Status status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  const EmulationOptions options_;
  mutable std::mutex mutex_;
  std::map<void*, std::size_t> blocks_;
  std::size_t used_ = 0;
  std::uint64_t launches_ = 0;
  Status status_;
};

/// Launches with copies of their arguments, as a device's graph has them.
class EmulatedGraph final : public Graph {
 public:
  EmulatedGraph(const std::vector<gpu::Launch>& launches, LaunchOrder order) : launches_(launches), order_(order) {
    for (gpu::Launch& launch : launches_) {
      // Arguments are aligned to 16 bytes at most.
      auto& copy = arguments_.emplace_back((launch.argument_bytes + 15) / 16);
      std::memcpy(copy.data(), launch.arguments, launch.argument_bytes);
      launch.arguments = copy.data();
    }
  }
  const std::vector<gpu::Launch>& launches() const { return launches_; }
  LaunchOrder order() const { return order_; }

 private:
  struct alignas(16) Piece {
    char bytes[16];
  };
  std::vector<gpu::Launch> launches_;
  LaunchOrder order_;
  std::vector<std::vector<Piece>> arguments_;
};

/// The limits of every GPU; shared memory as far as a kernel need not ask for more of it, unless it has clusters, which are asked for. Null: none
/// is broken.
const char* broken_limit(const gpu::Launch& launch) {
  const auto& grid = launch.grid;
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return "emulated device: an empty grid";
  if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) return "emulated device: too large a grid";
  if (launch.threads == 0 || launch.threads > 1024 || launch.threads % 32 != 0) return "emulated device: a block of an impossible size";
  const unsigned cluster = gpu::cluster_blocks(launch.kernel, launch.variant);
  if (launch.shared_bytes > std::size_t{cluster > 1 ? 227u : 48u} << 10) return "emulated device: more shared memory than a block may have";
  if (cluster > 8 || grid[0] % cluster != 0) return "emulated device: a grid that is not whole clusters of 8 blocks at most";
  if (launch.argument_bytes > 4096) return "emulated device: more than 4 KB of arguments";
  return nullptr;
}

CountedLaunch counted(const gpu::Launch& launch) {
  const KernelCost cost = cost_of(launch);
  return {gpu::name_of(launch.kernel), std::uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2] * launch.threads, cost.memory_bytes, cost.integer_operations};
}

class EmulatedDriver final : public Driver {
 public:
  explicit EmulatedDriver(std::shared_ptr<EmulatedDevice> device) : device_(std::move(device)) {}

  std::string name() const override { return "emulated"; }
  Result<DeviceMemory> memory() override { return device_->memory(); }
  Result<void*> allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  void release(void* memory) override { device_->release(memory); }

  void copy_in(void* device, const void* host, std::size_t bytes) override {
    if (bytes != 0 && !device_->options().counts_only) std::memcpy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    if (bytes == 0) return;
    if (device_->options().counts_only) {
      std::memset(host, 0, bytes);
    } else {
      std::memcpy(host, device, bytes);
    }
  }

  void launch(const gpu::Launch& launch) override {
    if (!device_->launches() || !own_.ok()) return;
    if (const char* const broken = broken_limit(launch)) return device_->fail(broken);
    const unsigned cluster = gpu::cluster_blocks(launch.kernel, launch.variant);
    if (cluster > 1 && !begin_cluster()) return;
    const EmulationOptions& options = device_->options();
    if (options.counts_only) {
      if (!gpu::on_host::dispatch(launch, [](auto*, const auto&) {})) device_->fail("emulated device: no such kernel");
      if (options.on_launch) options.on_launch(counted(launch));
      return;
    }
    const std::uint64_t waits = emulation::waits_for_earlier_launches();
    const bool known = gpu::on_host::dispatch(launch, [&](auto* kernel, const auto& arguments) {
      using Arguments = std::remove_cvref_t<decltype(arguments)>;
      static_assert(sizeof(Arguments) <= 4096, "kernel arguments are limited");
      const auto call = [&] { kernel(arguments); };
      emulation::Shape shape{{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, launch.shared_bytes, gpu::uses_barriers(launch.kernel), cluster};
      emulation::run_grid(shape, [](const void* context) { (*static_cast<decltype(&call)>(context))(); }, &call);
    });
    if (!known) return device_->fail("emulated device: no such kernel");
    const std::uint64_t threads = std::uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2] * launch.threads;
    if (emulation::waits_for_earlier_launches() - waits != threads) device_->fail("emulated device: a kernel whose threads do not all wait for the launches before it");
    const bool roomy_pass = cluster == 1 && launch.kernel <= gpu::Kernel::kNttInverseColumns && launch.variant >= gpu::kRoomyVariant;
    if (cluster > 1 && options.cluster_fault == EmulationOptions::Fault::kWrongWord) spoil(launch);
    if (roomy_pass && options.wrong_roomy_passes) spoil(launch);
  }
  void wait() override {}
  Status status() const override { return own_.ok() ? device_->status() : own_; }

  Result<std::shared_ptr<const Graph>> make_graph(const std::vector<gpu::Launch>& launches, LaunchOrder order) override {
    const EmulationOptions& options = device_->options();
    if (order == LaunchOrder::kDependent && (!options.dependent_launches || launches.size() > options.most_dependent_launches)) {
      return {ErrorCode::kUnavailable, "emulated device: no graph of dependent launches"};
    }
    return std::shared_ptr<const Graph>(std::make_shared<EmulatedGraph>(launches, order));
  }
  void run(const Graph& graph) override {
    const auto& emulated = static_cast<const EmulatedGraph&>(graph);
    for (const gpu::Launch& launch : emulated.launches()) {
      EmulatedDriver::launch(launch);
      const EmulationOptions& options = device_->options();
      if (emulated.order() == LaunchOrder::kDependent && options.wrong_dependent_launches && !options.counts_only) spoil(launch);
    }
  }
  /// By the host's clock, which is the device's.
  Result<std::vector<double>> time(const std::vector<gpu::Launch>& launches) override {
    std::vector<double> out;
    for (const gpu::Launch& launch : launches) {
      const auto begin = std::chrono::steady_clock::now();
      EmulatedDriver::launch(launch);
      out.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    BRAINLOCK_TRY(status());
    return out;
  }
  Result<std::shared_ptr<Driver>> make_sibling() override { return std::shared_ptr<Driver>(std::make_shared<EmulatedDriver>(device_)); }
  Features features() const override {
    const EmulationOptions& o = device_->options();
    return {o.roomy ? "" : "emulated: as slow as the others", o.clusters ? "" : "emulated without clusters of blocks", o.dependent_launches ? "" : "emulated without dependent launches"};
  }
  device::Peaks peaks() const override { return {}; }

 private:
  /// Whether a launch of a cluster is to be done.
  bool begin_cluster() {
    using Fault = EmulationOptions::Fault;
    const Fault fault = device_->options().cluster_fault;
    if (!device_->options().clusters) device_->fail("emulated device: it has no clusters");
    if (fault == Fault::kLaunch) own_ = Error{ErrorCode::kUnavailable, "emulated device: clusters were told to fail"};
    if (fault == Fault::kDevice) device_->fail("emulated device: it was told to be lost");
    return status().ok();
  }
  /// One bit of the first transform's last word is wrong.
  static void spoil(const gpu::Launch& launch) {
    if (launch.kernel > gpu::Kernel::kNttInverseCluster) return;
    const auto& a = *static_cast<const gpu::NttArguments*>(launch.arguments);
    a.jobs[0].out[(std::size_t{1} << a.ring.log_degree) - 1] ^= 1u;
  }

  std::shared_ptr<EmulatedDevice> device_;
  Status own_;   ///< failures of this queue alone
};

}  // namespace

std::shared_ptr<Driver> make_emulated_driver(const EmulationOptions& options) {
  return std::make_shared<EmulatedDriver>(std::make_shared<EmulatedDevice>(options));
}

}  // namespace brainlock::device_cuda
