#include "desk.hpp"

#include <algorithm>

namespace brainlock::client_page {
namespace {

constexpr std::size_t kKept = 24;
constexpr std::chrono::milliseconds kLongestPause = std::chrono::hours(1);

}  // namespace

Desk::Desk(std::unique_ptr<Inference> inference, std::chrono::milliseconds retry_after)
    : inference_(std::move(inference)), retry_after_(retry_after), pause_(retry_after), worker_([this](const std::stop_token& stop) { work(stop); }) {}

Desk::~Desk() {
  worker_.request_stop();
  worker_.join();
}

Result<std::uint64_t> Desk::ask(std::vector<std::uint8_t> input) {
  const std::lock_guard lock(mutex_);
  if (question_) return Error{ErrorCode::kUnavailable, "one question at a time: the last one is still in work"};
  if (state_.phase != Phase::kReady) return Error{ErrorCode::kUnavailable, "not ready yet"};
  question_ = Asked{next_id_++, std::move(input), {}, {}};
  state_.asking = question_->id;
  wake_.notify_all();
  return question_->id;
}

void Desk::retry() {
  const std::lock_guard lock(mutex_);
  if (state_.phase != Phase::kFailed) return;
  retry_ = true;
  wake_.notify_all();
}

DeskState Desk::state() const {
  const std::lock_guard lock(mutex_);
  DeskState out = state_;
  out.phase_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - phase_began_).count();
  for (const Asked& asked : kept_) out.asked.push_back(asked.id);
  return out;
}

std::optional<Asked> Desk::asked(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  for (const Asked& asked : kept_) {
    if (asked.id == id) return asked;
  }
  return std::nullopt;
}

void Desk::report(Phase phase, std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  if (phase != state_.phase) phase_began_ = std::chrono::steady_clock::now();
  state_.phase = phase;
  state_.done = done;
  state_.total = total;
  if (phase != Phase::kFailed) state_.error.clear();
}

void Desk::fail(const std::stop_token& stop, const Error& error) {
  report(Phase::kFailed, 0, 0);
  std::unique_lock lock(mutex_);
  state_.error = error.message;
  retry_ = false;
  const bool asked_for = wake_.wait_for(lock, stop, pause_, [this] { return retry_; });
  pause_ = asked_for ? retry_after_ : std::min(2 * pause_, kLongestPause);
}

void Desk::work(const std::stop_token& stop) {
  const auto say = [this](Phase phase, std::uint64_t done, std::uint64_t total) { report(phase, done, total); };
  bool prepared = false;
  while (!stop.stop_requested()) {
    if (!prepared) {
      const Status status = inference_->prepare(say, stop);
      if (!status.ok()) {
        fail(stop, status.error());
        continue;
      }
      prepared = true;
      pause_ = retry_after_;
    }
    report(Phase::kReady, 0, 0);
    Asked asked;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [this] { return question_.has_value(); })) return;
      asked = *question_;
    }
    std::vector<float> values;
    values.reserve(asked.input.size());
    for (const std::uint8_t byte : asked.input) values.push_back(static_cast<float>(byte) / 255.0f);
    auto answer = inference_->ask(values, say, stop);
    if (answer) {
      asked.answer = std::move(*answer);
    } else {
      asked.error = answer.error();
      // What is wrong with the input leaves keys and miner as they were.
      prepared = answer.error().code == ErrorCode::kInvalidArgument;
    }
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(asked));
    if (kept_.size() > kKept) kept_.pop_front();
    question_.reset();
    state_.asking = 0;
  }
}

}  // namespace brainlock::client_page
