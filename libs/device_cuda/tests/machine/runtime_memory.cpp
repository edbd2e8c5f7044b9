// CUDA's runtime: memory of the device, pinned memory of the host, copies.
//
// A copy is done when it is its queue's turn: pinned memory is read then, or written to. Memory of the host that is not
// pinned: to the device by an asynchronous copy is what the driver promises not to do; from the device it may be
// written to before the call returns, or later.
#include <new>

#include "machine/runtime_state.hpp"

using namespace brainlock::device_cuda::machine;

namespace {

constexpr std::size_t kPinnedAlignment = 4096;

std::uint64_t address_of(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

bool is_pinned(const void* p, std::size_t bytes) {
  const auto& pinned = State::get().pinned;
  auto it = pinned.upper_bound(address_of(p));
  if (it == pinned.begin()) return false;
  --it;
  return address_of(p) - it->first <= it->second && bytes <= it->second - (address_of(p) - it->first);
}

}  // namespace

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  Call call("cudaMalloc");
  if (call.failed()) return call.error();
  State& s = State::get();
  if (s.capture_forbids()) return call.wrong(cudaErrorStreamCaptureUnsupported, "within a capture");
  *memory = nullptr;
  if (bytes == 0) return call.finish(cudaSuccess);
  if (bytes > s.options.memory_bytes - s.memory.used_bytes()) return call.finish(cudaErrorMemoryAllocation);
  const std::uint64_t address = s.memory.allocate(bytes);
  if (address == 0) return call.finish(cudaErrorMemoryAllocation);
  *memory = reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
  return call.finish(cudaSuccess);
}

/// A call that gives something back does so even if it is told to fail: what it returns may be another call's error.
cudaError_t cudaFree(void* memory) {
  Call call("cudaFree");
  State& s = State::get();
  if (s.capture_forbids()) return call.wrong(cudaErrorStreamCaptureUnsupported, "within a capture");
  if (memory != nullptr && !s.memory.release(address_of(memory)) && s.lost == cudaSuccess)
    return call.wrong(cudaErrorInvalidValue, "memory that is not there");
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  Call call("cudaMemGetInfo");
  if (call.failed()) return call.error();
  State& s = State::get();
  *total_bytes = s.options.memory_bytes;
  *free_bytes = s.options.memory_bytes - s.memory.used_bytes();
  return call.finish(cudaSuccess);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  Call call("cudaHostAlloc");
  if (call.failed()) return call.error();
  State& s = State::get();
  if (s.capture_forbids()) return call.wrong(cudaErrorStreamCaptureUnsupported, "within a capture");
  *memory = ::operator new (bytes, std::align_val_t{kPinnedAlignment});
  s.pinned[address_of(*memory)] = bytes;
  return call.finish(cudaSuccess);
}

cudaError_t cudaFreeHost(void* memory) {
  Call call("cudaFreeHost");
  State& s = State::get();
  if (s.capture_forbids()) return call.wrong(cudaErrorStreamCaptureUnsupported, "within a capture");
  if (memory != nullptr) {
    if (s.pinned.erase(address_of(memory)) == 0)
      return s.lost != cudaSuccess ? call.error() : call.wrong(cudaErrorInvalidValue, "memory that is not there");
    ::operator delete (memory, std::align_val_t{kPinnedAlignment});
  }
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  Call call("cudaMemcpyAsync");
  if (call.failed()) return call.error();
  State& s = State::get();
  const std::shared_ptr<Queue> queue = s.queue(stream);
  if (queue == nullptr) return call.wrong(cudaErrorInvalidResourceHandle, "a stream that is not there");
  if (queue->capture) {
    queue->capture->broken = true;
    return call.wrong(cudaErrorStreamCaptureUnsupported, "the machine captures no copies");
  }
  if (bytes == 0) return call.finish(cudaSuccess);
  const bool in = kind == cudaMemcpyHostToDevice;
  if (!in && kind != cudaMemcpyDeviceToHost)
    return call.wrong(cudaErrorInvalidMemcpyDirection, "the machine knows copies between host and device only");
  const void* const host = in ? from : to;
  const std::uint64_t device = address_of(in ? to : from);
  if (s.memory.find(device, bytes) == nullptr) return call.wrong(cudaErrorInvalidValue, "device memory out of bounds");
  const bool pinned = is_pinned(host, bytes);
  if (in && !pinned) return call.wrong(cudaErrorInvalidValue, "an asynchronous copy from memory that is not pinned");
  s.ask(*queue, [&s, in, to, from, bytes, device, host, pinned] {
    if (pinned && !is_pinned(host, bytes)) return s.find("a copy of pinned memory that was freed before its turn");
    const GlobalMemory::Allocation* const a = s.memory.find(device, bytes);
    if (a == nullptr) {
      s.lost = cudaErrorIllegalAddress;
      return s.find("a copy of device memory that was freed before its turn");
    }
    in ? s.memory.write(device, from, bytes) : s.memory.read(to, device, bytes);
    const std::uint32_t now = s.runner.order().begin_copy();
    const std::size_t first = (device - a->begin) / 4, end = (device - a->begin + bytes + 3) / 4;
    try {
      for (std::size_t w = first; w < end; ++w) {
        if (!in && a->shadow[w].write_time == 0)
          throw Fault(FaultKind::kUndefined, "a word that nothing was written to");
        in ? s.runner.order().copy_to(a->shadow[w], now) : s.runner.order().copy_from(a->shadow[w], now);
      }
    } catch (const Fault& fault) {
      s.find(std::string(in ? "a copy to the device: " : "a copy from the device: ") + fault.what());
    }
  });
  if (!in && !pinned && s.random() % 2 == 0) s.run_until(queue, queue->asked);
  return call.finish(s.lost);
}
