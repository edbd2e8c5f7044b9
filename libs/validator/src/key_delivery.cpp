#include "key_delivery.hpp"

#include <algorithm>
#include <filesystem>

namespace brainlock::validator {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kAgainMs = 10'000;   // after the first failure of an upload, twice as long after each further one
constexpr std::int64_t kAgainMostMs = 6 * kHourMs;
constexpr std::uint64_t kLeastPart = 1 << 16, kMostPart = 2 << 20;   // small: an upload stops between parts

}  // namespace

Readiness KeyDelivery::ensure(client::MinerConnection& connection, const client::TaskClient& task, const std::stop_token& stop) {
  const Name name(connection.miner().hotkey, task.key_id());
  bool there = false;
  {
    const std::lock_guard lock(mutex_);
    there = places_[name].there;
  }
  if (there) {  // as far as we know: it may have dropped it
    client::Call state = connection.key_state(task.package(), task.key_id(), there, {5'000, 10'000, protocol::kMaxJsonBytes}, stop);
    if (!state.ok() || there) return {std::move(state)};
  }
  const auto begun = std::chrono::steady_clock::now();
  client::Call sent = send(connection, task, name, stop);
  return {std::move(sent), true, std::chrono::steady_clock::now() - begun};
}

client::Call KeyDelivery::send(client::MinerConnection& connection, const client::TaskClient& task, const Name& name, const std::stop_token& stop) {
  const std::int64_t began_ms = clock_();
  {
    const std::lock_guard lock(mutex_);
    Place& place = places_[name];
    std::erase_if(place.sent_ms, [&](std::int64_t sent_ms) { return sent_ms < began_ms - kHourMs; });
    const bool often = place.sent_ms.size() >= std::max(1U, rules_.uploads_an_hour);
    if (often || began_ms < place.not_before_ms) {
      client::Call call;
      call.uuid = protocol::make_uuid();
      call.started_ms = call.finished_ms = began_ms;
      call.reason = protocol::Reason::kKeyUpload;
      call.detail = often ? "the miner was sent the key " + std::to_string(place.sent_ms.size()) + " times within an hour"
                          : "the last upload failed; the next one is in " + std::to_string((place.not_before_ms - began_ms) / 1000) + " s";
      return call;
    }
  }
  // Uploads are not timed: they happen once, and would punish miners that are far away.
  const client::CallLimits part_limits{5'000, rules_.part_timeout_ms, protocol::kMaxJsonBytes};
  const auto status = connection.status({}, stop);
  const std::uint64_t part_bytes = status.ok() ? std::clamp<std::uint64_t>(status->key_part_bytes, kLeastPart, kMostPart) : 1 << 20;
  client::Call upload;
  {
    Uplink::Upload line(uplink_, stop);
    upload = connection.upload_key(task.package(), task.key_id(), task.key_file(), part_bytes, part_limits,
                                   [&](std::uint64_t, std::uint64_t) { line.between_parts(stop); }, stop, 4, rules_.upload_timeout_ms);
  }
  const std::int64_t ended_ms = clock_();
  const std::lock_guard lock(mutex_);
  Place& place = places_[name];
  place.there = upload.ok();
  // A miner that refuses the last part had us send all the others.
  std::error_code ignored;
  const std::uint64_t most = std::filesystem::file_size(task.key_file(), ignored) / 2;
  if (upload.bytes_sent > (upload.ok() ? 0 : most)) place.sent_ms.push_back(ended_ms);
  if (upload.ok()) {
    place.failures = 0;
  } else {
    // The longer it kept us, the longer it waits.
    place.failures = std::min(place.failures + 1, 12);
    place.not_before_ms = ended_ms + std::min(std::max(kAgainMs << (place.failures - 1), 6 * (ended_ms - began_ms)), kAgainMostMs);
  }
  return upload;
}

void KeyDelivery::lost(const protocol::AccountId& miner, const protocol::ContentId& key) {
  const std::lock_guard lock(mutex_);
  places_[{miner, key}].there = false;
}

void KeyDelivery::forget_miners(const std::function<bool(const protocol::AccountId&)>& gone) {
  const std::lock_guard lock(mutex_);
  std::erase_if(places_, [&](const auto& entry) { return gone(entry.first.first); });
}

void KeyDelivery::forget_key(const protocol::ContentId& key) {
  const std::lock_guard lock(mutex_);
  std::erase_if(places_, [&](const auto& entry) { return entry.first.second == key; });
}

}  // namespace brainlock::validator
