#include "brainlock/device/rehearsal.hpp"

#include <time.h>

#include <algorithm>
#include <cassert>
#include <functional>

namespace brainlock::device {
namespace {

std::uint64_t processor_time_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

constexpr int kReadings = 100;   // to find the least time between two

}  // namespace

Rehearsal::Rehearsal(unsigned threads, PoolCosts costs, Clock clock)
    : costs_(costs), clock_(clock ? std::move(clock) : Clock(processor_time_ns)), free_at_(threads) {
  assert(threads >= 1);
  reading_ = ~std::uint64_t{0};
  for (int i = 0; i < kReadings; ++i) {
    const std::uint64_t before = clock_();
    reading_ = std::min(reading_, clock_() - before);
  }
  restart();
}

void Rehearsal::restart() {
  batches_ns_.clear();
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
  const std::uint64_t now = clock_(), took = done ? now - task_started_ - std::min(reading_, now - task_started_) : 0;
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
  if (!alone_) {
    end_ += costs_.batch_ns;
    ++batches_;
  }
  rehearsed_ += end_;
  batches_ns_.push_back(end_);
}

}  // namespace brainlock::device
