#include "brainlock/miner/replay_fence.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include "brainlock/base/file.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/hash.hpp"

namespace brainlock::miner {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kName = "brainlock-replay-fence-v1";
constexpr std::uint64_t kMostBytes = 256;

/// Three lines: the name, Unix milliseconds, BLAKE2b-256 of the two before.
std::string text_of(std::int64_t until_ms) {
  std::string text(kName);
  text.append("\n").append(std::to_string(until_ms)).append("\n");
  return text + crypto::hex_encode(crypto::blake2b_256(crypto::as_bytes(text))) + "\n";
}

Result<std::int64_t> read_fence(const fs::path& file) {
  BRAINLOCK_ASSIGN(const auto bytes, read_file(file, kMostBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::int64_t until_ms = -1;
  if (text.size() > kName.size()) std::from_chars(text.data() + kName.size() + 1, text.data() + text.size(), until_ms);
  // A number has one spelling: what does not come out again byte for byte was not written by a fence.
  if (until_ms < 0 || text != text_of(until_ms)) {
    return {ErrorCode::kCorrupted, file.string() + ": not a replay fence of version 1 with its checksum (" + std::to_string(bytes.size()) + " bytes)"};
  }
  return until_ms;
}

Error io_error(const fs::path& file, const char* act, int number) {
  const bool full = number == ENOSPC || number == EDQUOT;
  return {full ? ErrorCode::kResource : ErrorCode::kIo, file.string() + ": cannot " + act + ": " + std::strerror(number)};
}

/// Not AtomicFile: this one flushes the folder too, leaves one temporary file at most behind, however often it is killed, and tells a full disk apart.
Status write_durably(const fs::path& file, std::string_view text) {
  const fs::path temporary = file.string() + ".new";
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return io_error(temporary, "create", errno);
  const ssize_t put = ::write(descriptor, text.data(), text.size());
  int number = put == static_cast<ssize_t>(text.size()) ? 0 : put < 0 ? errno : ENOSPC;
  if (number == 0 && (::fchmod(descriptor, 0600) != 0 || ::fsync(descriptor) != 0)) number = errno;
  ::close(descriptor);
  if (number == 0 && ::rename(temporary.c_str(), file.c_str()) != 0) number = errno;
  if (number != 0) {
    ::unlink(temporary.c_str());
    return io_error(file, "write", number);
  }
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return io_error(folder, "open", errno);
  const int flushed = ::fsync(opened) == 0 ? 0 : errno;
  ::close(opened);
  return flushed == 0 ? Status{} : io_error(folder, "flush", flushed);
}

ReplayFenceOptions completed(ReplayFenceOptions options) {
  if (!options.write) options.write = write_durably;
  return options;
}

}  // namespace

ReplayFence::ReplayFence(fs::path file, const ReplayFenceOptions& options, net::EventLog log)
    : file_(std::move(file)), options_(completed(options)), log_(std::move(log)) {}

std::unique_ptr<ReplayFence> ReplayFence::open(fs::path file, std::int64_t now_ms, const ReplayFenceOptions& options, net::EventLog log) {
  std::unique_ptr<ReplayFence> fence(new ReplayFence(std::move(file), options, std::move(log)));
  fence->read(now_ms);
  return fence;
}

void ReplayFence::read(std::int64_t now_ms) {
  const auto found = read_fence(file_);
  const std::int64_t most_ms = now_ms + options_.window_ms + options_.lead_ms;
  const auto tell = [&](net::EventLevel level, std::string_view event, std::string why) {
    net::EventFields fields{{"file", file_.string()}, {"refuses_signed_until_ms", std::to_string(earlier_ms_)}, {"for_ms", std::to_string(std::max<std::int64_t>(0, earlier_ms_ - now_ms))}};
    if (!why.empty()) fields.emplace_back("why", std::move(why));
    net::log_event(log_, level, event, fields);
  };
  bool sound = true;
  if (found.ok()) {
    earlier_ms_ = std::min(*found, most_ms);
    sound = *found == earlier_ms_;
    if (!sound) tell(net::EventLevel::kWarning, "replay_fence_ahead", "it says " + std::to_string(*found) + ", later than this clock allows: was the clock set back?");
    else if (earlier_ms_ > now_ms) tell(net::EventLevel::kInfo, "replay_fence", "");
  } else if (found.error().code != ErrorCode::kNotFound || !options_.first_run) {
    earlier_ms_ = most_ms;
    sound = false;
    tell(net::EventLevel::kWarning, "replay_fence_lost", found.error().message);
  } else {
    sound = false;   // there is none yet: from now on an absent one was lost
  }
  covered_ms_ = earlier_ms_;
  // At once: the next start would otherwise count from its own time, and a miner that is started again and again stay shut.
  std::unique_lock lock(mutex_);
  if (!sound) (void)write(lock, earlier_ms_);
}

/// With the lock, while nobody writes. Writes without it; has it again at the end.
Status ReplayFence::write(std::unique_lock<std::mutex>& lock, std::int64_t until_ms) {
  const bool failed_before = failing_;
  writing_ = true;
  writing_ms_ = until_ms;
  lock.unlock();
  Status done = options_.write(file_, text_of(until_ms));
  if (!done.ok() && !failed_before) net::log_event(log_, net::EventLevel::kError, "replay_fence_not_written", {{"file", file_.string()}, {"error", done.error().to_string()}});
  if (done.ok() && failed_before) net::log_event(log_, "replay_fence_written_again", {{"file", file_.string()}});
  lock.lock();
  writing_ = false;
  failing_ = !done.ok();
  if (done.ok()) covered_ms_ = until_ms;
  last_ = done;
  ++writes_;
  write_ended_.notify_all();
  return done;
}

Status ReplayFence::cover(std::int64_t timestamp_ms, std::int64_t now_ms) {
  const std::int64_t ahead_ms = std::max(timestamp_ms, now_ms) + options_.lead_ms;
  std::unique_lock lock(mutex_);
  while (timestamp_ms > covered_ms_) {
    if (!writing_) {
      BRAINLOCK_TRY(write(lock, ahead_ms));
      continue;
    }
    const bool enough = writing_ms_ >= timestamp_ms;
    const std::uint64_t this_one = writes_;
    write_ended_.wait(lock, [&] { return writes_ != this_one; });
    if (enough && writes_ == this_one + 1 && !last_.ok()) return last_;
  }
  newest_ms_ = std::max(newest_ms_, timestamp_ms);
  // The last quarter of the lead: one request writes ahead again, and none has to wait for it.
  if (!writing_ && !failing_ && timestamp_ms > covered_ms_ - options_.lead_ms / 4) (void)write(lock, ahead_ms);
  return {};
}

Status ReplayFence::settle() {
  std::unique_lock lock(mutex_);
  write_ended_.wait(lock, [this] { return !writing_; });
  const std::int64_t taken_ms = std::max(earlier_ms_, newest_ms_);
  if (taken_ms >= covered_ms_) return {};
  // Before the file says so: a request that comes meanwhile waits and has it written anew.
  covered_ms_ = taken_ms;
  return write(lock, taken_ms);
}

}  // namespace brainlock::miner
