#include "memory_pool.hpp"

#include <gtest/gtest.h>

#include <random>

namespace brainlock::device {
namespace {

TEST(MemoryPool, FreedMemoryIsReusedAndJoined) {
  auto pool = std::make_shared<MemoryPool>(std::size_t{8} << 20);
  const std::uint32_t* first = nullptr;
  {
    const Buffer a = pool->allocate(1000).value();
    const Buffer b = pool->allocate(5000).value();
    first = a.data();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % 64, 0U);
    EXPECT_GE(b.data(), a.data() + 1000);
  }
  EXPECT_EQ(pool->allocate(6000).value().data(), first);
}

TEST(MemoryPool, BuffersNeverOverlap) {
  auto pool = std::make_shared<MemoryPool>(std::size_t{64} << 20);
  std::mt19937 random(5);
  std::vector<Buffer> live;
  for (std::uint32_t round = 0; round < 2000; ++round) {
    if (live.size() > 40 || (!live.empty() && random() % 3 == 0)) {
      const std::size_t victim = random() % live.size();
      std::swap(live[victim], live.back());
      const std::uint32_t tag = live.back().data()[0];
      EXPECT_EQ(live.back().data()[live.back().words() - 1], tag);
      live.pop_back();
    } else {
      live.push_back(pool->allocate(1 + random() % 100000).value());
      live.back().data()[0] = live.back().data()[live.back().words() - 1] = round;
    }
    if (round % 500 == 0) pool->trim();
  }
}

TEST(MemoryPool, RefusesWhenFull) {
  auto pool = std::make_shared<MemoryPool>(std::size_t{4} << 20);
  const auto result = pool->allocate(std::size_t{1} << 30);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kResource);
}

TEST(MemoryPool, BuffersOutliveTheLastHandle) {
  auto pool = std::make_shared<MemoryPool>(std::size_t{4} << 20);
  const Buffer buffer = pool->allocate(100).value();
  pool.reset();
  const_cast<std::uint32_t*>(buffer.data())[99] = 7;
  EXPECT_EQ(buffer.data()[99], 7U);
}

}  // namespace
}  // namespace brainlock::device
