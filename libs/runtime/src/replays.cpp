#include "replays.hpp"

#include <algorithm>

#include "run.hpp"

namespace brainlock::runtime {
namespace {

constexpr std::size_t kMostRecordings = 16;   // of a lane: some megabytes of host memory each
constexpr std::size_t kMostSeen = 4096;

}  // namespace

struct Replays::Recorded {
  std::shared_ptr<const device::Recording> recording;
  std::vector<std::pair<device::Word*, device::Word*>> inputs;   ///< c0, c1 in the lane's memory
  std::vector<ckks::DeviceCiphertext> registers;                 ///< those of outputs hold them
  std::uint64_t last_use = 0;
};

struct Replays::Lane {
  std::shared_ptr<device::Recorder> recorder;
  std::map<std::uint64_t, std::unique_ptr<Recorded>> recordings;   ///< by the keys' serial number
  std::uint64_t uses = 0;
  bool busy = false;
  bool records = true;   ///< false after a recording failed: what it has goes on

  [[nodiscard]] bool knows(std::uint64_t keys) const { return recordings.contains(keys); }
};

Replays::Replays() = default;
Replays::~Replays() = default;

std::unique_ptr<Replays> Replays::make(const Machine& machine) {
  std::unique_ptr<Replays> out(new Replays());
  for (unsigned i = 0; i < std::max(1U, machine.lanes); ++i) {
    auto recorder = machine.backend->make_recorder();
    if (!recorder) {
      out->report_.reason = recorder.error().message;
      break;
    }
    if (*recorder == nullptr) return nullptr;
    out->lanes_.push_back(std::make_unique<Lane>());
    out->lanes_.back()->recorder = std::move(*recorder);
  }
  out->report_.lanes = static_cast<unsigned>(out->lanes_.size());
  return out;
}

LoadedProgram::ReplayReport Replays::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

Replays::Lane* Replays::take_lane(std::uint64_t keys, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!seen_.contains(keys)) {
    if (seen_.size() == kMostSeen) seen_.erase(seen_.begin());   // the oldest set
    seen_.insert(keys);
    ++report_.plain;
    return nullptr;
  }
  Lane* found = nullptr;
  bool usable = false;
  freed_.wait(lock, stop, [&] {
    found = nullptr;
    usable = false;
    for (const auto& lane : lanes_) {
      if (!lane->records && !lane->knows(keys)) continue;
      usable = true;
      if (!lane->busy && (found == nullptr || (lane->knows(keys) && !found->knows(keys)))) found = lane.get();
    }
    return found != nullptr || !usable;
  });
  if (stop.stop_requested()) return nullptr;   // the plain run says so
  if (found != nullptr) {
    found->busy = true;
  } else {
    ++report_.plain;
  }
  return found;
}

Result<std::vector<device::KernelTime>> Replays::kernel_times(std::uint64_t keys) {
  Lane* lane = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& candidate : lanes_)
      if (!candidate->busy && candidate->knows(keys)) lane = candidate.get();
    if (lane == nullptr) return {ErrorCode::kUnsupported, "kernels are timed in a recording, and none of these keys is free"};
    lane->busy = true;
  }
  auto times = lane->recordings.at(keys)->recording->kernel_times();
  give_back(*lane);
  return times;
}

void Replays::give_back(Lane& lane) {
  {
    const std::lock_guard lock(mutex_);
    lane.busy = false;
  }
  freed_.notify_all();
}

/// A lane keeps its working memory. It takes it only where as much is left for a plain run and for another set of keys.
Status Replays::check_memory(const LoadedProgram& program, const Lane& lane) {
  const auto budget = program.machine().backend->memory_budget();
  if (!budget || !lane.recordings.empty()) return {};
  const std::uint64_t needed = 2 * (program.impl().forecast.working + budget->scratch_bytes) + program.impl().forecast.keys;
  if (budget->free_bytes >= needed) return {};
  return {ErrorCode::kResource, "recording: " + std::to_string(needed >> 20) + " MiB of device memory should be free, " +
                                    std::to_string(budget->free_bytes >> 20) + " are; requests run plainly"};
}

Result<std::unique_ptr<Replays::Recorded>> Replays::record(const LoadedProgram& program, const ckks::LoadedKeys& keys, Lane& lane) {
  BRAINLOCK_TRY(check_memory(program, lane));
  const RunOptions options{.progress = {}, .stop = {}, .replay = false};   // a stop would leave a part of the run out
  auto out = std::make_unique<Recorded>();
  const auto note = [&]() -> Status {
    Run run(program, keys, options, nullptr, lane.recorder->noting());
    BRAINLOCK_TRY(run.allocate_inputs());
    for (std::uint32_t i = 0; i < program.program().input.ciphertexts; ++i) out->inputs.emplace_back(run.input(i).c0(), run.input(i).c1());
    BRAINLOCK_TRY(run.instructions());
    out->registers = std::move(run.registers());
    return {};
  };
  const Status noted = note();
  auto recording = lane.recorder->take();   // in any case: the next recording begins with nothing
  BRAINLOCK_TRY(noted);
  BRAINLOCK_ASSIGN(out->recording, std::move(recording));
  return out;
}

Result<std::vector<ckks::Ciphertext>> Replays::replay(const LoadedProgram& program, Lane& lane, const Recorded& recorded,
                                                      const std::vector<ckks::Ciphertext>& inputs, const RunOptions& options) {
  device::Backend& backend = lane.recorder->doing();
  const device::Stream stream{options.stop};
  const ckks::KeySwitcher switcher(backend, stream);
  const std::size_t n = backend.ring().degree(), stride = backend.limb_stride();
  std::vector<device::LimbTransfer> transfers;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (std::uint32_t l = 0; l < inputs[i].limbs; ++l) {
      transfers.push_back({recorded.inputs[i].first + l * stride, inputs[i].c0.data() + l * n});
      transfers.push_back({recorded.inputs[i].second + l * stride, inputs[i].c1.data() + l * n});
    }
  }
  backend.upload(stream, transfers);
  BRAINLOCK_TRY(switcher.check_stop());
  recorded.recording->replay();
  std::vector<ckks::Ciphertext> out;
  const auto scale = ckks::Scale::from_value(program.program().output.scale);
  for (const plan::Register r : program.program().output_registers) {
    auto ciphertext = switcher.download(recorded.registers[r], scale);
    if (!ciphertext) {
      (void)backend.finish(stream);   // the lane goes to the next request with nothing under way
      return ciphertext.error();
    }
    out.push_back(std::move(*ciphertext));
  }
  return out;
}

Result<std::optional<std::vector<ckks::Ciphertext>>> Replays::run(const LoadedProgram& program, const ckks::LoadedKeys& keys,
                                                                  const std::vector<ckks::Ciphertext>& inputs, const RunOptions& options) {
  using Outputs = std::optional<std::vector<ckks::Ciphertext>>;
  Lane* const lane = take_lane(keys.serial(), options.stop);
  if (lane == nullptr) return Outputs();
  struct Holder {
    Replays& replays;
    Lane& lane;
    ~Holder() { replays.give_back(lane); }
  } const holder{*this, *lane};

  // recordings and uses belong to who has the lane; take_lane() reads what knows() says of busy lanes too, so it changes under the mutex.
  auto it = lane->recordings.find(keys.serial());
  if (it == lane->recordings.end()) {
    program.machine().backend->trim();   // what plain runs left idle may be what the lane needs
    auto recorded = record(program, keys, *lane);
    const std::lock_guard lock(mutex_);
    if (!recorded) {
      lane->records = false;
      if (lane->recordings.empty()) lane->recorder.reset();   // and its memory
      if (report_.reason.empty()) report_.reason = recorded.error().message;
      ++report_.plain;
      return Outputs();
    }
    if (lane->recordings.size() == kMostRecordings) {
      lane->recordings.erase(std::min_element(lane->recordings.begin(), lane->recordings.end(),
                                              [](const auto& a, const auto& b) { return a.second->last_use < b.second->last_use; }));
    }
    report_.kernels = (*recorded)->recording->kernels();
    ++report_.recorded;
    it = lane->recordings.emplace(keys.serial(), std::move(*recorded)).first;
  }
  it->second->last_use = ++lane->uses;
  BRAINLOCK_ASSIGN(auto outputs, replay(program, *lane, *it->second, inputs, options));
  {
    const std::lock_guard lock(mutex_);
    ++report_.replayed;
  }
  if (options.progress) {
    const auto& instructions = program.program().instructions;
    options.progress(instructions.size(), instructions.size(), instructions.back().layer);
  }
  return Outputs(std::move(outputs));
}

}  // namespace brainlock::runtime
