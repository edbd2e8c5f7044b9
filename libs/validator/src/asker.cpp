#include "asker.hpp"

#include <algorithm>
#include <optional>

namespace brainlock::validator {

using protocol::Reason;
using Clock = std::chrono::steady_clock;

namespace {

// A miner that is slow to say that it is ready chooses when its time begins: what is beyond all distances on Earth counts.
constexpr std::chrono::seconds kReadyTime{2};

}  // namespace

Asker::Asker(protocol::Signer self, client::WallClock clock, const AskerOptions& options)
    : self_(std::move(self)), clock_(std::move(clock)), options_(options), keys_(options.delivery) {}

Asker::~Asker() { stop(); }

void Asker::put(Question& question, Line& line) {
  const std::stop_token stop = breaking_off_.get_token();
  client::Call& call = question.call;
  call.started_ms = call.finished_ms = clock_();
  call.uuid = protocol::make_uuid();
  bool stepped = false;
  // kOver: too late.
  const auto step_forward = [&] {
    const std::lock_guard lock(line.mutex);
    if (!stepped) --line.not_ready;
    stepped = true;
    line.changed.notify_all();
    return line.phase == Line::kAsking && !line.aside ? Line::kOver : line.phase;
  };
  const auto& axon = question.miner.axon;
  if (!question.prepared.ok()) {
    call.reason = Reason::kValidatorError;
    call.detail = question.prepared.error().to_string();
  } else if (!axon) {
    call.reason = Reason::kNoAddress;
  } else if (!options_.allow_private_addresses && ledger::is_non_public_ip(axon->ip)) {
    call.reason = Reason::kNoAddress;
    call.detail = axon->ip + " is not an address of the public internet";
  } else {
    const client::TaskClient& task = *question.keys;
    client::MinerConnection connection(self_, {question.miner.hotkey, axon->ip, axon->port, options_.tls}, clock_);
    // The key first: a question is sent once. A miner that got it twice could use the first time to think, which nobody measures.
    const auto begun = Clock::now();
    Readiness ready = keys_.ensure(connection, task, stop);
    question.took = Clock::now() - begun - ready.excused;
    const double ready_s = std::chrono::duration<double>(question.took).count();
    if (!ready.call.ok()) {
      call = std::move(ready.call);
      if (call.started_ms == 0) call.started_ms = call.finished_ms = clock_();
    } else {
      double late_s = 0;
      auto phase = step_forward();
      if (phase == Line::kGathering || line.aside) phase = wait_for_others(task, connection, line, late_s, stop);
      if (phase == Line::kAsking) {
        const auto sent = Clock::now();
        const client::CallLimits limits{5'000, options_.request_timeout_ms, task.max_answer_bytes()};
        call = connection.infer(task.package(), task.key_id(), question.bytes, limits, stop);
        question.took += Clock::now() - sent;
        // However a miner puts off the moment at which its time begins, that counts.
        if (call.ok()) call.response_s += late_s + call.connect_s + std::max(0.0, ready_s - std::chrono::duration<double>(kReadyTime).count());
        if (call.ok() && call.response_s * 1000 > static_cast<double>(options_.request_timeout_ms)) {
          call.reason = Reason::kTimeout;
          call.detail = "with the time that it took to be asked";
        }
        if (call.refusal == protocol::Refusal::kUnknownKey) keys_.lost(question.miner.hotkey, task.key_id());
      } else if (ready.first || phase != Line::kOver) {
        question.withdrawn = true;
      } else {
        call.reason = Reason::kTimeout;
        call.detail = "was not ready when the others of its batch were asked";
        call.finished_ms = clock_();
      }
    }
    question.heard = connection.heard_at();
  }
  step_forward();
}

Asker::Line::Phase Asker::wait_for_others(const client::TaskClient& task, client::MinerConnection& connection, Line& line, double& late_s, const std::stop_token& stop) const {
  std::unique_lock lock(line.mutex);
  if (line.aside) {
    line.changed.wait_until(lock, stop, line.asking_since, [&] { return line.not_ready == 0; });
    return Line::kAsking;
  }
  const std::chrono::milliseconds keep_alive(options_.keep_alive_ms);
  while (!line.changed.wait_for(lock, stop, keep_alive, [&] { return line.phase != Line::kGathering; }) && !stop.stop_requested()) {
    // Whoever was ready early shall not have to connect anew because somebody else is not.
    lock.unlock();
    bool there = false;
    (void)connection.key_state(task.package(), task.key_id(), there, {2'000, 4'000, protocol::kMaxJsonBytes}, stop);
    lock.lock();
    if (line.phase == Line::kAsking) late_s = std::chrono::duration<double>(Clock::now() - line.asking_since).count();
  }
  return line.phase;
}

void Asker::begin(std::unique_ptr<Question> question, const std::shared_ptr<Line>& line) {
  Running& running = running_.emplace_back();
  running.question = std::move(question);
  running.thread = std::jthread([this, &running, line] {
    running.question->begun = Clock::now();
    put(*running.question, *line);
    running.question->ended = Clock::now();
    {
      const std::lock_guard lock(mutex_);
      running.ended = true;
      one_ended_.notify_all();
    }
    // After that: who waits for the batch finds its questions ended.
    const std::lock_guard lock(line->mutex);
    --line->not_ended;
    line->changed.notify_all();
  });
}

void Asker::ask(Questions batch, const std::stop_token& stop) {
  const auto line = std::make_shared<Line>();
  line->not_ready = line->not_ended = batch.size();
  for (auto& question : batch) begin(std::move(question), line);
  const std::chrono::milliseconds patience(options_.patience_ms);
  std::unique_lock lock(line->mutex);
  line->changed.wait_for(lock, stop, patience, [&] { return line->not_ready == 0; });
  if (line->not_ended > line->not_ready && !stop.stop_requested()) {
    lock.unlock();
    const Uplink::Questions quiet(keys_.uplink(), stop);
    lock.lock();
    line->phase = Line::kAsking;
    line->asking_since = Clock::now();
    line->changed.notify_all();
    // Who was not ready by now is not waited for, and not sent anything while others' time runs.
    line->changed.wait_for(lock, stop, patience, [&] { return line->not_ended <= line->not_ready; });
  }
  line->phase = stop.stop_requested() ? Line::kCalledOff : Line::kOver;
  line->changed.notify_all();
}

void Asker::ask_aside(Questions questions) {
  const auto line = std::make_shared<Line>();
  line->not_ready = line->not_ended = questions.size();
  line->phase = Line::kAsking;
  line->asking_since = Clock::now() + kReadyTime;
  line->aside = true;
  for (auto& question : questions) begin(std::move(question), line);
}

Asker::Questions Asker::finished() {
  Questions out;
  for (auto running = running_.begin(); running != running_.end();) {
    if (!running->ended) {
      ++running;
      continue;
    }
    running->thread.join();
    out.push_back(std::move(running->question));
    running = running_.erase(running);
  }
  return out;
}

void Asker::wait(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  one_ended_.wait(lock, stop, [&] { return std::all_of(running_.begin(), running_.end(), [](const Running& r) { return r.ended.load(); }); });
}

void Asker::stop() {
  breaking_off_.request_stop();
  running_.clear();
  breaking_off_ = {};
}

std::size_t Asker::under_way(Seat seat) const {
  return static_cast<std::size_t>(std::count_if(running_.begin(), running_.end(), [&](const Running& running) { return running.question->seat == seat; }));
}

bool Asker::busy_with(const ledger::AccountId& miner) const {
  return std::any_of(running_.begin(), running_.end(), [&](const Running& running) { return running.question->miner.hotkey == miner; });
}

}  // namespace brainlock::validator
