#define BRAINLOCK_EMULATE_CUDA
#include "emulation/emulated_driver.hpp"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

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
  void fail(const char* what) {
    const std::lock_guard lock(mutex_);
    if (status_) status_ = Error{ErrorCode::kInternal, what};
  }
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
  explicit EmulatedGraph(const std::vector<gpu::Launch>& launches) : launches_(launches) {
    for (gpu::Launch& launch : launches_) {
      // Arguments are aligned to 16 bytes at most.
      auto& copy = arguments_.emplace_back((launch.argument_bytes + 15) / 16);
      std::memcpy(copy.data(), launch.arguments, launch.argument_bytes);
      launch.arguments = copy.data();
    }
  }
  const std::vector<gpu::Launch>& launches() const { return launches_; }

 private:
  struct alignas(16) Piece {
    char bytes[16];
  };
  std::vector<gpu::Launch> launches_;
  std::vector<std::vector<Piece>> arguments_;
};

/// The limits of every GPU; shared memory as far as a kernel need not ask for more of it. Null: none is broken.
const char* broken_limit(const gpu::Launch& launch) {
  const auto& grid = launch.grid;
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return "emulated device: an empty grid";
  if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) return "emulated device: too large a grid";
  if (launch.threads == 0 || launch.threads > 1024 || launch.threads % 32 != 0) return "emulated device: a block of an impossible size";
  if (launch.shared_bytes > std::size_t{48} << 10) return "emulated device: more than 48 KB of shared memory";
  if (launch.argument_bytes > 4096) return "emulated device: more than 4 KB of arguments";
  return nullptr;
}

class EmulatedDriver final : public Driver {
 public:
  explicit EmulatedDriver(std::shared_ptr<EmulatedDevice> device) : device_(std::move(device)) {}

  std::string name() const override { return "emulated"; }
  Result<DeviceMemory> memory() override { return device_->memory(); }
  Result<void*> allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  void release(void* memory) override { device_->release(memory); }

  void copy_in(void* device, const void* host, std::size_t bytes) override {
    if (bytes != 0) std::memcpy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    if (bytes != 0) std::memcpy(host, device, bytes);
  }

  void launch(const gpu::Launch& launch) override {
    if (!device_->launches()) return;
    if (const char* const broken = broken_limit(launch)) return device_->fail(broken);
    const bool known = gpu::on_host::dispatch(launch, [&](auto* kernel, const auto& arguments) {
      using Arguments = std::remove_cvref_t<decltype(arguments)>;
      static_assert(sizeof(Arguments) <= 4096, "kernel arguments are limited");
      const auto call = [&] { kernel(arguments); };
      emulation::Shape shape{{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, launch.shared_bytes, gpu::uses_barriers(launch.kernel)};
      emulation::run_grid(shape, [](const void* context) { (*static_cast<decltype(&call)>(context))(); }, &call);
    });
    if (!known) device_->fail("emulated device: no such kernel");
  }
  void wait() override {}
  Status status() const override { return device_->status(); }

  Result<std::shared_ptr<const Graph>> make_graph(const std::vector<gpu::Launch>& launches) override {
    return std::shared_ptr<const Graph>(std::make_shared<EmulatedGraph>(launches));
  }
  void run(const Graph& graph) override {
    for (const gpu::Launch& launch : static_cast<const EmulatedGraph&>(graph).launches()) EmulatedDriver::launch(launch);
  }
  Result<std::shared_ptr<Driver>> make_sibling() override { return std::shared_ptr<Driver>(std::make_shared<EmulatedDriver>(device_)); }
  device::Peaks peaks() const override { return {}; }

 private:
  std::shared_ptr<EmulatedDevice> device_;
};

}  // namespace

std::shared_ptr<Driver> make_emulated_driver(const EmulationOptions& options) {
  return std::make_shared<EmulatedDriver>(std::make_shared<EmulatedDevice>(options));
}

}  // namespace brainlock::device_cuda
