// CUDA's runtime: capture of a stream's launches, and graphs of them. A graph is one piece of a queue's work, with
// everything that it needs in it.
#include "machine/runtime_state.hpp"

namespace brainlock::device_cuda::machine {

bool State::capture_forbids() {
  bool forbids = false;
  for (const auto& [id, queue] : queues) {
    if (!queue->capture || queue->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    const bool mine = queue->capture->thread == std::this_thread::get_id();
    if (queue->capture->mode == cudaStreamCaptureModeThreadLocal && !mine) continue;
    forbids = queue->capture->broken = true;
  }
  return forbids;
}

}  // namespace brainlock::device_cuda::machine

using namespace brainlock::device_cuda::machine;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  Call call("cudaStreamBeginCapture");
  if (call.failed()) return call.error();
  const std::shared_ptr<Queue> queue = State::get().queue(stream);
  if (queue == nullptr) return call.wrong(cudaErrorInvalidResourceHandle, "a stream that is not there");
  if (queue->capture) return call.wrong(cudaErrorIllegalState, "a capture within a capture");
  queue->capture = Capture{std::this_thread::get_id(), mode, false, {}};
  return call.finish(cudaSuccess);
}

/// Ends the capture even if it is told to fail.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Call call("cudaStreamEndCapture");
  State& s = State::get();
  *graph = nullptr;
  const std::shared_ptr<Queue> queue = s.queue(stream);
  if (queue == nullptr)
    return s.lost != cudaSuccess ? call.error()
                                 : call.wrong(cudaErrorInvalidResourceHandle, "a stream that is not there");
  if (!queue->capture) return call.wrong(cudaErrorIllegalState, "there is no capture");
  if (queue->capture->thread != std::this_thread::get_id() && queue->capture->mode != cudaStreamCaptureModeRelaxed) {
    return call.wrong(cudaErrorStreamCaptureWrongThread, "another thread began the capture");
  }
  const Capture capture = *queue->capture;
  queue->capture.reset();
  if (call.failed()) return call.error();
  if (capture.broken) return call.finish(cudaErrorStreamCaptureInvalidated);
  const std::uint64_t id = s.new_id();
  s.graphs[id] = std::make_shared<const std::vector<KernelWork>>(capture.nodes);
  *graph = handle_of<cudaGraph_t>(id);
  return call.finish(cudaSuccess);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  Call call("cudaGraphInstantiateWithFlags");
  if (call.failed()) return call.error();
  State& s = State::get();
  const auto it = s.graphs.find(id_of(graph));
  if (it == s.graphs.end()) return call.wrong(cudaErrorInvalidValue, "a graph that is not there");
  const std::uint64_t id = s.new_id();
  s.executables[id] = std::make_shared<const std::vector<KernelWork>>(*it->second);
  *executable = handle_of<cudaGraphExec_t>(id);
  return call.finish(cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  Call call("cudaGraphDestroy");
  State& s = State::get();
  if (s.graphs.erase(id_of(graph)) == 0)
    return s.lost != cudaSuccess ? call.error() : call.wrong(cudaErrorInvalidValue, "a graph that is not there");
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  Call call("cudaGraphExecDestroy");
  State& s = State::get();
  const auto it = s.executables.find(id_of(executable));
  if (it == s.executables.end())
    return s.lost != cudaSuccess ? call.error() : call.wrong(cudaErrorInvalidValue, "a graph that is not there");
  // Two owners: the table, and whoever still has it in a queue.
  if (it->second.use_count() > 1 && s.lost == cudaSuccess) s.find("cudaGraphExecDestroy: the graph may be in flight");
  s.executables.erase(it);
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
  Call call("cudaGraphUpload");
  if (call.failed()) return call.error();
  State& s = State::get();
  const std::shared_ptr<Queue> queue = s.queue(stream);
  if (queue == nullptr || s.executables.count(id_of(executable)) == 0)
    return call.wrong(cudaErrorInvalidValue, "a graph or a stream that is not there");
  s.ask(*queue, [] {});
  return call.finish(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  Call call("cudaGraphLaunch");
  if (call.failed()) return call.error();
  State& s = State::get();
  const std::shared_ptr<Queue> queue = s.queue(stream);
  const auto it = s.executables.find(id_of(executable));
  if (queue == nullptr || it == s.executables.end())
    return call.wrong(cudaErrorInvalidValue, "a graph or a stream that is not there");
  s.ask(*queue, [&s, nodes = it->second] {
    for (const KernelWork& node : *nodes) {
      if (s.lost == cudaSuccess) s.run_kernel(node);
    }
  });
  return call.finish(cudaSuccess);
}
