// CUDA's runtime: devices, their properties, errors, reset; and what tests ask.
#include <cstring>
#include <utility>

#include "machine/runtime_state.hpp"

namespace brainlock::device_cuda::machine {

State& State::get() {
  static auto* const state = new State;  // kernels are registered before main() and after nobody's end
  return *state;
}

void State::find(const std::string& what) { findings.push_back(what); }

void State::clear_device() {
  queues.clear();
  left_queues.clear();
  waited = std::make_shared<AccessOrder::Waited>();
  runner.order().forget_works();
  events.clear();
  graphs.clear();
  executables.clear();
  memory.release_all();
  for (const auto& [begin, bytes] : pinned) ::operator delete (reinterpret_cast<void*>(begin), std::align_val_t{4096});
  pinned.clear();
  for (auto& [function, kernel] : kernels) kernel = {kernel.name, false, std::size_t{48} << 10, nullptr};
  lost = cudaSuccess;
}

cudaError_t& last_error() {
  thread_local cudaError_t error = cudaSuccess;
  return error;
}

Call::Call(const char* name, bool needs_device) : lock_(State::get().mutex), name_(name) {
  State& s = State::get();
  if (needs_device) error_ = s.lost;
  if (error_ == cudaSuccess && s.options.driver_version == 0) error_ = cudaErrorInsufficientDriver;
  if (s.failure.call == 0 || (!s.failure.name.empty() && s.failure.name != name)) return;
  if (--s.failure.call != 0) return;
  s.failed = name;
  error_ = s.failure.error;
  if (s.failure.lost) s.lost = error_;
}

cudaError_t Call::finish(cudaError_t error) {
  if (error != cudaSuccess) last_error() = error;
  return error;
}
cudaError_t Call::wrong(cudaError_t error, const std::string& what) {
  State::get().find(std::string(name_) + ": " + what);
  return finish(error);
}

void set_machine(const MachineOptions& options) {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  s.clear_device();
  s.forget_edited();
  s.options = options;
  s.random.seed(options.seed);
  s.failure = {};
  s.failed.clear();
  s.instructions = s.launches = 0;
}

void plan_failure(const PlannedFailure& failure) {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  s.failure = failure;
  s.failed.clear();
}
std::string failed_call() {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  return s.failed;
}
std::vector<std::string> take_findings() {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  return std::exchange(s.findings, {});
}
std::vector<std::string> leftovers() {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  std::vector<std::string> out;
  if (s.lost != cudaSuccess) return out;
  const auto add = [&](std::size_t count, const char* what) {
    if (count != 0) out.push_back(std::to_string(count) + " " + what);
  };
  add(s.queues.size(), "streams");
  add(s.events.size(), "events");
  add(s.graphs.size(), "graphs");
  add(s.executables.size(), "executable graphs");
  add(s.memory.count(), "allocations of device memory");
  add(s.pinned.size(), "allocations of pinned memory");
  return out;
}
std::uint64_t instructions() {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  return s.instructions;
}
std::uint64_t launches() {
  State& s = State::get();
  const std::lock_guard lock(s.mutex);
  return s.launches;
}

}  // namespace brainlock::device_cuda::machine

using namespace brainlock::device_cuda::machine;  // the functions below are C's

namespace {
thread_local int current_device = 0;
}

cudaError_t cudaDriverGetVersion(int* version) {
  const std::lock_guard lock(State::get().mutex);
  *version = State::get().options.driver_version;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  Call call("cudaGetDeviceCount", false);
  *count = 0;
  if (call.failed()) return call.error();
  const MachineOptions& o = State::get().options;
  // A driver of the same major version serves all of its programs.
  if (o.driver_version / 1000 < CUDART_VERSION / 1000) return call.finish(cudaErrorInsufficientDriver);
  *count = o.devices;
  return call.finish(o.devices == 0 ? cudaErrorNoDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
  Call call("cudaSetDevice");
  if (call.failed()) return call.error();
  if (device < 0 || device >= State::get().options.devices) return call.finish(cudaErrorInvalidDevice);
  current_device = device;
  return call.finish(cudaSuccess);
}

cudaError_t cudaGetDevice(int* device) {
  Call call("cudaGetDevice");
  *device = current_device;
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  Call call("cudaGetDeviceProperties", false);
  if (call.failed()) return call.error();
  const MachineOptions& o = State::get().options;
  if (device < 0 || device >= o.devices) return call.finish(cudaErrorInvalidDevice);
  std::memset(properties, 0, sizeof(*properties));
  std::strncpy(properties->name, "machine of the tests", sizeof(properties->name) - 1);
  properties->major = o.major;
  properties->minor = o.minor;
  properties->totalGlobalMem = o.memory_bytes;
  properties->multiProcessorCount = o.multiprocessors;
  properties->l2CacheSize = 50 << 20;
  return call.finish(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  Call call("cudaDeviceGetAttribute", false);
  if (call.failed()) return call.error();
  const MachineOptions& o = State::get().options;
  if (device < 0 || device >= o.devices) return call.finish(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrClusterLaunch:
      *value = o.clusters && o.major >= 9 ? 1 : 0;
      break;
    case cudaDevAttrClockRate:
      *value = 1980000;
      break;
    case cudaDevAttrMemoryClockRate:
      *value = 3200000;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = 6144;
      break;
    default:
      return call.wrong(cudaErrorInvalidValue, "the machine does not know attribute " + std::to_string(attribute));
  }
  return call.finish(cudaSuccess);
}

cudaError_t cudaDeviceReset() {
  Call call("cudaDeviceReset", false);
  if (call.failed()) return call.error();
  State::get().clear_device();
  return call.finish(cudaSuccess);
}

/// Forgets the error, unless the device is lost.
cudaError_t cudaGetLastError() {
  const std::lock_guard lock(State::get().mutex);
  const cudaError_t lost = State::get().lost;
  const cudaError_t error = std::exchange(last_error(), cudaSuccess);
  return lost != cudaSuccess ? lost : error;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorMisalignedAddress:
      return "cudaErrorMisalignedAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorLaunchTimeout:
      return "cudaErrorLaunchTimeout";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNoKernelImageForDevice:
      return "cudaErrorNoKernelImageForDevice";
    case cudaErrorUnknown:
      return "cudaErrorUnknown";
    default:
      return "cudaError of another number";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "as the machine of the tests has it";
}
