#include "brainlock/miner/device_engines.hpp"

#include <mutex>
#include <utility>

namespace brainlock::miner {
namespace {

/// Those of a lost device are missing.
struct KeysOfAll final : Engine::Keys {
  std::vector<std::shared_ptr<const Engine::Keys>> each;
  [[nodiscard]] std::uint64_t memory_bytes() const override {
    std::uint64_t bytes = 0;
    for (const auto& keys : each) bytes += keys ? keys->memory_bytes() : 0;
    return bytes;
  }
};

class DeviceEngines final : public Engine {
 public:
  DeviceEngines(std::vector<std::unique_ptr<Engine>> engines, DeviceLost lost) : lost_(std::move(lost)) {
    for (auto& engine : engines) places_.push_back({std::move(engine), 0, false});
  }

  std::vector<Device> devices() const override {
    std::vector<Device> out;
    for (const Place& place : places_) {
      for (Device device : place.engine->devices()) {
        device.lost = is_lost(place);
        out.push_back(std::move(device));
      }
    }
    return out;
  }
  /// Of the device that has least room: all of them load every set.
  std::optional<std::size_t> room_for_key_sets() const override {
    std::optional<std::size_t> least;
    for (const Place& place : places_) {
      const auto room = place.engine->room_for_key_sets();
      if (room && (!least || *room < *least)) least = room;
    }
    return least;
  }
  std::vector<protocol::TaskOffer> offers() const override { return places_[0].engine->offers(); }

  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package,
                                                const std::filesystem::path& file) override {
    auto out = std::make_shared<KeysOfAll>();
    Error lost = none_left();
    bool any = false;
    for (Place& place : places_) {
      out->each.emplace_back();
      if (is_lost(place)) continue;
      auto keys = place.engine->load_keys(package, file);
      if (keys.ok()) {
        out->each.back() = std::move(*keys);
        any = true;
      } else if (keys.error().code == ErrorCode::kUnavailable) {
        lose(place, keys.error());
        lost = keys.error();
      } else {
        return keys.error();
      }
    }
    if (!any) return lost;
    return std::shared_ptr<const Keys>(std::move(out));
  }

  Result<Bytes> infer(const protocol::ContentId& package, const Keys& keys, std::span<const std::uint8_t> question,
                      const JobControl& control) override {
    const auto* all = dynamic_cast<const KeysOfAll*>(&keys);
    if (all == nullptr) return {ErrorCode::kInternal, "keys of another engine"};
    Error lost = none_left();
    while (Place* const place = begin(*all)) {
      auto answer = place->engine->infer(package, *all->each[static_cast<std::size_t>(place - places_.data())],
                                         question, control);
      end(*place);
      if (answer.ok() || answer.error().code != ErrorCode::kUnavailable) return answer;
      lost = answer.error();
      lose(*place, lost);
    }
    return lost;
  }

 private:
  struct Place {
    std::unique_ptr<Engine> engine;
    std::size_t running;
    bool lost;
  };

  static Error none_left() { return {ErrorCode::kUnavailable, "no device is left"}; }

  /// The place with least to do, looked for from the one after the last; null when no place that has the keys is left.
  Place* begin(const KeysOfAll& keys) {
    const std::lock_guard lock(mutex_);
    Place* best = nullptr;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const std::size_t at = (last_ + 1 + i) % places_.size();
      Place& place = places_[at];
      if (!place.lost && keys.each[at] && (best == nullptr || place.running < best->running)) best = &place;
    }
    if (best != nullptr) {
      ++best->running;
      last_ = static_cast<std::size_t>(best - places_.data());
    }
    return best;
  }
  void end(Place& place) {
    const std::lock_guard lock(mutex_);
    --place.running;
  }
  bool is_lost(const Place& place) const {
    const std::lock_guard lock(mutex_);
    return place.lost;
  }
  void lose(Place& place, const Error& error) {
    std::size_t left = 0;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(place.lost, true)) return;
      for (const Place& other : places_) left += other.lost ? 0 : 1;
    }
    if (!lost_) return;
    for (Device device : place.engine->devices()) {
      device.lost = true;
      lost_(device, error, left);
    }
  }

  std::vector<Place> places_;  ///< their number never changes
  const DeviceLost lost_;
  mutable std::mutex mutex_;  ///< of running, lost and last_
  std::size_t last_ = 0;
};

}  // namespace

std::unique_ptr<Engine> make_device_engines(std::vector<std::unique_ptr<Engine>> engines, DeviceLost lost) {
  return std::make_unique<DeviceEngines>(std::move(engines), std::move(lost));
}

}  // namespace brainlock::miner
