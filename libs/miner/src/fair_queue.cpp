#include "brainlock/miner/fair_queue.hpp"

#include <algorithm>
#include <chrono>

namespace brainlock::miner {

FairQueue::FairQueue(const QueueLimits& limits) : limits_(limits) {
  for (unsigned i = 0; i < std::max(1U, limits.workers); ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

FairQueue::~FairQueue() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    first_.clear();
    lines_.clear();
    queued_ = 0;
    for (auto& [ticket, source] : running_) source.request_stop();
  }
  for (auto& worker : workers_) worker.request_stop();
  changed_.notify_all();
  workers_.clear();
}

bool FairQueue::has_room(const protocol::AccountId& asker) const {
  const std::lock_guard lock(mutex_);
  if (closed_ || queued_ >= limits_.total) return false;
  const auto line = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.asker == asker; });
  return line == lines_.end() || line->items.size() < limits_.per_asker;
}

std::optional<FairQueue::Ticket> FairQueue::push(const protocol::AccountId& asker, Job job) {
  const std::lock_guard lock(mutex_);
  if (closed_ || queued_ >= limits_.total) return std::nullopt;
  auto line = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.asker == asker; });
  if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{asker, {}});
  if (line->items.size() >= limits_.per_asker) return std::nullopt;
  const Ticket ticket = next_++;
  line->items.push_back({ticket, std::move(job)});
  ++queued_;
  changed_.notify_all();
  return ticket;
}

std::optional<FairQueue::Ticket> FairQueue::push_first(Job job) {
  const std::lock_guard lock(mutex_);
  if (closed_) return std::nullopt;
  const Ticket ticket = next_++;
  first_.push_back({ticket, std::move(job)});
  ++queued_;
  changed_.notify_all();
  return ticket;
}

bool FairQueue::cancel(Ticket ticket) {
  Job dropped;  // destroyed outside the lock
  const std::lock_guard lock(mutex_);
  if (const auto running = running_.find(ticket); running != running_.end()) {
    running->second.request_stop();
    return false;
  }
  const auto take_out = [&](std::deque<Item>& items) {
    const auto item = std::find_if(items.begin(), items.end(), [&](const Item& i) { return i.ticket == ticket; });
    if (item == items.end()) return false;
    dropped = std::move(item->job);
    items.erase(item);
    --queued_;
    changed_.notify_all();
    return true;
  };
  if (take_out(first_)) return true;
  for (auto line = lines_.begin(); line != lines_.end(); ++line) {
    if (!take_out(line->items)) continue;
    if (line->items.empty()) lines_.erase(line);
    return true;
  }
  return false;
}

std::size_t FairQueue::ahead(Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  if (running_.contains(ticket)) return 0;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    if (first_[i].ticket == ticket) return running_.size() + i;
  }
  // Turn by turn: k-th in its own line means that every line before it gives k + 1 jobs, every one behind it k.
  std::size_t place = 0;
  bool found = false;
  for (const Line& line : lines_) {
    for (std::size_t i = 0; i < line.items.size() && !found; ++i) {
      if (line.items[i].ticket == ticket) {
        place = i;
        found = true;
      }
    }
  }
  if (!found) return 0;
  std::size_t before = running_.size() + first_.size();
  bool passed = false;
  for (const Line& line : lines_) {
    const bool own = std::any_of(line.items.begin(), line.items.end(), [&](const Item& i) { return i.ticket == ticket; });
    passed = passed || own;
    before += std::min(line.items.size(), own ? place : place + (passed ? 0 : 1));
  }
  return before;
}

bool FairQueue::drain(std::int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return queued_ == 0 && running_.empty(); });
}

FairQueue::Load FairQueue::load() const {
  const std::lock_guard lock(mutex_);
  return {running_.size(), queued_};
}

FairQueue::Item FairQueue::next_item() {
  Item item;
  if (!first_.empty()) {
    item = std::move(first_.front());
    first_.pop_front();
    return item;
  }
  Line line = std::move(lines_.front());
  lines_.pop_front();
  item = std::move(line.items.front());
  line.items.pop_front();
  if (!line.items.empty()) lines_.push_back(std::move(line));  // its next turn comes after everybody else's
  return item;
}

void FairQueue::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !first_.empty() || !lines_.empty(); })) {
    Item item = next_item();
    --queued_;
    std::stop_source source;
    running_.emplace(item.ticket, source);
    lock.unlock();
    item.job(source.get_token());
    item.job = nullptr;
    lock.lock();
    running_.erase(item.ticket);
    changed_.notify_all();
  }
}

}  // namespace brainlock::miner
