// Several engines as one: who gets a question, and what happens when a device is lost.
#include "brainlock/miner/device_engines.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace brainlock::miner {
namespace {

/// Answers with its own number; waits while it is held.
class ScriptedEngine final : public Engine {
 public:
  struct Script {
    std::mutex mutex;
    std::condition_variable changed;
    bool held = false;
    int entered = 0;
    std::optional<Error> fails;
    std::optional<Error> keys_fail;
    std::optional<std::size_t> room;
  };
  ScriptedEngine(std::uint8_t number, std::shared_ptr<Script> script) : number_(number), script_(std::move(script)) {}

  struct Own final : Keys {
    explicit Own(std::uint8_t n) : number(n) {}
    std::uint8_t number;
    [[nodiscard]] std::uint64_t memory_bytes() const override { return 100 + number; }
  };
  std::optional<std::size_t> room_for_key_sets() const override { return script_->room; }
  std::vector<Device> devices() const override { return {{"device " + std::to_string(number_), false}}; }
  std::vector<protocol::TaskOffer> offers() const override { return {}; }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId&, const std::filesystem::path&) override {
    if (script_->keys_fail) return *script_->keys_fail;
    return std::shared_ptr<const Keys>(std::make_shared<Own>(number_));
  }
  Result<Bytes> infer(const protocol::ContentId&, const Keys& keys, std::span<const std::uint8_t>, const JobControl&) override {
    const auto* own = dynamic_cast<const Own*>(&keys);
    EXPECT_NE(own, nullptr);
    if (own == nullptr) return {ErrorCode::kInternal, "foreign keys"};
    EXPECT_EQ(own->number, number_);   // each engine gets the keys that it loaded
    std::unique_lock lock(script_->mutex);
    ++script_->entered;
    script_->changed.notify_all();
    script_->changed.wait(lock, [&] { return !script_->held; });
    if (script_->fails) return *script_->fails;
    return Bytes{number_};
  }

 private:
  std::uint8_t number_;
  std::shared_ptr<Script> script_;
};

class DeviceEnginesTest : public ::testing::Test {
 protected:
  void make(std::uint8_t count) {
    std::vector<std::unique_ptr<Engine>> engines;
    for (std::uint8_t i = 0; i < count; ++i) {
      scripts_.push_back(std::make_shared<ScriptedEngine::Script>());
      engines.push_back(std::make_unique<ScriptedEngine>(i, scripts_.back()));
    }
    engine_ = make_device_engines(std::move(engines), [this](const Engine::Device& device, const Error& error, std::size_t left) {
      EXPECT_TRUE(device.lost);
      losses_.push_back(device.name + ": " + error.message + ", " + std::to_string(left) + " left");
    });
    keys_ = engine_->load_keys({}, "file").value();
  }
  Result<Bytes> ask() { return engine_->infer({}, *keys_, {}, {}); }
  std::vector<std::shared_ptr<ScriptedEngine::Script>> scripts_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<const Engine::Keys> keys_;
  std::vector<std::string> losses_;
};

TEST_F(DeviceEnginesTest, QuestionsGoRoundAndKeysAreSummed) {
  make(3);
  EXPECT_EQ(keys_->memory_bytes(), 303U);
  std::vector<int> asked(3);
  for (int i = 0; i < 9; ++i) ++asked[ask().value()[0]];
  EXPECT_EQ(asked, (std::vector<int>{3, 3, 3}));
}

TEST_F(DeviceEnginesTest, ABusyDeviceIsPassedOver) {
  make(2);
  std::atomic<int> slow_answer{-1};
  for (const auto& script : scripts_) script->held = true;
  std::jthread asker([&] { slow_answer = ask().value()[0]; });
  std::size_t busy = 2;
  while (busy == 2) {
    for (std::size_t i = 0; i < 2; ++i) {
      const std::lock_guard lock(scripts_[i]->mutex);
      if (scripts_[i]->entered == 1) busy = i;
    }
    std::this_thread::yield();
  }
  const auto release = [&](std::size_t i) {
    {
      const std::lock_guard lock(scripts_[i]->mutex);
      scripts_[i]->held = false;
    }
    scripts_[i]->changed.notify_all();
  };
  release(1 - busy);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask().value()[0], 1 - busy);
  release(busy);
  asker.join();
  EXPECT_EQ(slow_answer, static_cast<int>(busy));
}

TEST_F(DeviceEnginesTest, ALostDeviceIsAskedOnceAndItsQuestionAnsweredByAnother) {
  make(2);
  scripts_[1]->fails = Error{ErrorCode::kUnavailable, "gone"};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask().value()[0], 0);
  EXPECT_EQ(scripts_[1]->entered, 1);
  scripts_[0]->fails = Error{ErrorCode::kUnavailable, "gone too"};
  const auto last = ask();
  ASSERT_FALSE(last.ok());
  EXPECT_EQ(last.error().message, "gone too");
  const auto after = ask();
  ASSERT_FALSE(after.ok());
  EXPECT_EQ(after.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(scripts_[0]->entered, 7);
  EXPECT_EQ(losses_, (std::vector<std::string>{"device 1: gone, 1 left", "device 0: gone too, 0 left"}));
}

TEST_F(DeviceEnginesTest, DevicesAreNamedAndLostOnesAreMarked) {
  make(2);
  scripts_[0]->fails = Error{ErrorCode::kUnavailable, "gone"};
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(ask().ok());
  const auto devices = engine_->devices();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].name, "device 0");
  EXPECT_TRUE(devices[0].lost);
  EXPECT_FALSE(devices[1].lost);
}

TEST_F(DeviceEnginesTest, ADeviceThatIsLostWithKeysLeavesTheOthersServing) {
  make(3);
  scripts_[1]->keys_fail = Error{ErrorCode::kUnavailable, "gone"};
  keys_ = engine_->load_keys({}, "file").value();
  EXPECT_EQ(keys_->memory_bytes(), 202U);
  for (int i = 0; i < 6; ++i) EXPECT_NE(ask().value()[0], 1);
  EXPECT_EQ(scripts_[1]->entered, 0);
  // It is not asked again, for keys either.
  scripts_[1]->keys_fail.reset();
  EXPECT_EQ(engine_->load_keys({}, "file").value()->memory_bytes(), 202U);
  EXPECT_EQ(losses_.size(), 1U);

  for (const std::size_t i : {0, 2}) scripts_[i]->keys_fail = Error{ErrorCode::kUnavailable, "gone too"};
  for (int i = 0; i < 2; ++i) {
    const auto none = engine_->load_keys({}, "file");
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
  }
  EXPECT_EQ(losses_.back(), "device 2: gone too, 0 left");
}

TEST_F(DeviceEnginesTest, OtherErrorsAreTheAskers) {
  make(2);
  for (const auto& script : scripts_) script->fails = Error{ErrorCode::kMalformed, "no ciphertext"};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask().error().code, ErrorCode::kMalformed);
  EXPECT_EQ(scripts_[0]->entered + scripts_[1]->entered, 4);   // each question once, no device put aside
}

TEST_F(DeviceEnginesTest, KeysThatOneDeviceCannotTakeAreNotTaken) {
  make(2);
  scripts_[1]->keys_fail = Error{ErrorCode::kResource, "full"};
  const auto keys = engine_->load_keys({}, "file");
  ASSERT_FALSE(keys.ok());
  EXPECT_EQ(keys.error().code, ErrorCode::kResource);
}

TEST_F(DeviceEnginesTest, TheSmallestDeviceDecidesHowManyKeySetsThereAre) {
  make(3);
  EXPECT_FALSE(engine_->room_for_key_sets().has_value());
  scripts_[0]->room = 9;
  scripts_[2]->room = 5;
  EXPECT_EQ(engine_->room_for_key_sets(), 5U);
}

TEST_F(DeviceEnginesTest, ForeignKeys) {
  make(1);
  const ScriptedEngine::Own foreign(0);
  EXPECT_EQ(engine_->infer({}, foreign, {}, {}).error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace brainlock::miner
