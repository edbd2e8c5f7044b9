#include "brainlock/miner/key_registry.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "brainlock/crypto/blake2b.hpp"
#include "brainlock/crypto/bytes.hpp"

namespace brainlock::miner {
namespace {

namespace fs = std::filesystem;
using protocol::Refusal;

std::string io_message(const char* what, const fs::path& file) { return std::string(what) + " " + file.string() + ": " + std::strerror(errno); }

/// Name of a whole key: <key>.keys; of an arriving one: <key>.<total>.part.
bool read_file_name(const std::string& name, protocol::ContentId& key, bool& complete, std::uint64_t& total) {
  if (name.size() < 65 || name[64] != '.') return false;
  const auto id = protocol::parse_content_id(std::string_view(name).substr(0, 64));
  if (!id.ok()) return false;
  key = *id;
  const std::string rest = name.substr(65);
  complete = rest == "keys";
  if (complete) return true;
  const auto dot = rest.find('.');
  if (dot == std::string::npos || rest.substr(dot) != ".part" || dot == 0 || dot > 16 ||
      rest.find_first_not_of("0123456789") != dot) {
    return false;
  }
  total = std::stoull(rest.substr(0, dot));
  return true;
}

}  // namespace

fs::path KeyRegistry::file_of(const KeyName& name, bool complete) const {
  const auto entry = entries_.find(name);
  const std::uint64_t total = entry == entries_.end() ? 0 : entry->second.total;
  std::string file = protocol::content_id_text(name.key);
  if (complete) file.append(".keys");
  else file.append(".").append(std::to_string(total)).append(".part");
  return root_ / crypto::hex_encode(name.owner) / protocol::content_id_text(name.package) / file;
}

Result<std::unique_ptr<KeyRegistry>> KeyRegistry::open(const fs::path& root, const KeyQuota& quota, std::int64_t now_ms,
                                                       const IsValidator& is_validator) {
  std::unique_ptr<KeyRegistry> registry(new KeyRegistry);
  registry->root_ = root;
  registry->quota_ = quota;
  std::error_code error;
  fs::create_directories(root, error);
  if (error) return {ErrorCode::kIo, "cannot make " + root.string() + ": " + error.message()};
  fs::permissions(root, fs::perms::owner_all, error);
  for (auto it = fs::recursive_directory_iterator(root, error); !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (!it->is_regular_file()) continue;
    KeyName name;
    Entry entry;
    const fs::path relative = fs::relative(it->path(), root);
    const std::string owner = relative.begin()->string();
    const auto owner_bytes = crypto::hex_decode_array<32>(owner);
    const auto package = protocol::parse_content_id(it->path().parent_path().filename().string());
    if (it.depth() != 2 || !owner_bytes.ok() || !package.ok() ||
        !read_file_name(it->path().filename().string(), name.key, entry.complete, entry.total)) {
      continue;  // not ours: left alone
    }
    name.owner = *owner_bytes;
    name.package = *package;
    entry.validator = !is_validator || is_validator(name.owner);
    entry.received = it->file_size();
    if (entry.complete) entry.total = entry.received;
    struct stat info{};
    entry.used_ms = ::stat(it->path().c_str(), &info) == 0 ? static_cast<std::int64_t>(info.st_mtime) * 1000 : now_ms;
    registry->bytes_ += entry.total;
    registry->entries_[name] = entry;
  }
  if (error) return {ErrorCode::kIo, "cannot read " + root.string() + ": " + error.message()};
  return registry;
}

protocol::KeyState KeyRegistry::state(const KeyName& name) const {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return {};
  return {entry->second.received, entry->second.complete};
}

void KeyRegistry::remove_locked(std::map<KeyName, Entry>::iterator entry) {
  std::error_code ignored;
  fs::remove(file_of(entry->first, entry->second.complete), ignored);
  bytes_ -= entry->second.total;
  entries_.erase(entry);
}

bool KeyRegistry::make_room_locked(const KeyName& name, bool validator, std::uint64_t total, std::int64_t now_ms) {
  if (total > quota_.total_bytes || (!validator && total > quota_.ordinary_bytes)) return false;
  // The owner's own oldest first.
  while (true) {
    std::size_t held = 0;
    auto oldest = entries_.end();
    for (auto it = entries_.lower_bound({name.owner, {}, {}}); it != entries_.end() && it->first.owner == name.owner; ++it) {
      ++held;
      if (!it->second.writing && (oldest == entries_.end() || it->second.used_ms < oldest->second.used_ms)) oldest = it;
    }
    if (held < quota_.keys_per_owner) break;
    if (oldest == entries_.end()) return false;
    ++evicted_;
    remove_locked(oldest);
  }
  const auto oldest_of = [&](bool validators) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.validator == validators && !it->second.writing && (oldest == entries_.end() || it->second.used_ms < oldest->second.used_ms)) oldest = it;
    }
    return oldest;
  };
  while (bytes_ + total > quota_.total_bytes || (!validator && ordinary_bytes_locked() + total > quota_.ordinary_bytes)) {
    auto oldest = oldest_of(false);
    bool is_protected = !validator;   // from its like
    if (oldest == entries_.end() && validator) {
      oldest = oldest_of(true);
      is_protected = true;
    }
    if (oldest == entries_.end()) return false;
    if (is_protected && oldest->first.owner != name.owner && now_ms - oldest->second.used_ms < quota_.protected_ms) return false;
    ++evicted_;
    remove_locked(oldest);
  }
  return true;
}

std::uint64_t KeyRegistry::ordinary_bytes_locked() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, entry] : entries_) bytes += entry.validator ? 0 : entry.total;
  return bytes;
}

std::unique_ptr<KeyRegistry::Part> KeyRegistry::begin_part(const KeyName& name, bool validator, std::uint64_t offset,
                                                           std::uint64_t size, std::uint64_t total, std::int64_t now_ms, Refused& refused) {
  const std::lock_guard lock(mutex_);
  const auto refuse = [&refused](Refusal refusal, std::string message) {
    refused = {refusal, std::move(message)};
    return std::unique_ptr<Part>();
  };
  auto entry = entries_.find(name);
  if (entry != entries_.end() && (entry->second.complete || entry->second.total != total)) {
    return refuse(Refusal::kWrongOffset, entry->second.complete ? "the key is there already" : "the upload was begun with another total");
  }
  const std::uint64_t expected = entry == entries_.end() ? 0 : entry->second.received;
  if (entry != entries_.end() && entry->second.writing) return refuse(Refusal::kWrongOffset, "another part of this key is being written");
  if (offset != expected) return refuse(Refusal::kWrongOffset, "go on at " + std::to_string(expected));
  if (size == 0 || size > total - offset) return refuse(Refusal::kMalformed, "a part that does not fit the total");
  if (entry == entries_.end()) {
    if (!make_room_locked(name, validator, total, now_ms)) return refuse(Refusal::kQuotaExceeded, "");
    entry = entries_.emplace(name, Entry{.received = 0, .total = total, .used_ms = now_ms, .complete = false, .writing = false, .validator = validator}).first;
    bytes_ += total;
  }
  const fs::path file = file_of(name, false);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  std::unique_ptr<Part> part(new Part);
  part->descriptor_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (part->descriptor_ < 0) {
    const std::string message = io_message("cannot open", file);
    if (entry->second.received == 0) remove_locked(entry);
    return refuse(Refusal::kInternal, message);
  }
  entry->second.writing = true;
  entry->second.used_ms = now_ms;
  entry->second.validator = validator;
  part->registry_ = this;
  part->name_ = name;
  part->offset_ = part->end_ = offset;
  part->total_ = total;
  return part;
}

KeyRegistry::Part::~Part() {
  // What was not confirmed must not look like confirmed bytes after a restart.
  if (!committed_ && descriptor_ >= 0) (void)!::ftruncate(descriptor_, static_cast<off_t>(offset_));
  if (descriptor_ >= 0) ::close(descriptor_);
  if (registry_ == nullptr) return;
  const std::lock_guard lock(registry_->mutex_);
  if (const auto entry = registry_->entries_.find(name_); entry != registry_->entries_.end()) entry->second.writing = false;
}

Status KeyRegistry::Part::write(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > total_ - end_) return {ErrorCode::kTooLarge, "more bytes than the key has"};
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(end_));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return {errno == ENOSPC || errno == EDQUOT ? ErrorCode::kResource : ErrorCode::kIo, std::string("writing a key: ") + std::strerror(errno)};
    end_ += static_cast<std::uint64_t>(done);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Result<protocol::KeyState> KeyRegistry::Part::commit(std::int64_t now_ms) {
  const std::lock_guard lock(registry_->mutex_);
  const auto entry = registry_->entries_.find(name_);
  if (entry == registry_->entries_.end()) return {ErrorCode::kNotFound, "the key was removed meanwhile"};
  committed_ = true;
  entry->second.received = end_;
  entry->second.used_ms = now_ms;
  return protocol::KeyState{end_, false};
}

Status KeyRegistry::finish(const KeyName& name, const std::function<Status(const fs::path&)>& check, std::int64_t now_ms) {
  fs::path part, whole;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) return {ErrorCode::kNotFound, "no such upload"};
    if (entry->second.complete) return {};
    if (entry->second.writing || entry->second.received != entry->second.total) return {ErrorCode::kInvalidArgument, "the upload is not whole"};
    entry->second.writing = true;  // nobody may change or evict it while it is read
    part = file_of(name, false);
    whole = file_of(name, true);
  }
  const auto judge = [&]() -> Status {
    std::ifstream in(part, std::ios::binary);
    if (!in) return {ErrorCode::kIo, io_message("cannot open", part)};
    crypto::Blake2b256 digest;
    std::vector<char> buffer(1 << 20);
    while (in) {
      in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      digest.update({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(in.gcount())});
    }
    if (digest.finish() != name.key) return {ErrorCode::kCorrupted, "the bytes do not have the hash that names the key"};
    BRAINLOCK_TRY(check(part));
    const int descriptor = ::open(part.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
      ::fsync(descriptor);
      ::close(descriptor);
    }
    if (::rename(part.c_str(), whole.c_str()) != 0) return {ErrorCode::kIo, io_message("cannot rename", part)};
    return {};
  };
  const Status verdict = judge();
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return {ErrorCode::kNotFound, "the key was removed meanwhile"};
  entry->second.writing = false;
  entry->second.used_ms = now_ms;
  if (verdict.ok()) entry->second.complete = true;
  else remove_locked(entry);
  return verdict;
}

Result<fs::path> KeyRegistry::use(const KeyName& name, bool validator, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end() || !entry->second.complete) return {ErrorCode::kNotFound, "no such key of this sender"};
  fs::path file = file_of(name, true);
  // The file's own time is what a restart goes by; once a minute is enough.
  if (now_ms - entry->second.used_ms > 60'000) ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0);
  entry->second.used_ms = now_ms;
  entry->second.validator = validator;
  return file;
}

void KeyRegistry::forget(const KeyName& name) {
  const std::lock_guard lock(mutex_);
  if (const auto entry = entries_.find(name); entry != entries_.end() && !entry->second.writing) remove_locked(entry);
}

void KeyRegistry::expire(std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto here = it++;
    if (!here->second.writing && now_ms - here->second.used_ms > quota_.expiry_ms) {
      ++evicted_;
      remove_locked(here);
    }
  }
}

KeyRegistry::Totals KeyRegistry::totals() const {
  const std::lock_guard lock(mutex_);
  Totals out;
  for (const auto& [name, entry] : entries_) ++(entry.complete ? out.keys : out.arriving);
  out.bytes = bytes_;
  out.evicted = evicted_;
  return out;
}

}  // namespace brainlock::miner
