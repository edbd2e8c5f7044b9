// A lane: a queue and memory of its own, a backend that works on it and one that notes for it.
#include <algorithm>
#include <cstring>
#include <map>

#include "cuda_backend.hpp"

namespace brainlock::device_cuda {
namespace {

struct alignas(16) Piece {
  char bytes[16];
};

/// Notes launches with copies of their arguments. Lists are copied to the device at once, on the queue that the lane works on: their memory
/// is kept for them. Uploads of data and downloads would be done at the wrong time, and fail.
class NotingDriver final : public Driver {
 public:
  NotingDriver(std::shared_ptr<Driver> device, LaunchOrder order) : device_(std::move(device)), order_(order) {}

  std::string name() const override { return device_->name(); }
  Result<DeviceMemory> memory() override { return device_->memory(); }
  Result<void*> allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  void release(void* memory) override { device_->release(memory); }
  void copy_in(void* device, const void* host, std::size_t bytes) override { device_->copy_in(device, host, bytes); }
  void copy_out(void*, const void*, std::size_t) override { refuse("a copy from the device"); }
  void launch(const gpu::Launch& launch) override {
    auto& copy = arguments_.emplace_back((launch.argument_bytes + sizeof(Piece) - 1) / sizeof(Piece));
    std::memcpy(copy.data(), launch.arguments, launch.argument_bytes);
    launches_.push_back(launch);
    launches_.back().arguments = copy.data();   // a vector that moves takes its memory along
  }
  void wait() override { refuse("waiting"); }
  Status status() const override { return failure_.ok() ? device_->status() : failure_; }
  Result<std::shared_ptr<const Graph>> make_graph(const std::vector<gpu::Launch>&, LaunchOrder) override { return unsupported("a recording"); }
  void run(const Graph&) override { refuse("a recording"); }
  Result<std::vector<double>> time(const std::vector<gpu::Launch>&) override { return unsupported("a measurement"); }
  Result<std::shared_ptr<Driver>> make_sibling() override { return unsupported("a lane"); }
  Features features() const override { return device_->features(); }
  device::Peaks peaks() const override { return device_->peaks(); }

  struct Noted {
    std::shared_ptr<const Graph> graph;
    GraphCost cost;
    std::vector<gpu::Launch> launches;
    std::vector<std::vector<Piece>> arguments;   ///< of these
  };
  /// What was noted, as one unit; begins anew.
  Result<Noted> take() {
    Noted out;
    out.launches = std::exchange(launches_, {});
    out.arguments = std::exchange(arguments_, {});
    const Status failure = std::exchange(failure_, {});
    BRAINLOCK_TRY(failure);
    BRAINLOCK_TRY(device_->status());
    for (const gpu::Launch& launch : out.launches) out.cost.add(launch);
    auto graph = device_->make_graph(out.launches, order_);
    if (!graph && order_ != LaunchOrder::kOneByOne) graph = device_->make_graph(out.launches, LaunchOrder::kOneByOne);   // right all the same
    BRAINLOCK_ASSIGN(out.graph, std::move(graph));
    return out;
  }

 private:
  static Error unsupported(const char* what) { return {ErrorCode::kUnsupported, std::string("recording: ") + what + " cannot be noted"}; }
  void refuse(const char* what) {
    if (failure_.ok()) failure_ = unsupported(what);
  }

  std::shared_ptr<Driver> device_;
  const LaunchOrder order_;
  std::vector<gpu::Launch> launches_;
  std::vector<std::vector<Piece>> arguments_;
  Status failure_;
};

class GraphRecording final : public device::Recording {
 public:
  GraphRecording(std::shared_ptr<Driver> driver, std::shared_ptr<Meter> meter, NotingDriver::Noted noted, std::vector<device::Buffer> lists)
      : driver_(std::move(driver)), meter_(std::move(meter)), noted_(std::move(noted)), lists_(std::move(lists)) {}
  void replay() const override { meter_->run(*driver_, *noted_.graph, noted_.cost); }
  std::uint64_t kernels() const override { return noted_.cost.kernels; }
  Result<std::vector<device::KernelTime>> kernel_times() const override {
    constexpr int kAhead = 2;   // so many runs are before it on the device while the host submits what is timed
    for (int i = 0; i < kAhead; ++i) driver_->run(*noted_.graph);
    BRAINLOCK_ASSIGN(const std::vector<double> seconds, driver_->time(noted_.launches));
    std::map<std::string, device::KernelTime> by_name;
    for (std::size_t i = 0; i < seconds.size(); ++i) {
      const gpu::Launch& launch = noted_.launches[i];
      const KernelCost cost = cost_of(launch);
      device::KernelTime& sum = by_name[gpu::name_of(launch.kernel)];
      ++sum.launches;
      sum.seconds += seconds[i];
      sum.memory_bytes += cost.memory_bytes;
      sum.integer_operations += cost.integer_operations;
    }
    std::vector<device::KernelTime> out;
    for (auto& [name, sum] : by_name) {
      sum.kernel = name;
      out.push_back(std::move(sum));
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return out;
  }

 private:
  std::shared_ptr<Driver> driver_;
  std::shared_ptr<Meter> meter_;
  NotingDriver::Noted noted_;
  std::vector<device::Buffer> lists_;   ///< read by the launches
};

class Lane final : public device::Recorder {
 public:
  Lane(const CudaBackend& backend, std::shared_ptr<Driver> queue, std::shared_ptr<Meter> meter)
      : queue_(queue), meter_(std::move(meter)),
        notes_(std::make_shared<NotingDriver>(queue, backend.variants().dependent_launches ? LaunchOrder::kDependent : LaunchOrder::kOneByOne)),
        memory_(std::make_shared<DevicePool>(queue, DevicePool::Options{.lasting = true})), doing_(backend.on(queue, memory_, meter_)),
        noting_(backend.on(notes_, memory_, std::make_shared<Meter>())) {
    // Not from the lane's memory: what one recording leaves free there, another one's launches write to.
    noting_->keep_lists(std::make_shared<DevicePool>(queue_, DevicePool::Options{.slab_bytes = std::size_t{1} << 20}));
  }
  ~Lane() override { queue_->wait(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  device::Backend& noting() override { return *noting_; }
  device::Backend& doing() override { return *doing_; }
  Result<std::shared_ptr<const device::Recording>> take() override {
    std::vector<device::Buffer> lists = noting_->take_kept_lists();
    BRAINLOCK_ASSIGN(NotingDriver::Noted noted, notes_->take());
    return std::shared_ptr<const device::Recording>(std::make_shared<GraphRecording>(queue_, meter_, std::move(noted), std::move(lists)));
  }

 private:
  std::shared_ptr<Driver> queue_;
  std::shared_ptr<Meter> meter_;
  std::shared_ptr<NotingDriver> notes_;
  std::shared_ptr<DevicePool> memory_;
  std::unique_ptr<CudaBackend> doing_, noting_;
};

}  // namespace

Result<std::shared_ptr<device::Recorder>> CudaBackend::make_recorder() {
  driver_->wait();   // keys, weights and constants came by this queue, and the lane's does not wait for it
  BRAINLOCK_TRY(driver_->status());
  BRAINLOCK_ASSIGN(auto queue, driver_->make_sibling());
  return std::shared_ptr<device::Recorder>(std::make_shared<Lane>(*this, std::move(queue), meter_));
}

}  // namespace brainlock::device_cuda
