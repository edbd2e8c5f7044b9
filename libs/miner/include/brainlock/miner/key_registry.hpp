// Evaluation keys on disk: ROOT/<owner>/<package>/<key>.keys, or .part while they arrive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "brainlock/protocol/messages.hpp"
#include "brainlock/protocol/signer.hpp"

namespace brainlock::miner {

struct KeyQuota {
  std::size_t keys_per_owner = 4;                    ///< whole or arriving; a further one replaces the owner's oldest
  std::uint64_t total_bytes = 64ULL << 30;           ///< announced sizes; the oldest key goes first
  /// Of these, what ordinary users have among them (an account costs them nothing): they make room for each other, and for validators.
  std::uint64_t ordinary_bytes = 16ULL << 30;
  std::int64_t protected_ms = 10 * 60 * 1000;        ///< a key used within this time is not sacrificed for another owner of its kind
  std::int64_t expiry_ms = 7LL * 24 * 3600 * 1000;   ///< unused for so long: removed
  /// Of the disk, left to others: where the replay fence cannot be written nobody is served.
  std::uint64_t keep_free_bytes = 256ULL << 20;
  /// What is free on the disk of a folder; nothing if that is not known. Empty: asks the file system.
  std::function<std::optional<std::uint64_t>(const std::filesystem::path&)> free_bytes = {};
};

/// For a miner of so many packages: each owner has room for two keys of every one, the new beside the old.
[[nodiscard]] KeyQuota quota_for(std::size_t packages);

/// Whether an error of reading a key is this machine's, for the moment (memory, disk, a lost device). The key is not to blame and is kept.
[[nodiscard]] bool is_of_this_machine(ErrorCode code);

/// Who a key belongs to and what it is for. A key is found by its owner only.
struct KeyName {
  protocol::AccountId owner{};
  protocol::ContentId package{};
  protocol::ContentId key{};
  auto operator<=>(const KeyName&) const = default;
};

/// Safe from many threads. Survives restarts: what is on disk is the truth. Bytes of a piece that was not confirmed are cut off; after a kill they stay, and
/// finish() tells whether they were right.
class KeyRegistry {
 public:
  /// Whose keys count as a validator's.
  using IsValidator = std::function<bool(const protocol::AccountId&)>;
  /// Scans the directory (made 0700). What is found belongs to the kind of owner that `is_validator` says now; without it, to validators. kIo.
  static Result<std::unique_ptr<KeyRegistry>> open(const std::filesystem::path& root, const KeyQuota& quota, std::int64_t now_ms,
                                                   const IsValidator& is_validator = {});

  [[nodiscard]] protocol::KeyState state(const KeyName& name) const;

  /// One upload of bytes at an offset. Bytes count only after commit().
  class Part {
   public:
    ~Part();
    Status write(std::span<const std::uint8_t> bytes);
    /// The bytes are the signed ones. Returns where the upload stands.
    Result<protocol::KeyState> commit(std::int64_t now_ms);

   private:
    friend class KeyRegistry;
    Part() = default;
    KeyRegistry* registry_ = nullptr;
    KeyName name_;
    int descriptor_ = -1;
    std::uint64_t offset_ = 0, end_ = 0, total_ = 0;
    bool committed_ = false;
  };
  struct Refused {
    protocol::Refusal refusal = protocol::Refusal::kNone;
    std::string message;
  };
  /// Opens a part of `size` bytes at `offset` of a file of `total`. `validator`: what the owner is now. Makes room first, for a
  /// validator's key by those of ordinary users; where that would not be enough no key goes. Null and `refused` filled otherwise:
  /// kWrongOffset (the message says where to go on; also while another part of the key is being written), kQuotaExceeded,
  /// kOutOfResources (the disk), kInternal.
  std::unique_ptr<Part> begin_part(const KeyName& name, bool validator, std::uint64_t offset, std::uint64_t size, std::uint64_t total,
                                   std::int64_t now_ms, Refused& refused);

  /// After the last byte: compares the file's hash with its name, lets `check` look at it, and only then keeps it as a key.
  /// Otherwise it is deleted: kCorrupted, or the check's error. Where that is this machine's fault it stays, to be tried again. Slow: reads the file.
  Status finish(const KeyName& name, const std::function<Status(const std::filesystem::path&)>& check, std::int64_t now_ms);

  /// File of a whole key, and notes its use, and what its owner is now. kNotFound.
  Result<std::filesystem::path> use(const KeyName& name, bool validator, std::int64_t now_ms);
  /// Removes a key that turned out unusable.
  void forget(const KeyName& name);
  /// Removes what nobody has used for long.
  void expire(std::int64_t now_ms);

  struct Totals {
    std::size_t keys = 0, arriving = 0;
    std::uint64_t bytes = 0, evicted = 0;
  };
  [[nodiscard]] Totals totals() const;

 private:
  struct Entry {
    std::uint64_t received = 0, total = 0;
    std::int64_t used_ms = 0;
    bool complete = false, writing = false;
    bool validator = true;   ///< the owner's kind, when it was last looked at
  };
  KeyRegistry() = default;
  [[nodiscard]] std::filesystem::path file_of(const KeyName& name, bool complete) const;
  void remove_locked(std::map<KeyName, Entry>::iterator entry);
  /// Where the clock was set back since the newest use: all uses move back with it. Otherwise what was used since would be the oldest, and what was used before
  /// protected, until the clock is there again.
  void follow_clock_locked(std::int64_t now_ms);
  /// kNone, or why there is no room.
  protocol::Refusal make_room_locked(const KeyName& name, bool validator, std::uint64_t total, std::int64_t now_ms);
  [[nodiscard]] std::optional<std::uint64_t> free_on_disk() const;

  std::filesystem::path root_;
  KeyQuota quota_;
  mutable std::mutex mutex_;
  std::map<KeyName, Entry> entries_;
  std::uint64_t bytes_ = 0, evicted_ = 0;
};

}  // namespace brainlock::miner
