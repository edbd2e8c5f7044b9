// What a restart must not take a second time: everything signed up to one moment, which stands in one small file.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "brainlock/base/result.hpp"
#include "brainlock/net/event_log.hpp"
#include "brainlock/protocol/epistula.hpp"

namespace brainlock::miner {

struct ReplayFenceOptions {
  std::int64_t window_ms = protocol::kTimeWindowMs;   ///< the server's: it takes nothing that is signed further from its clock
  /// How far ahead the file is written: what a crash costs honest askers. Under load there is a write every three quarters of it.
  std::int64_t lead_ms = 2'000;
  /// No run has served from this folder: a file that is absent says nothing. Otherwise it counts as lost.
  bool first_run = true;
  /// Replaces the file by a text, durably when it returns, with mode 0600, whole or not at all. Empty: does so. Called by one thread at a time.
  std::function<Status(const std::filesystem::path& file, std::string_view text)> write = {};
};

/// Within a run the nonce memory knows each request that was taken. The fence is for the next run, which knows none: the file holds a
/// timestamp that no accepted request's is above, and is written before the first request above it is accepted. It keeps to the miner's own clock. An asker
/// whose clock is further ahead than a quarter of the lead has a timestamp of its own in the file, so that it shuts out nobody but itself.
///
///     |<-- window -->|                   now
///     ...taken...taken...taken...taken....|.......lead.......| written
///     after a crash:   all this is refused, then nothing   ->|
///
/// More than now + 5/4 lead is never written for all, nor more than now + window + lead for one asker, whatever timestamps requests carry. A file that cannot be read counts as if it said that, and so does one that
/// says more: a clock that was wrong and was set back must not keep the miner shut. (Requests that were signed by such a clock can then be repeated when their
/// time comes.) All is fenced off as long as the clock is not set back by more than the lead from one run to the next.
/// One process at a time uses a file. Safe from many threads; no clock, no socket.
/// Events: `replay_fence` (so long will requests be refused), `replay_fence_lost`, `replay_fence_ahead`, `replay_fence_not_written` (once, until it can be written
/// again), `replay_fence_written_again`.
class ReplayFence {
 public:
  /// Never fails: what is wrong with the file is logged, and made good by a new one; one that is not there yet is made. Destroying a fence is like a crash;
  /// see settle().
  static std::unique_ptr<ReplayFence> open(std::filesystem::path file, std::int64_t now_ms, const ReplayFenceOptions& options = {}, net::EventLog log = {});

  /// Requests of `sender` signed at or before this moment may have been taken by an earlier run.
  [[nodiscard]] std::int64_t earlier_ms(const protocol::AccountId& sender) const { return earlier_.of(sender); }

  /// Askers with a timestamp of their own, and how many of them may be others than validators: whoever likes can have any number of hotkeys.
  static constexpr std::size_t kMostAhead = 256, kMostOrdinaryAhead = 128;

  /// Call before a request is accepted that is signed at `timestamp_ms`, within the window around `now_ms`: when this returns without an error, the file
  /// fences it off. Cost: a mutex; for one request in a lead, two flushes to the disk, while those that the file covers go on. Those that it does not
  /// wait for that one write, and share its error: kResource (disk full), kIo. kDenied: its clock is ahead, and so are too many others'.
  Status cover(const protocol::AccountId& sender, std::int64_t timestamp_ms, std::int64_t now_ms, bool validator = true);

  /// Takes the lead back, so that a planned restart refuses nothing that was not taken. Requests may still come: they are covered anew.
  /// Errors as for cover(); the file then stays as it is, which is safe.
  Status settle();

 private:
  /// What the file says.
  struct Marks {
    std::int64_t all_ms = 0;
    std::map<protocol::AccountId, std::int64_t> ahead_ms;   // of askers whose mark is above that
    [[nodiscard]] std::int64_t of(const protocol::AccountId& sender) const;
  };
  /// An asker whose clock is ahead.
  struct Ahead {
    bool validator = false;
    std::int64_t newest_ms = 0;      // of what was covered
    std::int64_t by_ms = 0;          // how far ahead of now its last request was
    bool used = false;               // since the last write
  };

  ReplayFence(std::filesystem::path file, const ReplayFenceOptions& options, net::EventLog log);
  static std::string text_of(const Marks& marks);
  static Result<Marks> read_marks(const std::filesystem::path& file);
  void read(std::int64_t now_ms);
  Status write(std::unique_lock<std::mutex>& lock, Marks marks);
  /// For a mark of its own.
  bool has_place(const protocol::AccountId& sender, std::int64_t now_ms, bool validator);
  Marks written_ahead(std::int64_t timestamp_ms, std::int64_t now_ms);

  const std::filesystem::path file_;
  const ReplayFenceOptions options_;
  const net::EventLog log_;
  Marks earlier_;                    // constant once it is open

  std::mutex mutex_;
  std::condition_variable write_ended_;
  Marks covered_;                    // the file says at least this
  std::int64_t newest_ms_ = 0;       // of what was covered in this run, but for those ahead
  std::map<protocol::AccountId, Ahead> ahead_;
  bool writing_ = false, failing_ = false;
  Marks being_written_;
  std::uint64_t writes_ = 0;         // ended, well or not
  Status last_;                      // how the last one ended
};

}  // namespace brainlock::miner
