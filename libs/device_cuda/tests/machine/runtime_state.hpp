// What the functions of CUDA's runtime share. Everything is done under one lock: a call at a time, and work of the
// device within calls.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "machine/machine.hpp"
#include "machine/ptx_grid.hpp"

namespace brainlock::device_cuda::machine {

/// A launch with a copy of its arguments.
struct KernelWork {
  std::shared_ptr<const Code> code;
  GridShape shape;
  std::vector<char> arguments;
};

struct Capture {
  std::thread::id thread;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool broken = false;
  std::vector<KernelWork> nodes;
};

struct Queue {
  std::uint64_t id = 0;
  std::deque<std::function<void()>> work;
  std::uint64_t asked = 0, done = 0;  ///< pieces of work
  std::optional<Capture> capture;
};

struct Event {
  std::shared_ptr<Queue> queue;  ///< null: never recorded
  std::uint64_t position = 0;    ///< complete when the queue has done so many
  bool timed = false;            ///< it keeps its time, and recording it is a piece of the queue's work
  std::uint64_t time = 0;        ///< instructions that the device had done
};

using GraphNodes = std::shared_ptr<const std::vector<KernelWork>>;

struct Registered {
  std::string name;
  bool loaded = false;
  std::size_t most_dynamic_shared = std::size_t{48} << 10;
  std::shared_ptr<const Code> code;  ///< for this device; null: not looked up yet
};

class State {
 public:
  static State& get();

  std::recursive_mutex mutex;
  MachineOptions options;
  std::map<const void*, Registered> kernels;
  GlobalMemory memory;
  std::map<std::uintptr_t, std::size_t> pinned;  ///< host memory: begin -> bytes
  GridRunner runner{memory};
  std::shared_ptr<const AccessOrder::Waited> waited =
      std::make_shared<AccessOrder::Waited>();  ///< by queue: what the host has waited for
  std::map<std::uint64_t, std::shared_ptr<Queue>> queues;
  std::vector<std::shared_ptr<Queue>> left_queues;  ///< destroyed, with work that is still to be done
  std::map<std::uint64_t, Event> events;
  std::map<std::uint64_t, GraphNodes> graphs, executables;
  std::uint64_t next_id = 0x1000;  ///< of handles, which are never used again
  cudaError_t lost = cudaSuccess;  ///< an error that stays until the device is reset
  std::vector<std::string> findings;
  std::mt19937 random{1};
  PlannedFailure failure;
  std::string failed;
  std::uint64_t instructions = 0, launches = 0;

  std::uint64_t new_id() { return next_id += 0x10; }
  void find(const std::string& what);
  /// Everything that a context has: memory, queues, events, graphs, loaded kernels.
  void clear_device();

  // runtime_streams.cpp
  std::shared_ptr<Queue> queue(cudaStream_t stream) const;  ///< null: there is none
  void ask(Queue& queue, std::function<void()> work);
  void note_waited(const Queue& queue, std::uint64_t position);
  void run_until(const std::shared_ptr<Queue>& queue, std::uint64_t position);
  void run_all();
  // runtime_kernels.cpp
  void forget_edited() { edited_.clear(); }
  void run_kernel(const KernelWork& work);
  Result<std::shared_ptr<const Code>> code_of(Registered& kernel);
  // runtime_graphs.cpp
  /// Whether calls that are not for every queue are forbidden to this thread by a capture; such a call breaks the
  /// capture.
  bool capture_forbids();

 private:
  /// PTX as the build made it is read once, edited PTX anew for each machine.
  struct Module {
    TextModule text;
    std::map<std::string, std::shared_ptr<const Code>> code;  ///< by kernel, when it was first asked for
  };
  Result<Module*> module();
  std::map<unsigned, Module> modules_, edited_;
};

/// A call of CUDA's runtime: takes the lock, fails as planned or because the device is lost, and keeps the thread's
/// last error.
class Call {
 public:
  /// `needs_device`: fails where the device is lost.
  explicit Call(const char* name, bool needs_device = true);
  bool failed() const { return error_ != cudaSuccess; }
  cudaError_t error() { return finish(error_); }
  cudaError_t finish(cudaError_t error);
  /// Against CUDA's rules: said, and the call fails.
  cudaError_t wrong(cudaError_t error, const std::string& what);

 private:
  std::lock_guard<std::recursive_mutex> lock_;
  const char* name_;
  cudaError_t error_ = cudaSuccess;
};
/// The calling thread's, as cudaGetLastError() gives it.
cudaError_t& last_error();

template <class Handle>
std::uint64_t id_of(Handle handle) {
  return reinterpret_cast<std::uintptr_t>(handle);
}
template <class Handle>
Handle handle_of(std::uint64_t id) {
  return reinterpret_cast<Handle>(static_cast<std::uintptr_t>(id));
}

}  // namespace brainlock::device_cuda::machine
