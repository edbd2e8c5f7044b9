// CUDA's runtime: kernels, from their registration before main() to their launches. Code comes from the PTX that the
// build makes with the flags of cuda_driver.cu; a kernel is found there by the name that it was registered with.
#include <cstring>
#include <fstream>
#include <sstream>

#include "machine/runtime_state.hpp"

namespace brainlock::device_cuda::machine {
namespace {

/// What a block may ask for with cudaFuncSetAttribute, in KiB.
std::size_t most_shared(const MachineOptions& o) {
  return std::size_t{o.major == 8 ? (o.minor == 0 ? 163u : 99u) : 227u} << 10;
}

}  // namespace

/// The newest code that the device runs.
Result<State::Module*> State::module() {
  const unsigned target = options.major >= 9 ? 90 : 80;
  if (options.major < 8) return {ErrorCode::kUnsupported, "no code for this device"};
  auto& modules = options.edit ? edited_ : modules_;
  if (const auto it = modules.find(target); it != modules.end()) return &it->second;
  std::ifstream file(target == 90 ? BRAINLOCK_PTX_90 : BRAINLOCK_PTX_80);
  std::stringstream text;
  text << file.rdbuf();
  BRAINLOCK_ASSIGN(TextModule parsed, parse_ptx(options.edit ? options.edit(text.str()) : text.str()));
  if (parsed.target != target) return {ErrorCode::kMismatch, "PTX for another target"};
  return &modules.emplace(target, Module{std::move(parsed), {}}).first->second;
}

Result<std::shared_ptr<const Code>> State::code_of(Registered& kernel) {
  if (kernel.code != nullptr) return kernel.code;
  BRAINLOCK_ASSIGN(Module* const module, this->module());
  kernel.code = module->code[kernel.name];
  if (kernel.code != nullptr) return kernel.code;
  for (const TextKernel& k : module->text.kernels) {
    if (k.name != kernel.name) continue;
    BRAINLOCK_ASSIGN(Code code, compile(module->text, k));
    kernel.code = module->code[kernel.name] = std::make_shared<const Code>(std::move(code));
    return kernel.code;
  }
  return {ErrorCode::kNotFound, "no such kernel in the PTX: " + kernel.name};
}

void State::run_kernel(const KernelWork& work) {
  const std::uint64_t before = runner.instructions();
  runner.set_limit(options.most_instructions);
  try {
    runner.run(*work.code, work.shape, work.arguments.data());
  } catch (const Fault& fault) {
    find(fault.what());
    switch (fault.kind) {
      case FaultKind::kIllegalAddress:
        lost = cudaErrorIllegalAddress;
        break;
      case FaultKind::kMisaligned:
        lost = cudaErrorMisalignedAddress;
        break;
      case FaultKind::kNeverEnds:
        lost = cudaErrorLaunchTimeout;
        break;
      default:
        lost = cudaErrorLaunchFailure;
    }
  }
  instructions += runner.instructions() - before;
  ++launches;
}

}  // namespace brainlock::device_cuda::machine

using namespace brainlock::device_cuda::machine;

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  const std::lock_guard lock(State::get().mutex);
  State::get().kernels[host].name = name;
}
// What a launch with <<<>>> comes down to, of which the driver has none.
unsigned __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) { return cudaErrorNotSupported; }
cudaError_t __cudaGetKernel(void**, const void*) { return cudaErrorNotSupported; }
cudaError_t __cudaLaunchKernel(void*, dim3, dim3, void**, std::size_t, cudaStream_t) { return cudaErrorNotSupported; }

}  // extern "C"

namespace {

/// The kernel, loaded. A first use loads it, which is no good time within a capture.
cudaError_t load(Call& call, const void* function, Registered*& kernel) {
  State& s = State::get();
  const auto it = s.kernels.find(function);
  if (it == s.kernels.end()) return call.wrong(cudaErrorInvalidDeviceFunction, "no such kernel");
  kernel = &it->second;
  if (s.options.major < 8) return call.finish(cudaErrorNoKernelImageForDevice);
  const auto code = s.code_of(*kernel);
  if (!code.ok()) return call.wrong(cudaErrorInvalidPtx, code.error().to_string());
  if (!kernel->loaded && s.capture_forbids())
    return call.wrong(cudaErrorStreamCaptureUnsupported, "a kernel is loaded within a capture");
  kernel->loaded = true;
  return cudaSuccess;
}

cudaError_t launch(Call& call, const cudaLaunchConfig_t& config, const void* function, void** arguments) {
  State& s = State::get();
  const std::shared_ptr<Queue> queue = s.queue(config.stream);
  if (queue == nullptr) return call.wrong(cudaErrorInvalidResourceHandle, "a stream that is not there");
  Registered* kernel = nullptr;
  if (const cudaError_t error = load(call, function, kernel); error != cudaSuccess) return error;
  KernelWork work;
  work.code = kernel->code;
  const dim3 grid = config.gridDim, block = config.blockDim;
  const unsigned threads = block.x * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    return call.wrong(cudaErrorInvalidConfiguration, "a grid of an impossible size");
  if (threads == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024)
    return call.wrong(cudaErrorInvalidConfiguration, "a block of an impossible size");
  if (work.code->most_threads != 0 && threads > work.code->most_threads)
    return call.wrong(cudaErrorLaunchOutOfResources, "more threads than the kernel's bounds");
  if (work.code->exact_threads != 0 && threads != work.code->exact_threads)
    return call.wrong(cudaErrorInvalidConfiguration, "not the threads that the kernel is for");
  if (config.dynamicSmemBytes > kernel->most_dynamic_shared)
    return call.wrong(cudaErrorInvalidValue, "more shared memory than the kernel may have");
  work.shape.shared_bytes = config.dynamicSmemBytes;
  const unsigned sizes[][3] = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}};
  std::memcpy(work.shape.grid, sizes[0], sizeof(sizes[0]));
  std::memcpy(work.shape.block, sizes[1], sizeof(sizes[1]));
  for (unsigned a = 0; a < config.numAttrs; ++a) {
    const cudaLaunchAttribute& attribute = config.attrs[a];
    if (attribute.id == cudaLaunchAttributeClusterDimension) {
      const auto& dim = attribute.val.clusterDim;
      if (!s.options.clusters || s.options.major < 9) return call.finish(cudaErrorNotSupported);
      if (dim.y != 1 || dim.z != 1 || dim.x == 0 || dim.x > 8 || grid.x % dim.x != 0)
        return call.wrong(cudaErrorInvalidClusterSize,
                          "clusters that do not make up the grid, or of more than 8 blocks");
      if (!s.options.room_for_clusters) return call.finish(cudaErrorInvalidClusterSize);
      work.shape.cluster = dim.x;
    } else if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
      if (s.options.major < 9) return call.finish(cudaErrorNotSupported);
      work.shape.early = attribute.val.programmaticStreamSerializationAllowed != 0;
    } else {
      return call.wrong(cudaErrorNotSupported, "the machine does not know a launch's attribute");
    }
  }
  const char* const begin = static_cast<const char*>(arguments[0]);
  work.arguments.assign(begin, begin + work.code->parameter_bytes);
  if (queue->capture) {
    if (queue->capture->broken) return call.finish(cudaErrorStreamCaptureInvalidated);
    // CUDA 12.3 is the first whose graphs have such edges.
    if (work.shape.early && s.options.driver_version < 12030)
      return call.wrong(cudaErrorStreamCaptureUnsupported, "a dependent launch in a graph");
    queue->capture->nodes.push_back(std::move(work));
    return call.finish(cudaSuccess);
  }
  s.ask(*queue, [&s, work = std::move(work)] { s.run_kernel(work); });
  return call.finish(cudaSuccess);
}

}  // namespace

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, std::size_t shared_bytes,
                             cudaStream_t stream) {
  Call call("cudaLaunchKernel");
  if (call.failed()) return call.error();
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return launch(call, config, function, arguments);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  Call call("cudaLaunchKernelExC");
  if (call.failed()) return call.error();
  return launch(call, *config, function, arguments);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  Call call("cudaFuncGetAttributes");
  if (call.failed()) return call.error();
  Registered* kernel = nullptr;
  if (const cudaError_t error = load(call, function, kernel); error != cudaSuccess) return error;
  std::memset(attributes, 0, sizeof(*attributes));
  attributes->maxThreadsPerBlock =
      static_cast<int>(kernel->code->most_threads != 0 ? kernel->code->most_threads : 1024);
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(kernel->most_dynamic_shared);
  return call.finish(cudaSuccess);
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  Call call("cudaFuncSetAttribute");
  if (call.failed()) return call.error();
  Registered* kernel = nullptr;
  if (const cudaError_t error = load(call, function, kernel); error != cudaSuccess) return error;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
    return call.wrong(cudaErrorInvalidValue, "the machine does not know this attribute");
  if (value < 0 || static_cast<std::size_t>(value) > most_shared(State::get().options))
    return call.finish(cudaErrorInvalidValue);
  kernel->most_dynamic_shared = static_cast<std::size_t>(value);
  return call.finish(cudaSuccess);
}

cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void* function, const cudaLaunchConfig_t* config) {
  Call call("cudaOccupancyMaxActiveClusters");
  if (call.failed()) return call.error();
  Registered* kernel = nullptr;
  if (const cudaError_t error = load(call, function, kernel); error != cudaSuccess) return error;
  if (config->dynamicSmemBytes > kernel->most_dynamic_shared)
    return call.wrong(cudaErrorInvalidValue, "more shared memory than the kernel may have");
  *clusters = State::get().options.room_for_clusters ? State::get().options.multiprocessors / 8 : 0;
  return call.finish(cudaSuccess);
}
