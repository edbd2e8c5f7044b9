#include "brainlock/miner/device_engines.hpp"

#include <mutex>
#include <optional>

namespace brainlock::miner {
namespace {

struct KeysOfAll final : Engine::Keys {
  std::vector<std::shared_ptr<const Engine::Keys>> each;
  [[nodiscard]] std::uint64_t memory_bytes() const override {
    std::uint64_t bytes = 0;
    for (const auto& keys : each) bytes += keys->memory_bytes();
    return bytes;
  }
};

class DeviceEngines final : public Engine {
 public:
  explicit DeviceEngines(std::vector<std::unique_ptr<Engine>> engines) {
    for (auto& engine : engines) places_.push_back({std::move(engine), 0, false});
  }

  std::vector<protocol::TaskOffer> offers() const override { return places_[0].engine->offers(); }

  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package, const std::filesystem::path& file) override {
    auto out = std::make_shared<KeysOfAll>();
    for (const Place& place : places_) {
      BRAINLOCK_ASSIGN(auto keys, place.engine->load_keys(package, file));
      out->each.push_back(std::move(keys));
    }
    return std::shared_ptr<const Keys>(std::move(out));
  }

  Result<Bytes> infer(const protocol::ContentId& package, const Keys& keys, std::span<const std::uint8_t> question,
                      const JobControl& control) override {
    const auto* all = dynamic_cast<const KeysOfAll*>(&keys);
    if (all == nullptr) return {ErrorCode::kInternal, "keys of another engine"};
    Error lost{ErrorCode::kUnavailable, "no device is left"};
    while (const auto at = begin()) {
      auto answer = places_[*at].engine->infer(package, *all->each[*at], question, control);
      const bool gone = !answer.ok() && answer.error().code == ErrorCode::kUnavailable;
      end(*at, gone);
      if (!gone) return answer;
      lost = answer.error();
    }
    return lost;
  }

 private:
  struct Place {
    std::unique_ptr<Engine> engine;
    std::size_t running;
    bool lost;
  };

  /// The place with least to do, looked for from the one after the last.
  std::optional<std::size_t> begin() {
    const std::lock_guard lock(mutex_);
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const std::size_t at = (last_ + 1 + i) % places_.size();
      if (!places_[at].lost && (!best || places_[at].running < places_[*best].running)) best = at;
    }
    if (best) {
      ++places_[*best].running;
      last_ = *best;
    }
    return best;
  }
  void end(std::size_t at, bool gone) {
    const std::lock_guard lock(mutex_);
    --places_[at].running;
    places_[at].lost = places_[at].lost || gone;
  }

  std::vector<Place> places_;
  std::mutex mutex_;   ///< of running, lost and last_
  std::size_t last_ = 0;
};

}  // namespace

std::unique_ptr<Engine> make_device_engines(std::vector<std::unique_ptr<Engine>> engines) {
  return std::make_unique<DeviceEngines>(std::move(engines));
}

}  // namespace brainlock::miner
