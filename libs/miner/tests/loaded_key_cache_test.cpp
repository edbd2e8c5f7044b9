// Key sets in memory: each loaded once, one at a time, never more than the limit.
#include "../src/loaded_key_cache.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace brainlock::miner {
namespace {

using namespace std::chrono_literals;

/// Takes its time over keys and counts how many there are, loading ones included.
class CountingEngine final : public Engine {
 public:
  struct Own final : Keys {
    explicit Own(CountingEngine& e) : engine(e) {}
    ~Own() override { --engine.alive; }
    CountingEngine& engine;
    [[nodiscard]] std::uint64_t memory_bytes() const override { return 7; }
  };
  std::vector<protocol::TaskOffer> offers() const override { return {}; }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId&,
                                                const std::filesystem::path& file) override {
    ++loads;
    if (++alive > capacity) {
      --alive;
      return Error{ErrorCode::kResource, "full"};
    }
    for (int most = most_alive; most < alive && !most_alive.compare_exchange_weak(most, alive);) {
    }
    std::this_thread::sleep_for(20ms);
    if (file == "bad") {
      --alive;
      return Error{ErrorCode::kMalformed, "no keys"};
    }
    return std::shared_ptr<const Keys>(std::make_shared<Own>(*this));
  }
  Result<Bytes> infer(const protocol::ContentId&, const Keys&, std::span<const std::uint8_t>,
                      const JobControl&) override {
    return Bytes{};
  }

  std::atomic<int> loads{0}, alive{0}, most_alive{0}, capacity{1000};
};

KeyName name(std::uint8_t number) {
  KeyName out{};
  out.key[0] = number;
  return out;
}

TEST(LoadedKeyCache, ASetIsLoadedOnceForAllWhoWaitForIt) {
  CountingEngine engine;
  LoadedKeyCache cache(4, engine);
  std::vector<const Engine::Keys*> got(8);
  {
    std::vector<std::jthread> askers;
    for (auto& mine : got) askers.emplace_back([&] { mine = cache.get(name(1), true, "file").value().get(); });
  }
  EXPECT_EQ(engine.loads, 1);
  for (const auto* mine : got) EXPECT_EQ(mine, got[0]);
  EXPECT_EQ(cache.held(), (std::pair<std::size_t, std::uint64_t>{1, 7}));
}

TEST(LoadedKeyCache, NeverMoreThanTheLimitHoweverManyAsk) {
  CountingEngine engine;
  LoadedKeyCache cache(2, engine);
  {
    std::vector<std::jthread> askers;
    for (std::uint8_t i = 0; i < 6; ++i)
      askers.emplace_back([&cache, i] { EXPECT_TRUE(cache.get(name(i), true, "file").ok()); });
  }
  EXPECT_EQ(engine.loads, 6);
  EXPECT_EQ(engine.most_alive, 2);
  EXPECT_EQ(cache.held().first, 2U);
}

TEST(LoadedKeyCache, TheOneThatWasUsedLongestAgoGoes) {
  CountingEngine engine;
  LoadedKeyCache cache(2, engine);
  for (const std::uint8_t i : std::initializer_list<std::uint8_t>{1, 2, 1, 3})
    EXPECT_TRUE(cache.get(name(i), true, "file").ok());
  EXPECT_EQ(engine.loads, 3);
  EXPECT_TRUE(cache.get(name(1), true, "file").ok());
  EXPECT_EQ(engine.loads, 3);
  EXPECT_TRUE(cache.get(name(2), true, "file").ok());
  EXPECT_EQ(engine.loads, 4);
}

TEST(LoadedKeyCache, OrdinaryUsersSetsGoBeforeThoseOfValidators) {
  CountingEngine engine;
  LoadedKeyCache cache(3, engine);
  const auto loads = [&](std::uint8_t i, bool validator) {
    const auto before = engine.loads.load();
    EXPECT_TRUE(cache.get(name(i), validator, "file").ok());
    return engine.loads.load() - before;
  };
  EXPECT_EQ(loads(1, true), 1);
  EXPECT_EQ(loads(2, true), 1);
  for (std::uint8_t user = 10; user < 20; ++user) EXPECT_EQ(loads(user, false), 1);
  EXPECT_EQ(loads(1, true) + loads(2, true), 0);
  EXPECT_EQ(loads(3, true), 1);   // in the last user's place
  EXPECT_EQ(loads(1, true) + loads(2, true), 0);
}

TEST(LoadedKeyCache, WhoCyclesThroughManyKeysPushesOutItsOwn) {
  CountingEngine engine;
  LoadedKeyCache cache(4, engine);
  const auto loads = [&](std::uint8_t owner, std::uint8_t key) {
    KeyName asked = name(key);
    asked.owner[0] = owner;
    const auto before = engine.loads.load();
    EXPECT_TRUE(cache.get(asked, true, "file").ok());
    return engine.loads.load() - before;
  };
  EXPECT_EQ(loads(1, 1) + loads(2, 1), 2);
  for (int round = 0; round < 3; ++round) {
    for (std::uint8_t key = 1; key <= 4; ++key) loads(9, key);
  }
  EXPECT_EQ(loads(1, 1) + loads(2, 1), 0);
}

TEST(LoadedKeyCache, FailuresAreNotRemembered) {
  CountingEngine engine;
  LoadedKeyCache cache(2, engine);
  EXPECT_EQ(cache.get(name(1), true, "bad").error().code, ErrorCode::kMalformed);
  EXPECT_TRUE(cache.get(name(1), true, "file").ok());
  cache.drop(name(1));
  EXPECT_EQ(cache.held().first, 0U);
  EXPECT_EQ(engine.alive, 0);
}

TEST(LoadedKeyCache, AFullDeviceGivesUpTheOtherSetsFirst) {
  CountingEngine engine;
  engine.capacity = 2;
  LoadedKeyCache cache(4, engine);
  for (const std::uint8_t i : std::initializer_list<std::uint8_t>{1, 2, 3})
    EXPECT_TRUE(cache.get(name(i), true, "file").ok());
  EXPECT_EQ(cache.held().first, 1U);
  // A set that is still in use keeps its memory.
  const auto in_use = cache.get(name(3), true, "file").value();
  engine.capacity = 1;
  EXPECT_EQ(cache.get(name(4), true, "file").error().code, ErrorCode::kResource);
  EXPECT_EQ(cache.held().first, 0U);
}

}  // namespace
}  // namespace brainlock::miner
