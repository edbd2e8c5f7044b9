#include "brainlock/miner/misbehaving_engine.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

namespace brainlock::miner {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 8> kNames{"slow", "replay", "echo", "zeros", "noise", "truncate", "oversize", "empty"};

/// Bytes at the start of an object that a reader looks at first: left whole, so that deeper checks are reached.
constexpr std::size_t kHeaderBytes = 96;

class MisbehavingEngine final : public Engine {
 public:
  MisbehavingEngine(std::unique_ptr<Engine> inner, Misbehaviour kind, std::int64_t delay_ms, double slow_factor)
      : inner_(std::move(inner)), kind_(kind), delay_ms_(delay_ms), slow_factor_(std::max(1.0, slow_factor)) {}

  std::vector<Device> devices() const override { return inner_->devices(); }
  std::optional<std::size_t> room_for_key_sets() const override { return inner_->room_for_key_sets(); }
  std::vector<protocol::TaskOffer> offers() const override { return inner_->offers(); }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package, const std::filesystem::path& file) override {
    return inner_->load_keys(package, file);
  }

  Result<Bytes> infer(const protocol::ContentId& package, const Keys& keys, std::span<const std::uint8_t> question,
                      const JobControl& control) override {
    if (kind_ == Misbehaviour::kEcho) return Bytes(question.begin(), question.end());
    if (kind_ == Misbehaviour::kEmpty) return Bytes{};
    if (kind_ == Misbehaviour::kReplay) {
      const std::lock_guard lock(mutex_);
      if (const auto known = answers_.find(&keys); known != answers_.end()) return known->second;
    }
    const auto begun = Clock::now();
    BRAINLOCK_ASSIGN(Bytes answer, inner_->infer(package, keys, question, control));
    switch (kind_) {
      case Misbehaviour::kSlow: {
        // In proportion to the engine's own time: what slows all miners of a machine leaves the order of their times as it is.
        const auto extra = std::chrono::duration_cast<Clock::duration>((Clock::now() - begun) * (slow_factor_ - 1));
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any wake;
        wake.wait_for(lock, control.stop, std::max<Clock::duration>(extra, std::chrono::milliseconds(delay_ms_)), [] { return false; });
        if (control.stop.stop_requested()) return {ErrorCode::kCancelled, "stopped"};
        break;
      }
      case Misbehaviour::kReplay: {
        const std::lock_guard lock(mutex_);
        answers_[&keys] = std::move(answer);
        // The one right answer is kept for later, not given: who gave it would have worked for it.
        return {ErrorCode::kUnavailable, "not now"};
      }
      case Misbehaviour::kZeros:
        std::fill(answer.begin() + static_cast<std::ptrdiff_t>(std::min(kHeaderBytes, answer.size())), answer.end(), std::uint8_t{0});
        break;
      case Misbehaviour::kNoise:
        for (std::size_t i = answer.size() / 2; i < answer.size(); i += 97) answer[i] ^= 1;
        break;
      case Misbehaviour::kTruncate: answer.pop_back(); break;
      case Misbehaviour::kOversize: answer.resize(answer.size() * 2); break;
      default: break;
    }
    return answer;
  }

 private:
  std::unique_ptr<Engine> inner_;
  const Misbehaviour kind_;
  const std::int64_t delay_ms_;
  const double slow_factor_;
  std::mutex mutex_;
  std::map<const Keys*, Bytes> answers_;
};

}  // namespace

std::string_view misbehaviour_name(Misbehaviour kind) { return kNames[static_cast<std::size_t>(kind)]; }

Result<Misbehaviour> misbehaviour_from_name(std::string_view name) {
  std::string all;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Misbehaviour>(i);
    all.append(i == 0 ? "" : ", ").append(kNames[i]);
  }
  return {ErrorCode::kNotFound, "no such misbehaviour; there are " + all};
}

std::unique_ptr<Engine> make_misbehaving_engine(std::unique_ptr<Engine> inner, Misbehaviour kind, std::int64_t delay_ms, double slow_factor) {
  return std::make_unique<MisbehavingEngine>(std::move(inner), kind, delay_ms, slow_factor);
}

}  // namespace brainlock::miner
