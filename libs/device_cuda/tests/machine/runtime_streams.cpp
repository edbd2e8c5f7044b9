// CUDA's runtime: streams and events. Work waits in its queue until somebody waits for it, and then other queues' work
// gets turns as well, in an order that the seed decides. An event is complete when all that was asked of its queue
// before it is done.
#include "machine/runtime_state.hpp"

namespace brainlock::device_cuda::machine {

std::shared_ptr<Queue> State::queue(cudaStream_t stream) const {
  const auto it = queues.find(id_of(stream));
  return it == queues.end() ? nullptr : it->second;
}

void State::ask(Queue& queue, std::function<void()> work) {
  ++queue.asked;
  queue.work.push_back([this, id = queue.id, position = queue.asked, known = waited, work = std::move(work)] {
    runner.order().begin_work(id, position, known);
    work();
  });
}

void State::note_waited(const Queue& queue, std::uint64_t position) {
  const auto it = waited->find(queue.id);
  if (it != waited->end() && it->second >= position) return;
  auto more = std::make_shared<AccessOrder::Waited>(*waited);
  (*more)[queue.id] = position;
  waited = std::move(more);
}

void State::run_until(const std::shared_ptr<Queue>& queue, std::uint64_t position) {
  const auto run_one = [this](Queue& q) {
    const std::function<void()> work = std::move(q.work.front());
    q.work.pop_front();
    ++q.done;
    if (lost == cudaSuccess) work();  // a lost device does nothing more
  };
  while (queue->done < position) {
    // Anybody's turn; most often that of the queue which is waited for.
    std::vector<Queue*> others;
    for (const auto& [id, other] : queues) {
      if (other != queue && !other->work.empty()) others.push_back(other.get());
    }
    for (const auto& other : left_queues) {
      if (other != queue && !other->work.empty()) others.push_back(other.get());
    }
    if (!others.empty() && random() % 3 == 0) run_one(*others[random() % others.size()]);
    run_one(*queue);
  }
}

void State::run_all() {
  for (const auto& [id, queue] : std::map(queues)) run_until(queue, queue->asked);
  for (const auto& queue : std::vector(left_queues)) run_until(queue, queue->asked);
  left_queues.clear();
}

}  // namespace brainlock::device_cuda::machine

using namespace brainlock::device_cuda::machine;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  Call call("cudaStreamCreateWithFlags");
  if (call.failed()) return call.error();
  if (flags != cudaStreamNonBlocking)
    return call.wrong(cudaErrorInvalidValue, "the machine knows streams beside the default one only");
  auto queue = std::make_shared<Queue>();
  queue->id = State::get().new_id();
  *stream = handle_of<cudaStream_t>(queue->id);
  State::get().queues[queue->id] = std::move(queue);
  return call.finish(cudaSuccess);
}

/// Returns at once; work that was asked for is still done.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Call call("cudaStreamDestroy");
  State& s = State::get();
  const std::shared_ptr<Queue> queue = s.queue(stream);
  if (queue == nullptr)
    return s.lost != cudaSuccess ? call.error()
                                 : call.wrong(cudaErrorInvalidResourceHandle, "a stream that is not there");
  if (queue->capture) s.find("cudaStreamDestroy: a capture has not been ended");
  s.queues.erase(queue->id);
  if (!queue->work.empty()) s.left_queues.push_back(queue);
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Call call("cudaStreamSynchronize");
  if (call.failed()) return call.error();
  State& s = State::get();
  const std::shared_ptr<Queue> queue = s.queue(stream);
  if (queue == nullptr) return call.wrong(cudaErrorInvalidResourceHandle, "a stream that is not there");
  if (queue->capture) {
    queue->capture->broken = true;
    return call.wrong(cudaErrorStreamCaptureUnsupported, "within a capture");
  }
  s.run_until(queue, queue->asked);
  s.note_waited(*queue, queue->asked);
  return call.finish(s.lost);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  Call call("cudaEventCreateWithFlags");
  if (call.failed()) return call.error();
  const std::uint64_t id = State::get().new_id();
  State::get().events[id].timed = (flags & cudaEventDisableTiming) == 0;
  *event = handle_of<cudaEvent_t>(id);
  return call.finish(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Call call("cudaEventDestroy");
  State& s = State::get();
  if (s.events.erase(id_of(event)) == 0)
    return s.lost != cudaSuccess ? call.error()
                                 : call.wrong(cudaErrorInvalidResourceHandle, "an event that is not there");
  return call.failed() ? call.error() : call.finish(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Call call("cudaEventRecord");
  if (call.failed()) return call.error();
  State& s = State::get();
  const auto it = s.events.find(id_of(event));
  const std::shared_ptr<Queue> queue = s.queue(stream);
  if (it == s.events.end() || queue == nullptr)
    return call.wrong(cudaErrorInvalidResourceHandle, "an event or a stream that is not there");
  if (queue->capture) {
    queue->capture->broken = true;
    return call.wrong(cudaErrorStreamCaptureUnsupported, "the machine captures no events");
  }
  if (it->second.timed) {
    s.ask(*queue, [&s, id = it->first] {
      const auto recorded = s.events.find(id);
      if (recorded != s.events.end()) recorded->second.time = s.instructions;
    });
  }
  it->second.queue = queue;
  it->second.position = queue->asked;
  return call.finish(cudaSuccess);
}

/// The machine's clock counts instructions of threads, a million of them a millisecond.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  Call call("cudaEventElapsedTime");
  if (call.failed()) return call.error();
  State& s = State::get();
  const auto first = s.events.find(id_of(begin)), last = s.events.find(id_of(end));
  if (first == s.events.end() || last == s.events.end())
    return call.wrong(cudaErrorInvalidResourceHandle, "an event that is not there");
  for (const auto& it : {first, last}) {
    const Event& event = it->second;
    if (!event.timed || event.queue == nullptr)
      return call.wrong(cudaErrorInvalidResourceHandle, "an event without a time");
    const auto known = s.waited->find(event.queue->id);
    if (known == s.waited->end() || known->second < event.position)
      return call.wrong(cudaErrorNotReady, "an event that nobody has waited for");
  }
  *milliseconds =
      static_cast<float>(1e-6 * (static_cast<double>(last->second.time) - static_cast<double>(first->second.time)));
  return call.finish(s.lost);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Call call("cudaEventSynchronize");
  if (call.failed()) return call.error();
  State& s = State::get();
  const auto it = s.events.find(id_of(event));
  if (it == s.events.end()) return call.wrong(cudaErrorInvalidResourceHandle, "an event that is not there");
  const Event waited = it->second;
  if (waited.queue != nullptr && s.options.events_are_waited_for) {
    s.run_until(waited.queue, waited.position);
    s.note_waited(*waited.queue, waited.position);
  }
  return call.finish(s.lost);
}
