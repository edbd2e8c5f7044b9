// The only file that sees CUDA's runtime: devices, memory, copies, launches, on one stream of one GPU.
#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include "cuda/cuda_driver.hpp"
#include "kernels/dispatch.cuh"

namespace brainlock::device_cuda {
namespace {

constexpr std::size_t kStagingBytes = std::size_t{4} << 20;   ///< of each of two halves of pinned memory
constexpr unsigned kMostThreads = 256;                        ///< of a block of any kernel but transforms and linear_layer
constexpr int kGraphsOfDependentLaunches = 12030;             ///< CUDA 12.3: the first that records them

std::string text(cudaError_t error) { return std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ")"; }

/// Drivers that there are, by device: as long as there is one, the device is not reset.
std::mutex drivers_mutex;
std::map<int, unsigned> drivers;

/// An instantiated graph; a captured launch has its arguments in it.
class CudaGraph final : public Graph {
 public:
  CudaGraph(int device, cudaGraphExec_t executable) : device_(device), executable_(executable) {}
  ~CudaGraph() override {
    cudaSetDevice(device_);
    cudaGraphExecDestroy(executable_);
  }
  cudaGraphExec_t get() const { return executable_; }

 private:
  const int device_;
  const cudaGraphExec_t executable_;
};

/// What a launch has beyond its size.
class LaunchAttributes {
 public:
  LaunchAttributes(unsigned cluster, LaunchOrder order) {
    if (cluster > 1) {
      list_[count_].id = cudaLaunchAttributeClusterDimension;
      list_[count_].val.clusterDim.x = cluster;
      list_[count_].val.clusterDim.y = 1;
      list_[count_++].val.clusterDim.z = 1;
    }
    if (order == LaunchOrder::kDependent) {
      list_[count_].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      list_[count_++].val.programmaticStreamSerializationAllowed = 1;
    }
  }
  /// Points to these attributes.
  cudaLaunchConfig_t config(dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream) {
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    config.attrs = list_;
    config.numAttrs = count_;
    return config;
  }

 private:
  cudaLaunchAttribute list_[2] = {};
  unsigned count_ = 0;
};

/// Events that keep their time.
class TimedEvents {
 public:
  TimedEvents() = default;
  TimedEvents(const TimedEvents&) = delete;
  TimedEvents& operator=(const TimedEvents&) = delete;
  ~TimedEvents() {
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  }
  cudaError_t record(cudaStream_t stream) {
    cudaEvent_t event = nullptr;
    cudaError_t error = cudaEventCreateWithFlags(&event, cudaEventDefault);
    if (error != cudaSuccess) return error;
    events_.push_back(event);
    return cudaEventRecord(event, stream);
  }
  /// Seconds from each to the next, once they are complete.
  cudaError_t read(std::vector<double>& seconds) const {
    for (std::size_t i = 1; i < events_.size(); ++i) {
      float milliseconds = 0;
      const cudaError_t error = cudaEventElapsedTime(&milliseconds, events_[i - 1], events_[i]);
      if (error != cudaSuccess) return error;
      seconds.push_back(1e-3 * milliseconds);
    }
    return cudaSuccess;
  }

 private:
  std::vector<cudaEvent_t> events_;
};

class CudaDriver final : public Driver {
 public:
  static Result<std::shared_ptr<Driver>> make(const DeviceInfo& info) {
    auto driver = std::make_shared<CudaDriver>(info);
    const cudaError_t error = driver->open();
    if (error != cudaSuccess) {
      cudaGetLastError();  // not to be taken for another call's
      return {ErrorCode::kUnavailable, driver->name() + ": cannot be opened: " + text(error) + "; see nvidia-smi for who uses it, or take --device cpu"};
    }
    return std::shared_ptr<Driver>(std::move(driver));
  }
  explicit CudaDriver(const DeviceInfo& info) : info_(info) {
    const std::lock_guard<std::mutex> lock(drivers_mutex);
    ++drivers[info_.index];
  }
  ~CudaDriver() override {
    close();
    const std::lock_guard<std::mutex> lock(drivers_mutex);
    --drivers[info_.index];
  }
  void close() {
    cudaSetDevice(info_.index);   // whatever it says: a broken device's error, too, and pinned memory is to be given back then as well
    if (stream_ != nullptr) cudaStreamSynchronize(stream_);
    for (const cudaEvent_t taken : taken_) {
      if (taken != nullptr) cudaEventDestroy(taken);
    }
    if (staging_ != nullptr) cudaFreeHost(staging_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
    cudaGetLastError();
  }

  std::string name() const override { return "cuda:" + std::to_string(info_.index) + " (" + info_.name + ")"; }
  Result<DeviceMemory> memory() override {
    std::size_t free_bytes = 0, total_bytes = 0;
    cudaError_t error = cudaSetDevice(info_.index);
    if (error == cudaSuccess) error = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (error != cudaSuccess) {
      cudaGetLastError();
      return {ErrorCode::kUnavailable, name() + ": " + text(error)};
    }
    return DeviceMemory{free_bytes, total_bytes};
  }

  Result<void*> allocate(std::size_t bytes) override {
    void* memory = nullptr;
    cudaError_t error = cudaSetDevice(info_.index);
    if (error == cudaSuccess) error = cudaMalloc(&memory, bytes);
    if (error == cudaSuccess) return memory;
    cudaGetLastError();
    std::size_t free_bytes = 0, total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    return {ErrorCode::kResource, name() + ": no room for " + std::to_string(bytes) + " bytes, " + std::to_string(free_bytes) + " of " +
                                      std::to_string(total_bytes) + " are free: " + text(error)};
  }
  void release(void* memory) override {
    use();
    cudaStreamSynchronize(stream_);
    note(cudaFree(memory), "free");
  }

  /// By way of pinned memory: what cudaMemcpyAsync has read of other memory when it returns is not promised, and the driver's own staging
  /// is slower. One half is filled by one copy after another while the device takes the other.
  void copy_in(void* device, const void* host, std::size_t bytes) override {
    use();
    const std::lock_guard<std::mutex> lock(staging_mutex_);
    for (std::size_t done = 0, piece = 0; done < bytes; done += piece) {
      if (filled_ == kStagingBytes) {
        note(cudaEventRecord(taken_[half_], stream_), "copy to the device");
        half_ ^= 1u;
        filled_ = 0;
        note(cudaEventSynchronize(taken_[half_]), "copy to the device");   // at once if it was never recorded
      }
      piece = std::min(kStagingBytes - filled_, bytes - done);
      char* const at = staging_ + half_ * kStagingBytes + filled_;
      std::memcpy(at, static_cast<const char*>(host) + done, piece);
      note(cudaMemcpyAsync(static_cast<char*>(device) + done, at, piece, cudaMemcpyHostToDevice, stream_), "copy to the device");
      filled_ = std::min((filled_ + piece + 255) / 256 * 256, kStagingBytes);
    }
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    use();
    note(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_), "copy from the device");
    note(cudaStreamSynchronize(stream_), "copy from the device");
  }

  /// Not after a failure: what a kernel finds then may be no addresses.
  void launch(const gpu::Launch& launch) override {
    use();
    if (failed_) return;
    note(launch_on(stream_, launch, LaunchOrder::kOneByOne), "launch");
  }
  void wait() override {
    use();
    note(cudaStreamSynchronize(stream_), "work on the device");
  }
  Status status() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return failure_ ? Status(*failure_) : Status();
  }

  Result<std::shared_ptr<const Graph>> make_graph(const std::vector<gpu::Launch>& launches, LaunchOrder order) override {
    // On a stream of its own, so that what other threads do meanwhile is no part of it.
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    cudaError_t error = cudaSetDevice(info_.index);
    if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (error == cudaSuccess) {
      error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
      if (error == cudaSuccess) {
        for (const gpu::Launch& launch : launches) {
          // Nothing of the graph is before the first one, and what is before the graph, it waits for as a whole.
          if (error == cudaSuccess) error = launch_on(stream, launch, &launch == launches.data() ? LaunchOrder::kOneByOne : order);
        }
        const cudaError_t ended = cudaStreamEndCapture(stream, &graph);   // also after a failure: the stream must leave its state
        if (error == cudaSuccess) error = ended;
      }
    }
    if (error == cudaSuccess) error = cudaGraphInstantiateWithFlags(&executable, graph, 0);
    if (error == cudaSuccess) error = cudaGraphUpload(executable, stream_);   // the first replay is then as fast as the others
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (stream != nullptr) cudaStreamDestroy(stream);
    if (error == cudaSuccess) return std::shared_ptr<const Graph>(std::make_shared<CudaGraph>(info_.index, executable));
    if (executable != nullptr) cudaGraphExecDestroy(executable);
    cudaGetLastError();
    const ErrorCode code = error == cudaErrorMemoryAllocation ? ErrorCode::kResource : ErrorCode::kUnavailable;
    return {code, name() + ": no graph of " + std::to_string(launches.size()) + " launches: " + text(error)};
  }
  void run(const Graph& graph) override {
    use();
    if (failed_) return;
    note(cudaGraphLaunch(static_cast<const CudaGraph&>(graph).get(), stream_), "launch of a graph");
  }
  Result<std::vector<double>> time(const std::vector<gpu::Launch>& launches) override {
    use();
    TimedEvents events;
    cudaError_t error = failed_ ? cudaSuccess : events.record(stream_);
    for (const gpu::Launch& launch : launches) {
      if (failed_ || error != cudaSuccess) break;
      note(launch_on(stream_, launch, LaunchOrder::kOneByOne), "launch");
      error = events.record(stream_);
    }
    note(cudaStreamSynchronize(stream_), "work on the device");
    std::vector<double> seconds;
    if (!failed_ && error == cudaSuccess) error = events.read(seconds);
    if (error == cudaSuccess && !failed_) return seconds;
    if (error == cudaSuccess) return status().error();
    cudaGetLastError();
    return {ErrorCode::kUnavailable, name() + ": kernels cannot be timed: " + text(error)};
  }
  Result<std::shared_ptr<Driver>> make_sibling() override { return make(info_); }
  Features features() const override { return features_; }
  device::Peaks peaks() const override {
    // 32-bit integer lanes of a multiprocessor: 64 at compute capability 8 and 9; later ones are not looked up.
    const double lanes = info_.major <= 9 ? 64 : 0;
    device::Peaks peaks;
    peaks.memory_bytes_per_s = static_cast<double>(info_.memory_bytes_per_s);
    peaks.integer_operations_per_s = lanes * info_.multiprocessors * static_cast<double>(info_.clock_hz);
    return peaks;
  }

 private:
  cudaError_t open() {
    cudaError_t error = cudaSetDevice(info_.index);
    if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
    for (cudaEvent_t& taken : taken_) {
      if (error == cudaSuccess) error = cudaEventCreateWithFlags(&taken, cudaEventDisableTiming);
    }
    void* staging = nullptr;
    if (error == cudaSuccess) error = cudaHostAlloc(&staging, 2 * kStagingBytes, cudaHostAllocDefault);
    staging_ = static_cast<char*>(staging);
    if (error == cudaSuccess) error = find_features();
    if (error == cudaSuccess) error = load_kernels();
    return error;
  }
  cudaError_t find_features() {
    if (info_.major < 9) {
      features_.against_clusters = "compute capability " + std::to_string(info_.major) + "." + std::to_string(info_.minor) + ", needed is 9.0";
      features_.against_dependent_launches = features_.against_clusters;
      return cudaSuccess;
    }
    int driver = 0, clusters = 0;
    cudaError_t error = cudaDriverGetVersion(&driver);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&clusters, cudaDevAttrClusterLaunch, info_.index);
    if (clusters == 0) features_.against_clusters = "the device launches no clusters";
    if (CUDART_VERSION < kGraphsOfDependentLaunches || driver < kGraphsOfDependentLaunches) {
      features_.against_dependent_launches = "graphs of dependent launches need CUDA 12.3, in this program and in the driver";
    }
    return error;
  }
  /// Every kernel, now: CUDA loads them at their first launch otherwise, which may be within a capture or a measurement, and a device that
  /// cannot run them would be found out in the middle of a request.
  cudaError_t load_kernels() {
    cudaError_t error = cudaSuccess;
    gpu::on_device::for_each_kernel([&](auto* kernel, const gpu::Launch& launch) {
      const void* const function = reinterpret_cast<const void*>(kernel);
      const unsigned cluster = gpu::cluster_blocks(launch.kernel, launch.variant);
      cudaFuncAttributes attributes;
      if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, function);
      if (error == cudaSuccess && attributes.maxThreadsPerBlock < static_cast<int>(threads_of(launch))) error = cudaErrorLaunchOutOfResources;
      if (error == cudaSuccess && cluster > 1 && features_.against_clusters.empty()) check_cluster(function, launch.variant % gpu::kRoomyVariant, cluster);
    });
    return error;
  }
  static unsigned threads_of(const gpu::Launch& launch) {
    const unsigned log_degree = launch.variant % gpu::kRoomyVariant;
    if (launch.kernel <= gpu::Kernel::kNttInverseColumns) return gpu::transform_shape(log_degree).threads;
    if (launch.kernel == gpu::Kernel::kLinearLayer) return gpu::kMostLinearGroups * gpu::kLinearTile;
    return gpu::cluster_blocks(launch.kernel, launch.variant) > 1 ? gpu::cluster_shape(log_degree).threads : kMostThreads;
  }
  /// Clusters that do not fit the device, or the part of it that is ours, are left out.
  void check_cluster(const void* function, unsigned log_degree, unsigned blocks) {
    const gpu::ClusterShape shape = gpu::cluster_shape(log_degree);
    const std::size_t shared_bytes = 2 * shape.tile_words * sizeof(gpu::Word);
    cudaError_t error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    LaunchAttributes attributes(blocks, LaunchOrder::kOneByOne);
    cudaLaunchConfig_t config = attributes.config(dim3(blocks), dim3(shape.threads), shared_bytes, stream_);
    int clusters = 0;
    if (error == cudaSuccess) error = cudaOccupancyMaxActiveClusters(&clusters, function, &config);
    if (error == cudaSuccess && clusters > 0) return;
    cudaGetLastError();
    features_.against_clusters = "clusters of " + std::to_string(blocks) + " blocks do not fit the device" + (error == cudaSuccess ? "" : ": " + text(error));
  }
  static cudaError_t launch_on(cudaStream_t stream, const gpu::Launch& launch, LaunchOrder order) {
    // Its own result: the thread's last error may be another device's.
    cudaError_t error = cudaErrorInvalidDeviceFunction;
    const unsigned cluster = gpu::cluster_blocks(launch.kernel, launch.variant);
    gpu::on_device::dispatch(launch, [&](auto* kernel, const auto& arguments) {
      const dim3 grid(launch.grid[0], launch.grid[1], launch.grid[2]);
      const void* pointers[] = {&arguments};
      const void* const function = reinterpret_cast<const void*>(kernel);
      if (cluster == 1 && order == LaunchOrder::kOneByOne) {
        error = cudaLaunchKernel(function, grid, dim3(launch.threads), const_cast<void**>(pointers), launch.shared_bytes, stream);
      } else {
        LaunchAttributes attributes(cluster, order);
        const cudaLaunchConfig_t config = attributes.config(grid, dim3(launch.threads), launch.shared_bytes, stream);
        error = cudaLaunchKernelExC(&config, function, const_cast<void**>(pointers));
      }
    });
    return error;
  }
  /// The current device belongs to the calling thread.
  void use() { note(cudaSetDevice(info_.index), "choice of the device"); }
  void note(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // It is kept here, and not to be taken for another call's.
    const std::lock_guard<std::mutex> lock(mutex_);
    failed_ = true;
    if (!failure_) {
      failure_ = Error{ErrorCode::kUnavailable, name() + ": " + what + " failed: " + text(error) + "; start again, and see dmesg if it stays"};
    }
  }

  const DeviceInfo info_;
  Features features_;
  cudaStream_t stream_ = nullptr;
  std::mutex staging_mutex_;
  char* staging_ = nullptr;            ///< two halves
  cudaEvent_t taken_[2] = {};          ///< all of the half has been copied to the device
  unsigned half_ = 0;                  ///< being filled
  std::size_t filled_ = 0;             ///< bytes of it
  mutable std::mutex mutex_;
  std::optional<Error> failure_;   ///< the first
  std::atomic<bool> failed_{false};
};

}  // namespace

bool built_with_cuda() { return true; }

Result<std::vector<DeviceInfo>> list_devices() {
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return {ErrorCode::kUnavailable, "cuda: no NVIDIA driver on this machine; install one (nvidia-smi then shows the GPUs), or take --device cpu"};
  }
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    cudaGetLastError();
    return {ErrorCode::kUnavailable, "cuda: the NVIDIA driver is for CUDA " + std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10) +
                                         ", this program needs one for " + std::to_string(CUDART_VERSION / 1000) + "." +
                                         std::to_string(CUDART_VERSION % 1000 / 10) + "; update the driver, or take --device cpu"};
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    cudaGetLastError();
    return {ErrorCode::kUnavailable, "cuda: the NVIDIA driver shows no GPU; see nvidia-smi and CUDA_VISIBLE_DEVICES, or take --device cpu"};
  }
  if (error != cudaSuccess) {
    cudaGetLastError();
    return {ErrorCode::kUnavailable, "cuda: the NVIDIA driver does not answer: " + text(error) + "; see nvidia-smi, or take --device cpu"};
  }
  std::vector<DeviceInfo> out;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    DeviceInfo info;
    info.index = i;
    info.name = properties.name;
    info.major = properties.major;
    info.minor = properties.minor;
    info.memory_bytes = properties.totalGlobalMem;
    info.multiprocessors = static_cast<unsigned>(properties.multiProcessorCount);
    info.last_cache_bytes = static_cast<std::uint64_t>(properties.l2CacheSize);
    int clock_khz = 0, memory_khz = 0, memory_bits = 0;
    if (cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, i) == cudaSuccess) info.clock_hz = std::uint64_t{1000} * static_cast<unsigned>(clock_khz);
    if (cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, i) == cudaSuccess &&
        cudaDeviceGetAttribute(&memory_bits, cudaDevAttrGlobalMemoryBusWidth, i) == cudaSuccess) {
      // Two transfers a clock.
      info.memory_bytes_per_s = std::uint64_t{2000} * static_cast<unsigned>(memory_khz) * static_cast<unsigned>(memory_bits) / 8;
    }
    cudaGetLastError();
    out.push_back(info);
  }
  return out;
}

Result<std::shared_ptr<Driver>> make_cuda_driver(int index) {
  BRAINLOCK_ASSIGN(const std::vector<DeviceInfo> devices, list_devices());
  for (const DeviceInfo& info : devices) {
    if (info.index != index) continue;
    if (info.major < kLeastComputeCapability) {
      return {ErrorCode::kUnsupported, "cuda:" + std::to_string(index) + " (" + info.name + "): compute capability " + std::to_string(info.major) + "." +
                                           std::to_string(info.minor) + ", needed is 8.0 or newer; take another GPU or --device cpu"};
    }
    return CudaDriver::make(info);
  }
  return {ErrorCode::kNotFound, "cuda:" + std::to_string(index) + ": there are " + std::to_string(devices.size()) + " GPUs, numbered from 0"};
}

bool reset_cuda_device(int index) {
  const std::lock_guard<std::mutex> lock(drivers_mutex);
  if (drivers[index] != 0) return false;
  // A broken device may answer even this with its error; what counts is that no other one is reset.
  cudaSetDevice(index);
  int current = -1;
  cudaGetDevice(&current);
  const bool done = current == index && cudaDeviceReset() == cudaSuccess;
  cudaGetLastError();
  return done;
}

}  // namespace brainlock::device_cuda
