// The validator's own line, which timed questions and untimed key parts share: while questions are out no part begins, and questions
// wait a moment for parts that have begun. Otherwise a key for one miner would slow down the question to another. And no more uploads share
// it than the line carries in time; those whose receivers are slow do not fill it, and do not count.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <stop_token>

namespace brainlock::validator {

/// Safe from many threads. Nobody waits for ever: a part that takes longer than kPartMoment is of a slow line, not a full one,
/// uploads wait for questions no longer than kQuestionsMoment at a time, and for each other kTurn.
class Uplink {
  using Clock = std::chrono::steady_clock;
  /// Of an upload: the part that is under way, or the pause between two.
  struct Part {
    Clock::time_point begun = Clock::now();
    bool sending = false;
  };

 public:
  static constexpr std::chrono::milliseconds kPartMoment{3'000};
  static constexpr std::chrono::milliseconds kQuestionsMoment{10'000};
  static constexpr std::chrono::milliseconds kSlowPart{10'000};
  static constexpr std::chrono::minutes kTurn{15};

  explicit Uplink(std::size_t uploads_at_once) : uploads_at_once_(uploads_at_once) {}

  /// One upload, from its first to its last part.
  class Upload {
   public:
    /// Waits for its turn.
    Upload(Uplink& line, const std::stop_token& stop) : line_(line) {
      std::unique_lock lock(line_.mutex_);
      const auto until = Clock::now() + kTurn;
      while (line_.uploads_that_take_less_than(kSlowPart) >= line_.uploads_at_once_ && Clock::now() < until && !stop.stop_requested()) line_.look_again(lock, stop);
      place_ = line_.uploads_.insert(line_.uploads_.end(), Part());
      begin_part(lock, stop);
    }
    Upload(const Upload&) = delete;
    ~Upload() {
      const std::lock_guard lock(line_.mutex_);
      line_.uploads_.erase(place_);
      line_.change();
    }
    void between_parts(const std::stop_token& stop) {
      std::unique_lock lock(line_.mutex_);
      *place_ = Part();
      line_.change();
      begin_part(lock, stop);
    }

   private:
    void begin_part(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
      line_.changed_.wait_for(lock, stop, kQuestionsMoment, [&] { return line_.questions_ == 0; });
      *place_ = {Clock::now(), true};
    }

    Uplink& line_;
    std::list<Part>::iterator place_;
  };

  /// While one lives, no part begins. Waits for those that have just begun.
  class Questions {
   public:
    Questions(Uplink& line, const std::stop_token& stop) : line_(line) {
      std::unique_lock lock(line_.mutex_);
      ++line_.questions_;
      const auto until = Clock::now() + kPartMoment;
      while (line_.sending_for_less_than(kPartMoment) && Clock::now() < until && !stop.stop_requested()) line_.look_again(lock, stop);
    }
    Questions(const Questions&) = delete;
    ~Questions() {
      const std::lock_guard lock(line_.mutex_);
      --line_.questions_;
      line_.change();
    }

   private:
    Uplink& line_;
  };

 private:
  [[nodiscard]] std::size_t uploads_that_take_less_than(Clock::duration age) const {
    return static_cast<std::size_t>(std::count_if(uploads_.begin(), uploads_.end(), [&](const Part& part) { return Clock::now() < part.begun + age; }));
  }
  [[nodiscard]] bool sending_for_less_than(Clock::duration age) const {
    return std::any_of(uploads_.begin(), uploads_.end(), [&](const Part& part) { return part.sending && Clock::now() < part.begun + age; });
  }
  /// Until something changes, or a moment later: parts age without a word.
  void look_again(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
    const auto before = changes_;
    changed_.wait_for(lock, stop, std::chrono::milliseconds(50), [&] { return changes_ != before; });
  }
  void change() {
    ++changes_;
    changed_.notify_all();
  }

  const std::size_t uploads_at_once_;
  std::uint64_t changes_ = 0;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Part> uploads_;
  int questions_ = 0;
};

}  // namespace brainlock::validator
