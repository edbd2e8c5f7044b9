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

constexpr std::string_view kName = "brainlock-replay-fence-v1", kNameWithAhead = "brainlock-replay-fence-v2";
constexpr std::uint64_t kMostBytes = 256 + 80 * ReplayFence::kMostAhead;

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

std::int64_t ReplayFence::Marks::of(const protocol::AccountId& sender) const {
  const auto own = ahead_ms.find(sender);
  return own == ahead_ms.end() ? all_ms : std::max(all_ms, own->second);
}

/// Lines: the name, Unix milliseconds, (version 2) accounts with theirs, BLAKE2b-256 of all before.
std::string ReplayFence::text_of(const Marks& marks) {
  std::string text(marks.ahead_ms.empty() ? kName : kNameWithAhead);
  text.append("\n").append(std::to_string(marks.all_ms)).append("\n");
  for (const auto& [account, until_ms] : marks.ahead_ms) text.append(crypto::hex_encode(account)).append(" ").append(std::to_string(until_ms)).append("\n");
  return text + crypto::hex_encode(crypto::blake2b_256(crypto::as_bytes(text))) + "\n";
}

Result<ReplayFence::Marks> ReplayFence::read_marks(const fs::path& file) {
  BRAINLOCK_ASSIGN(const auto bytes, read_file(file, kMostBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string_view rest = text.substr(std::min(text.size(), kName.size() + 1));
  const auto number = [&rest] {
    std::int64_t value = -1;
    const auto end = std::from_chars(rest.data(), rest.data() + rest.size(), value).ptr;
    rest.remove_prefix(std::min<std::size_t>(rest.size(), static_cast<std::size_t>(end - rest.data()) + 1));
    return value;
  };
  constexpr std::size_t kHex = 2 * sizeof(protocol::AccountId);
  Marks marks{number(), {}};
  while (rest.size() > kHex + 1 && rest[kHex] == ' ') {
    const auto account = crypto::hex_decode_array<sizeof(protocol::AccountId)>(rest.substr(0, kHex));
    rest.remove_prefix(kHex + 1);
    if (account.ok()) marks.ahead_ms[*account] = number();
  }
  // A number has one spelling: what does not come out again byte for byte was not written by a fence.
  if (marks.all_ms < 0 || marks.ahead_ms.size() > kMostAhead || text != text_of(marks)) {
    return {ErrorCode::kCorrupted, file.string() + ": not a replay fence of version 1 or 2 with its checksum (" + std::to_string(bytes.size()) + " bytes)"};
  }
  return marks;
}

std::unique_ptr<ReplayFence> ReplayFence::open(fs::path file, std::int64_t now_ms, const ReplayFenceOptions& options, net::EventLog log) {
  std::unique_ptr<ReplayFence> fence(new ReplayFence(std::move(file), options, std::move(log)));
  fence->read(now_ms);
  return fence;
}

void ReplayFence::read(std::int64_t now_ms) {
  const auto found = read_marks(file_);
  const std::int64_t most_ms = now_ms + options_.window_ms + options_.lead_ms;
  const auto tell = [&](net::EventLevel level, std::string_view event, std::string why) {
    net::EventFields fields{{"file", file_.string()}, {"refuses_signed_until_ms", std::to_string(earlier_.all_ms)},
                            {"for_ms", std::to_string(std::max<std::int64_t>(0, earlier_.all_ms - now_ms))},
                            {"askers_for_longer", std::to_string(earlier_.ahead_ms.size())}};
    if (!why.empty()) fields.emplace_back("why", std::move(why));
    net::log_event(log_, level, event, fields);
  };
  bool sound = true;
  if (found.ok()) {
    std::int64_t says_ms = found->all_ms;
    earlier_.all_ms = std::min(found->all_ms, most_ms);
    for (const auto& [account, until_ms] : found->ahead_ms) {
      says_ms = std::max(says_ms, until_ms);
      earlier_.ahead_ms[account] = std::min(until_ms, most_ms);
    }
    sound = says_ms <= most_ms;
    if (!sound) tell(net::EventLevel::kWarning, "replay_fence_ahead", "it says " + std::to_string(says_ms) + ", later than this clock allows: was the clock set back?");
    else if (says_ms > now_ms) tell(net::EventLevel::kInfo, "replay_fence", "");
  } else if (found.error().code != ErrorCode::kNotFound || !options_.first_run) {
    earlier_.all_ms = most_ms;
    sound = false;
    tell(net::EventLevel::kWarning, "replay_fence_lost", found.error().message);
  } else {
    sound = false;   // there is none yet: from now on an absent one was lost
  }
  covered_ = earlier_;
  newest_ms_ = earlier_.all_ms;
  for (const auto& [account, until_ms] : earlier_.ahead_ms) ahead_[account] = {.validator = true, .newest_ms = until_ms};
  // At once: the next start would otherwise count from its own time, and a miner that is started again and again stay shut.
  std::unique_lock lock(mutex_);
  if (!sound) (void)write(lock, earlier_);
}

/// With the lock, while nobody writes. Writes without it; has it again at the end.
Status ReplayFence::write(std::unique_lock<std::mutex>& lock, Marks marks) {
  const bool failed_before = failing_;
  writing_ = true;
  being_written_ = std::move(marks);
  const std::string text = text_of(being_written_);
  lock.unlock();
  Status done = options_.write(file_, text);
  if (!done.ok() && !failed_before) net::log_event(log_, net::EventLevel::kError, "replay_fence_not_written", {{"file", file_.string()}, {"error", done.error().to_string()}});
  if (done.ok() && failed_before) net::log_event(log_, "replay_fence_written_again", {{"file", file_.string()}});
  lock.lock();
  writing_ = false;
  failing_ = !done.ok();
  if (done.ok()) covered_ = being_written_;
  last_ = done;
  ++writes_;
  write_ended_.notify_all();
  return done;
}

/// With the lock: what the file says, a lead further for all and for those ahead that asked since the last write.
ReplayFence::Marks ReplayFence::written_ahead(std::int64_t timestamp_ms, std::int64_t now_ms) {
  const std::int64_t lead_ms = options_.lead_ms;
  Marks marks = covered_;
  marks.all_ms = std::max(marks.all_ms, std::clamp(timestamp_ms, now_ms, now_ms + lead_ms / 4) + lead_ms);
  for (auto& [account, asker] : ahead_) {
    if (std::exchange(asker.used, false)) marks.ahead_ms[account] = std::max(marks.of(account), now_ms + asker.by_ms + lead_ms);
  }
  std::erase_if(marks.ahead_ms, [&](const auto& mark) { return mark.second <= marks.all_ms; });
  return marks;
}

bool ReplayFence::has_place(const protocol::AccountId& sender, std::int64_t now_ms, bool validator) {
  if (ahead_.contains(sender)) return true;
  // Those make room of whom nothing can be repeated any more: it is too old.
  std::erase_if(ahead_, [&](const auto& entry) { return !entry.second.used && covered_.of(entry.first) < now_ms - options_.window_ms; });
  const auto ordinary = std::count_if(ahead_.begin(), ahead_.end(), [](const auto& entry) { return !entry.second.validator; });
  return ahead_.size() < kMostAhead && (validator || static_cast<std::size_t>(ordinary) < kMostOrdinaryAhead);
}

Status ReplayFence::cover(const protocol::AccountId& sender, std::int64_t timestamp_ms, std::int64_t now_ms, bool validator) {
  std::unique_lock lock(mutex_);
  const bool ahead = timestamp_ms > now_ms + options_.lead_ms / 4;
  if (ahead && !has_place(sender, now_ms, validator)) {
    if (timestamp_ms > covered_.all_ms) return {ErrorCode::kDenied, "its clock is ahead of this one's, as too many others' are"};
    newest_ms_ = std::max(newest_ms_, timestamp_ms);
    return {};
  }
  const auto put_down = [&] {
    if (!ahead) return;
    Ahead& asker = ahead_[sender];
    asker.validator = validator;
    asker.by_ms = asker.used ? std::max(asker.by_ms, timestamp_ms - now_ms) : timestamp_ms - now_ms;
    asker.used = true;
  };
  while (timestamp_ms > covered_.of(sender)) {
    put_down();
    if (!writing_) {
      BRAINLOCK_TRY(write(lock, written_ahead(timestamp_ms, now_ms)));
      continue;
    }
    const bool enough = being_written_.of(sender) >= timestamp_ms;
    const std::uint64_t this_one = writes_;
    write_ended_.wait(lock, [&] { return writes_ != this_one; });
    if (enough && writes_ == this_one + 1 && !last_.ok()) return last_;
  }
  put_down();
  // Where all are covered that far the file may go back to it (settle()) without a word about the sender.
  std::int64_t& newest_ms = timestamp_ms <= covered_.all_ms ? newest_ms_ : ahead_[sender].newest_ms;
  newest_ms = std::max(newest_ms, timestamp_ms);
  // The last quarter of the lead: one request writes ahead again, and none has to wait for it.
  if (!writing_ && !failing_ && timestamp_ms > covered_.of(sender) - options_.lead_ms / 4) (void)write(lock, written_ahead(timestamp_ms, now_ms));
  return {};
}

Status ReplayFence::settle() {
  std::unique_lock lock(mutex_);
  write_ended_.wait(lock, [this] { return !writing_; });
  Marks taken{newest_ms_, {}};
  for (const auto& [account, asker] : ahead_) {
    if (asker.newest_ms > taken.all_ms) taken.ahead_ms[account] = asker.newest_ms;
  }
  if (taken.all_ms >= covered_.all_ms && taken.ahead_ms == covered_.ahead_ms) return {};
  // Before the file says so: a request that comes meanwhile waits and has it written anew.
  covered_ = taken;
  return write(lock, taken);
}

}  // namespace brainlock::miner
