#include "key_delivery.hpp"

#include <algorithm>
#include <filesystem>

namespace brainlock::validator {

using protocol::Reason;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::hours kHour{1};
constexpr std::chrono::seconds kAgain{10};   // after the first failure of an upload, twice as long after each further one
constexpr KeyDelivery::Duration kAgainMost = 6 * kHour;
constexpr KeyDelivery::Duration kDialMost = std::chrono::minutes(1), kDialOthersMost = std::chrono::minutes(5);   // between attempts to reach a miner; and where somebody else answers
constexpr std::size_t kRestartsAnHour = 3;   // that are nobody's fault: more of them are a way to take keys for ever
constexpr std::uint64_t kLeastPart = 1 << 16, kMostPart = 2 << 20;   // small: an upload stops between parts

}  // namespace

Readiness KeyDelivery::ensure(client::MinerConnection& connection, const client::TaskClient& task, const std::stop_token& stop) {
  const Name name(connection.miner().hotkey, task.key_id());
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    const Place& place = places_[name];
    known = place.there;
    const Duration early = place.not_before - now_();
    if (!known && early > Duration::zero()) {
      return {too_early("the last upload failed; the next one is in " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(early).count()) + " s")};
    }
  }
  bool there = false;
  client::Call state = connection.key_state(task.package(), task.key_id(), there, {5'000, 10'000, protocol::kMaxJsonBytes}, stop);
  {
    const std::lock_guard lock(mutex_);
    Place& place = places_[name];
    if (state.ok()) {
      place.there = there;
      place.misses = 0;
    }
    if (there) {
      place.was_there = true;
      place.failures = 0;
      return {std::move(state)};
    }
    // An address that is somebody else's: its owner is not to be dialled each time that a hotkey which announces it is due.
    if (state.reason == Reason::kUnsignedAnswer) place.there = false;
    if (!state.ok() && (known || state.reason != Reason::kRefused)) {
      if (!place.there && state.reason != Reason::kValidatorError) missed(place, state.reason == Reason::kUnsignedAnswer);
      return {std::move(state)};
    }
  }
  return send(connection, task, name, stop);
}

client::Call KeyDelivery::too_early(std::string detail) {
  client::Call call;
  call.uuid = protocol::make_uuid();
  call.reason = Reason::kKeyUpload;
  call.detail = std::move(detail);
  return call;
}

void KeyDelivery::postpone(Place& place, Duration kept_us) const {
  place.failures = std::min(place.failures + 1, 12);
  place.not_before = now_() + std::min(std::max<Duration>(kAgain * (1 << (place.failures - 1)), 6 * kept_us), kAgainMost);
}

void KeyDelivery::missed(Place& place, bool somebody_else) const {
  place.misses = std::min(place.misses + 1, 12);
  place.not_before = now_() + std::min<Duration>(kAgain * (1 << (place.misses - 1)), somebody_else ? kDialOthersMost : kDialMost);
}

Readiness KeyDelivery::send(client::MinerConnection& connection, const client::TaskClient& task, const Name& name, const std::stop_token& stop) {
  const Time hour_ago = now_() - kHour;
  const auto begun = Clock::now();
  bool was_there = false;
  {
    const std::lock_guard lock(mutex_);
    Place& place = places_[name];
    was_there = place.was_there;
    std::erase_if(place.sent, [&](Time sent) { return sent < hour_ago; });
    if (place.sent.size() >= std::max(1U, rules_.uploads_an_hour)) {
      return {too_early("the miner was sent the key " + std::to_string(place.sent.size()) + " times within an hour")};
    }
  }
  // First uploads are not timed: they happen once, and would punish miners that are far away.
  const client::CallLimits part_limits{5'000, rules_.part_timeout_ms, protocol::kMaxJsonBytes};
  const auto status = connection.status({}, stop);
  const std::uint64_t part_bytes = status.ok() ? std::clamp<std::uint64_t>(status->key_part_bytes, kLeastPart, kMostPart) : 1 << 20;
  Readiness out;
  {
    const auto in_line = Clock::now();
    Uplink::Upload line(uplink_, stop);
    out.excused = Clock::now() - in_line;
    const auto between_parts = [&](std::uint64_t there, std::uint64_t total) {
      if (there >= total) return;
      const auto held_up = Clock::now();
      line.between_parts(stop);
      out.excused += Clock::now() - held_up;
    };
    out.call = connection.upload_key(task.package(), task.key_id(), task.key_file(), part_bytes, part_limits, between_parts, stop, 4, rules_.upload_timeout_ms);
  }
  const auto took = Clock::now() - begun;
  const std::lock_guard lock(mutex_);
  Place& place = places_[name];
  place.there = out.call.ok();
  // A miner that refuses the last part had us send all the others.
  std::error_code ignored;
  const std::uint64_t most = std::filesystem::file_size(task.key_file(), ignored) / 2;
  if (out.call.bytes_sent > (out.call.ok() ? 0 : most)) place.sent.push_back(now_());
  if (!out.call.ok()) {
    std::erase_if(place.restarts, [&](Time at) { return at < hour_ago; });
    if (out.call.restarting && place.restarts.size() < kRestartsAnHour) {
      // What it has stays there, and the next upload goes on from it as soon as the miner is back.
      place.restarts.push_back(now_());
      place.not_before = now_() + kAgain;
    } else {
      postpone(place, took - out.excused);
    }
    return out;
  }
  place.was_there = true;
  place.failures = 0;
  // What it denied having and took no byte of is no upload.
  out.first = !was_there && out.call.bytes_sent > 0;
  if (out.first) out.excused = took;
  return out;
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
