#include "brainlock/miner/misbehaving_engine.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace brainlock::miner {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct NoKeys final : Engine::Keys {
  std::uint64_t memory_bytes() const override { return 0; }
};

/// Answers {1, 2, 3} after a while.
class SteadyEngine final : public Engine {
 public:
  explicit SteadyEngine(milliseconds time) : time_(time) {}
  std::vector<protocol::TaskOffer> offers() const override { return {}; }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId&, const std::filesystem::path&) override { return std::shared_ptr<const Keys>(std::make_shared<NoKeys>()); }
  Result<Bytes> infer(const protocol::ContentId&, const Keys&, std::span<const std::uint8_t>, const JobControl&) override {
    std::this_thread::sleep_for(time_);
    return Bytes{1, 2, 3};
  }

 private:
  milliseconds time_;
};

Result<Bytes> ask(Engine& engine, std::stop_token stop = {}) {
  const NoKeys keys;
  const std::uint8_t question[] = {9, 9};
  return engine.infer({}, keys, question, {{}, std::move(stop)});
}

double seconds_of(Engine& engine) {
  const auto begun = Clock::now();
  EXPECT_EQ(ask(engine).value(), (Bytes{1, 2, 3}));
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

TEST(MisbehavingEngine, SlowTakesAMultipleOfItsOwnTime) {
  const auto slow = make_misbehaving_engine(std::make_unique<SteadyEngine>(milliseconds(60)), Misbehaviour::kSlow, 0, 4);
  EXPECT_GE(seconds_of(*slow), 0.24);
}

TEST(MisbehavingEngine, AndIsLateByTheDelayAtLeast) {
  const auto slow = make_misbehaving_engine(std::make_unique<SteadyEngine>(milliseconds(1)), Misbehaviour::kSlow, 120, 2);
  EXPECT_GE(seconds_of(*slow), 0.12);
}

TEST(MisbehavingEngine, SlowStopsWhenItIsTold) {
  const auto slow = make_misbehaving_engine(std::make_unique<SteadyEngine>(milliseconds(1)), Misbehaviour::kSlow, 60'000);
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(30));
    stop.request_stop();
  });
  EXPECT_EQ(ask(*slow, stop.get_token()).error().code, ErrorCode::kCancelled);
}

TEST(MisbehavingEngine, ReplayWorksOnce) {
  const auto replay = make_misbehaving_engine(std::make_unique<SteadyEngine>(milliseconds(0)), Misbehaviour::kReplay, 0);
  const NoKeys keys;
  const std::uint8_t question[] = {9};
  EXPECT_FALSE(replay->infer({}, keys, question, {}).ok());
  EXPECT_EQ(replay->infer({}, keys, question, {}).value(), (Bytes{1, 2, 3}));
}

TEST(MisbehavingEngine, NamesGoBothWays) {
  for (const char* name : {"slow", "replay", "echo", "zeros", "noise", "truncate", "oversize", "empty"}) {
    EXPECT_EQ(misbehaviour_name(misbehaviour_from_name(name).value()), name);
  }
  EXPECT_EQ(misbehaviour_from_name("polite").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace brainlock::miner
