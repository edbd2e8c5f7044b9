// Who wrote to, and who read, a word of memory last, and whether a barrier stands between that and another access. Two
// accesses of different threads, of which one is a write, must be ordered: by the end of a launch, by a barrier of the
// block, or by an arrival at the cluster's barrier (a releasing one) and the wait that it ends. Otherwise they are a
// race, whatever order the machine happens to run them in.
//
// Of reads only the last one is kept (and that there were several): a block that reads a word after another block of
// its cluster did hides that.
//
// Between launches and copies: those of one queue follow each other; of two queues, one is over for certain before the
// other only if the host has waited for it before it asked for the other.
//
// Times are numbers that only grow. Each piece of a thread between two barriers has one, which all threads of the block
// share that have passed the same barriers; kHost stands for the host.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine/fault.hpp"

namespace brainlock::device_cuda::machine {

/// Of a word of memory.
struct Shadow {
  std::uint32_t write_time = 0;  ///< 0: never written to
  std::uint32_t read_time = 0;
  std::uint16_t writer = 0, reader = 0;  ///< threads of their block; or:
};
constexpr std::uint16_t kSeveralThreads = 0xffff;  ///< of the block, at that time
constexpr std::uint16_t kSeveralBlocks = 0xfffe;   ///< of the launch
constexpr std::uint32_t kHost = 1;

class AccessOrder {
 public:
  /// A launch, a graph or a copy begins: the number `position` of a queue. `waited`: by queue, up to where the host
  /// had waited when it asked for it.
  using Waited = std::map<std::uint64_t, std::uint64_t>;
  void begin_work(std::uint64_t queue, std::uint64_t position, std::shared_ptr<const Waited> waited) {
    works_.push_back({next_, queue, position});
    waited_ = std::move(waited);
    over_begin_ = over_count_ = 0;
  }
  void forget_works() { works_.clear(); }
  /// The time of a copy.
  std::uint32_t begin_copy() { return launch_ = clusters_ = next_++; }
  void copy_from(Shadow& s, std::uint32_t now) {
    earlier(s.write_time);
    s.read_time = now;
    s.reader = kSeveralThreads;
  }
  void copy_to(Shadow& s, std::uint32_t now) {
    earlier(s.write_time);
    earlier(s.read_time);
    s.write_time = now;
  }
  void begin_launch() { launch_ = clusters_ = next_; }
  void begin_cluster() {
    clusters_ = next_;
    phases_.clear();
    released_.clear();
  }
  /// The time of a block that has passed these barriers of its own, and arrived at and waited for these of the cluster.
  std::uint32_t time(unsigned block, unsigned barriers, unsigned arrivals, unsigned waits) {
    for (std::size_t i = phases_.size(); i-- > 0;) {
      const Phase& p = phases_[i];
      if (p.block == block && p.barriers == barriers && p.arrivals == arrivals && p.waits == waits)
        return clusters_ + static_cast<std::uint32_t>(i);
    }
    phases_.push_back({block, barriers, arrivals, waits});
    return next_++;
  }
  /// Whether the cluster's barrier `number` (from 0) makes what was written before visible.
  void note_arrival(unsigned number, bool releases) {
    if (released_.size() <= number) released_.resize(number + 1, true);
    released_[number] = released_[number] && releases;
  }
  std::uint32_t first_of_launch() const { return launch_; }
  std::uint32_t first_of_cluster() const { return clusters_; }

  void read(Shadow& s, std::uint32_t now, unsigned thread) {
    earlier(s.write_time);
    read_from(s, now, thread, kHost, launch_);
  }
  void write(Shadow& s, std::uint32_t now, unsigned thread) {
    earlier(s.write_time);
    earlier(s.read_time);
    write_to(s, now, thread, launch_);
  }
  /// What was in shared memory before the cluster began is noise.
  void read_shared(Shadow& s, std::uint32_t now, unsigned thread) { read_from(s, now, thread, clusters_, clusters_); }
  void write_shared(Shadow& s, std::uint32_t now, unsigned thread) { write_to(s, now, thread, clusters_); }
  /// Whether something at `then`, in this cluster, is over for certain at `now`.
  bool is_over(std::uint32_t then, std::uint32_t now) const {
    const Phase &a = phases_[then - clusters_], &b = phases_[now - clusters_];
    if (a.block == b.block && a.barriers < b.barriers) return true;
    for (unsigned k = a.arrivals; k < b.waits; ++k) {
      if (released_[k]) return true;
    }
    return false;
  }
  unsigned waits_at(std::uint32_t time) const { return phases_[time - clusters_].waits; }

 private:
  struct Phase {
    unsigned block, barriers, arrivals, waits;
  };
  struct Work {
    std::uint32_t begin;  ///< its first time
    std::uint64_t queue, position;
  };
  /// What was done at an earlier time is over.
  void earlier(std::uint32_t time) {
    if (time == 0 || time >= launch_ || time - over_begin_ < over_count_) return;
    const auto after = std::upper_bound(works_.begin(), works_.end(), time,
                                        [](std::uint32_t t, const Work& w) { return t < w.begin; });
    if (after == works_.begin()) return;  // nobody's work
    const Work& then = *std::prev(after);
    if (then.queue != works_.back().queue) {
      const auto waited = waited_->find(then.queue);
      if (waited == waited_->end() || waited->second < then.position) {
        throw Fault(FaultKind::kUndefined, "a word of another queue's work, for which nobody has waited");
      }
    }
    over_begin_ = then.begin;
    over_count_ = (after == works_.end() ? launch_ : after->begin) - then.begin;
  }
  void read_from(Shadow& s, std::uint32_t now, unsigned thread, std::uint32_t least, std::uint32_t first) {
    if (s.write_time < least) throw Fault(FaultKind::kUndefined, "a word that nothing has been written to is read");
    if (s.write_time >= first)
      after(s.write_time, s.writer, now, thread, "is read while another thread may write to it");
    note_read(s, now, thread, first);
  }
  void write_to(Shadow& s, std::uint32_t now, unsigned thread, std::uint32_t first) {
    if (s.write_time >= first) after(s.write_time, s.writer, now, thread, "is written to by several threads");
    if (s.read_time >= first)
      after(s.read_time, s.reader, now, thread, "is written to while another thread may read it");
    s.write_time = now;
    s.writer = static_cast<std::uint16_t>(thread);
  }
  void after(std::uint32_t then, std::uint16_t who, std::uint32_t now, unsigned thread, const char* what) const {
    if (then == now && who == thread) return;
    if (then < clusters_ || who == kSeveralBlocks)
      throw Fault(FaultKind::kUndefined, std::string("a word ") + what + ", in blocks of no order");
    if (who == thread && phases_[then - clusters_].block == phases_[now - clusters_].block)
      return;  // a thread's own order
    if (!is_over(then, now))
      throw Fault(FaultKind::kUndefined, std::string("a word ") + what + ", with no barrier in between");
  }
  void note_read(Shadow& s, std::uint32_t now, unsigned thread, std::uint32_t first) const {
    if (s.read_time == now) {
      if (s.reader != thread && s.reader != kSeveralBlocks) s.reader = kSeveralThreads;
      return;
    }
    const bool others = s.read_time >= first && (s.read_time < clusters_ || s.reader == kSeveralBlocks);
    s.read_time = now;
    s.reader = others ? kSeveralBlocks : static_cast<std::uint16_t>(thread);
  }

  std::uint32_t next_ = kHost + 1;
  std::uint32_t launch_ = kHost + 1, clusters_ = kHost + 1;  ///< the first times of the launch and of the cluster
  std::vector<Work> works_;
  std::shared_ptr<const Waited> waited_;
  std::uint32_t over_begin_ = 0,
                over_count_ = 0;  ///< times that are known to be over: most accesses are to the same work's words
  std::vector<Phase> phases_;     ///< of the cluster, from clusters_ on
  std::vector<bool> released_;
};

}  // namespace brainlock::device_cuda::machine
