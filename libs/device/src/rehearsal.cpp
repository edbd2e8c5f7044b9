#include "brainlock/device/rehearsal.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <functional>

namespace brainlock::device {
namespace {

std::uint64_t steady_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

Rehearsal::Rehearsal(unsigned threads, PoolCosts costs, Clock clock)
    : costs_(costs), clock_(clock ? std::move(clock) : Clock(steady_ns)), free_at_(threads) {
  assert(threads >= 1);
  restart();
}

void Rehearsal::restart() {
  in_batches_ = rehearsed_ = work_ = batches_ = tasks_ = 0;
  started_ = clock_();
}

Rehearsal::Sum Rehearsal::sum() const {
  constexpr double kSecond = 1e-9;
  const std::uint64_t between = clock_() - started_ - in_batches_;
  return {.seconds = kSecond * static_cast<double>(between + rehearsed_),
          .between_s = kSecond * static_cast<double>(between),
          .pool_s = kSecond * static_cast<double>(batches_ * costs_.batch_ns),
          .work_s = kSecond * static_cast<double>(work_),
          .batches = batches_,
          .tasks = tasks_};
}

void Rehearsal::begin_batch(std::size_t count) {
  alone_ = count <= 1 || threads() == 1;
  next_claim_ = end_ = 0;
  std::fill(free_at_.begin(), free_at_.end(), 0);
  batch_started_ = task_started_ = clock_();
}

void Rehearsal::end_task(bool done) {
  const std::uint64_t now = clock_(), took = done ? now - task_started_ : 0;
  task_started_ = now;
  if (done) {
    work_ += took;
    ++tasks_;
  }
  std::pop_heap(free_at_.begin(), free_at_.end(), std::greater<>());
  const std::uint64_t claimed = alone_ ? free_at_.back() : std::max(free_at_.back(), next_claim_);
  next_claim_ = claimed + costs_.claim_ns;
  free_at_.back() = claimed + took;
  end_ = alone_ ? end_ + took : std::max(end_, claimed + took);
  std::push_heap(free_at_.begin(), free_at_.end(), std::greater<>());
}

void Rehearsal::end_batch() {
  in_batches_ += clock_() - batch_started_;
  rehearsed_ += end_;
  if (alone_) return;
  rehearsed_ += costs_.batch_ns;
  ++batches_;
}

}  // namespace brainlock::device
