#include "brainlock/miner/key_registry.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <vector>

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

KeyQuota quota_for(std::size_t packages) {
  KeyQuota quota;
  quota.keys_per_owner = std::max(quota.keys_per_owner, 2 * packages);
  return quota;
}

bool is_of_this_machine(ErrorCode code) {
  switch (code) {
    case ErrorCode::kIo:
    case ErrorCode::kTimeout:
    case ErrorCode::kCancelled:
    case ErrorCode::kUnavailable:
    case ErrorCode::kResource:
    case ErrorCode::kInternal: return true;
    default: return false;
  }
}

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
    if (entry.received > entry.total) continue;
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
  const fs::path file = file_of(entry->first, entry->second.complete);
  fs::remove(file, ignored);
  // Whoever likes can have any number of accounts: of those without a key nothing stays. (Folders that are not empty do.)
  fs::remove(file.parent_path(), ignored);
  fs::remove(file.parent_path().parent_path(), ignored);
  bytes_ -= entry->second.total;
  entries_.erase(entry);
}

void KeyRegistry::follow_clock_locked(std::int64_t now_ms) {
  std::int64_t newest_ms = now_ms;
  for (const auto& [name, entry] : entries_) newest_ms = std::max(newest_ms, entry.used_ms);
  if (newest_ms == now_ms) return;
  for (auto& [name, entry] : entries_) entry.used_ms -= newest_ms - now_ms + 1;   // before whatever is used now
}

Refusal KeyRegistry::make_room_locked(const KeyName& name, bool validator, std::uint64_t total, std::int64_t now_ms) {
  // What there would be without the keys that go.
  std::uint64_t all = bytes_, ordinary = 0, awaited = 0, held = 0;
  std::vector<std::map<KeyName, Entry>::iterator> own, candidates, leaving;
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    const Entry& entry = it->second;
    ordinary += entry.validator ? 0 : entry.total;
    awaited += entry.total - entry.received;
    held += it->first.owner == name.owner ? 1 : 0;
    if (entry.writing) continue;
    if (it->first.owner == name.owner) own.push_back(it);
    if (validator || !entry.validator) candidates.push_back(it);
  }
  std::uint64_t available = free_on_disk().value_or(std::numeric_limits<std::uint64_t>::max() / 2);
  const auto lacks = [&] {
    if (all + total > quota_.total_bytes || (!validator && ordinary + total > quota_.ordinary_bytes)) return Refusal::kQuotaExceeded;
    return awaited + total + quota_.keep_free_bytes > available ? Refusal::kOutOfResources : Refusal::kNone;
  };
  const auto let_go = [&](std::map<KeyName, Entry>::iterator it) {
    const Entry& entry = it->second;
    all -= entry.total;
    ordinary -= entry.validator ? 0 : entry.total;
    awaited -= entry.total - entry.received;
    available += entry.received;
    leaving.push_back(it);
  };
  // The owner's own oldest first; then ordinary users', by age; then, for a validator, validators'.
  const auto by_age = [](const auto& a, const auto& b) { return a->second.used_ms < b->second.used_ms; };
  std::stable_sort(own.begin(), own.end(), by_age);
  std::stable_sort(candidates.begin(), candidates.end(), by_age);
  std::stable_partition(candidates.begin(), candidates.end(), [](const auto& it) { return !it->second.validator; });
  for (auto it = own.begin(); held >= quota_.keys_per_owner; ++it, --held) {
    if (it == own.end()) return Refusal::kQuotaExceeded;
    let_go(*it);
  }
  for (const auto& it : candidates) {
    const Refusal lacking = lacks();
    if (lacking == Refusal::kNone) break;
    if (std::find(leaving.begin(), leaving.end(), it) != leaving.end()) continue;
    const bool of_its_kind = it->second.validator == validator;
    if (of_its_kind && it->first.owner != name.owner && now_ms - it->second.used_ms < quota_.protected_ms) return lacking;
    let_go(it);
  }
  if (const Refusal lacking = lacks(); lacking != Refusal::kNone) return lacking;
  for (const auto& it : leaving) {
    ++evicted_;
    remove_locked(it);
  }
  return Refusal::kNone;
}

std::optional<std::uint64_t> KeyRegistry::free_on_disk() const {
  if (quota_.free_bytes) return quota_.free_bytes(root_);
  std::error_code error;
  const auto space = fs::space(root_, error);
  return error ? std::nullopt : std::optional<std::uint64_t>(space.available);
}

std::unique_ptr<KeyRegistry::Part> KeyRegistry::begin_part(const KeyName& name, bool validator, std::uint64_t offset,
                                                           std::uint64_t size, std::uint64_t total, std::int64_t now_ms, Refused& refused) {
  const std::lock_guard lock(mutex_);
  const auto refuse = [&refused](Refusal refusal, std::string message) {
    refused = {refusal, std::move(message)};
    return std::unique_ptr<Part>();
  };
  follow_clock_locked(now_ms);
  auto entry = entries_.find(name);
  if (entry != entries_.end() && (entry->second.complete || entry->second.total != total)) {
    return refuse(Refusal::kWrongOffset, entry->second.complete ? "the key is there already" : "the upload was begun with another total");
  }
  const std::uint64_t expected = entry == entries_.end() ? 0 : entry->second.received;
  if (entry != entries_.end() && entry->second.writing) return refuse(Refusal::kWrongOffset, "another part of this key is being written");
  if (offset != expected) return refuse(Refusal::kWrongOffset, "go on at " + std::to_string(expected));
  if (size == 0 || size > total - offset) return refuse(Refusal::kMalformed, "a part that does not fit the total");
  if (entry == entries_.end()) {
    if (const Refusal lacking = make_room_locked(name, validator, total, now_ms); lacking != Refusal::kNone) {
      return refuse(lacking, lacking == Refusal::kOutOfResources ? "the disk has too little room for the key" : "");
    }
    entry = entries_.emplace(name, Entry{.received = 0, .total = total, .used_ms = now_ms, .complete = false, .writing = false, .validator = validator}).first;
    bytes_ += total;
  }
  const fs::path file = file_of(name, false);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  std::unique_ptr<Part> part(new Part);
  part->descriptor_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (part->descriptor_ < 0) {
    const int number = error ? error.value() : errno;
    if (entry->second.received == 0) remove_locked(entry);
    return refuse(number == ENOSPC || number == EDQUOT ? Refusal::kOutOfResources : Refusal::kInternal, std::string("cannot open a file for the key: ") + std::strerror(number));
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
    if (!in) return {fs::exists(part) ? ErrorCode::kIo : ErrorCode::kNotFound, io_message("cannot open", part)};
    crypto::Blake2b256 digest;
    std::vector<char> buffer(1 << 20);
    while (in) {
      in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      digest.update({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(in.gcount())});
    }
    if (in.bad()) return {ErrorCode::kIo, io_message("cannot read", part)};
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
  else if (!is_of_this_machine(verdict.error().code)) remove_locked(entry);
  return verdict;
}

Result<fs::path> KeyRegistry::use(const KeyName& name, bool validator, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  follow_clock_locked(now_ms);
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
  follow_clock_locked(now_ms);
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
