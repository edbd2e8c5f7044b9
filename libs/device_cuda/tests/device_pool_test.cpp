// Device memory in slabs: reuse, joining, the end of memory.
#include "device_pool.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "emulation/emulated_driver.hpp"

namespace brainlock::device_cuda {
namespace {

using Word = std::uint32_t;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class DevicePoolTest : public ::testing::Test {
 protected:
  void make(std::uint64_t bytes) {
    driver_ = make_emulated_driver({.memory_bytes = bytes});
    pool_ = std::make_shared<DevicePool>(driver_);
  }
  std::uint64_t used() { return driver_->memory()->total_bytes - driver_->memory()->free_bytes; }
  std::shared_ptr<Driver> driver_;
  std::shared_ptr<DevicePool> pool_;
};

TEST_F(DevicePoolTest, BuffersAreAlignedDisjointAndReused) {
  make(1024 * kMiB);
  std::mt19937 random(3);
  std::vector<device::Buffer> buffers;
  for (int round = 0; round < 500; ++round) {
    if (buffers.size() < 8 || random() % 2 == 0) {
      auto buffer = pool_->allocate(1 + random() % 200000);
      ASSERT_TRUE(buffer.ok());
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % 256, 0U);
      for (const device::Buffer& other : buffers) {
        EXPECT_TRUE(buffer->data() >= other.data() + other.words() || buffer->data() + buffer->words() <= other.data());
      }
      buffers.push_back(std::move(*buffer));
    } else {
      std::swap(buffers[random() % buffers.size()], buffers.back());
      buffers.pop_back();
    }
  }
  const std::uint64_t peak = used();
  buffers.clear();
  EXPECT_EQ(pool_->idle_bytes(), peak);   // all pieces joined again
  const auto whole = pool_->allocate(64 * kMiB / 4);
  EXPECT_TRUE(whole.ok());
  EXPECT_EQ(used(), peak);
}

TEST_F(DevicePoolTest, TrimGivesBackWhatIsWhollyFree) {
  make(1024 * kMiB);
  auto kept = pool_->allocate(1000).value();
  auto large = pool_->allocate(100 * kMiB / 4).value();
  EXPECT_EQ(used(), 164 * kMiB);
  large = {};
  pool_->trim();
  EXPECT_EQ(used(), 64 * kMiB);
  kept = {};
  pool_->trim();
  EXPECT_EQ(used(), 0U);
}

TEST_F(DevicePoolTest, ALastingPoolKeepsWhatItHas) {
  driver_ = make_emulated_driver({.memory_bytes = 100 * kMiB});
  pool_ = std::make_shared<DevicePool>(driver_, DevicePool::Options{.slab_bytes = kMiB, .lasting = true});
  Word* place = nullptr;
  {
    auto buffer = pool_->allocate(40 * kMiB / sizeof(Word)).value();
    place = buffer.data();
  }
  pool_->trim();
  EXPECT_EQ(used(), 40 * kMiB);
  EXPECT_FALSE(pool_->allocate(70 * kMiB / sizeof(Word)).ok());   // would fit in its place
  EXPECT_EQ(pool_->allocate(40 * kMiB / sizeof(Word)).value().data(), place);
  pool_.reset();
  EXPECT_EQ(used(), 0U);
}

TEST_F(DevicePoolTest, NearTheEndOfMemoryItTakesWhatIsNeeded) {
  make(100 * kMiB);
  const auto first = pool_->allocate(10 * kMiB / 4);    // a slab of 64 MiB
  const auto second = pool_->allocate(60 * kMiB / 4);   // no slab fits any more, nor this
  ASSERT_TRUE(first.ok());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kResource);
  EXPECT_TRUE(pool_->allocate(54 * kMiB / 4).ok());
  const auto third = pool_->allocate(54 * kMiB / 4).value();
  EXPECT_TRUE(pool_->allocate(30 * kMiB / 4).ok());     // beside the slab, exactly
}

TEST_F(DevicePoolTest, IdleSlabsMakeRoomForALargeOne) {
  make(130 * kMiB);
  EXPECT_TRUE(pool_->allocate(1).ok());                 // leaves an idle slab
  EXPECT_TRUE(pool_->allocate(100 * kMiB / 4).ok());
}

TEST_F(DevicePoolTest, AbsurdSizes) {
  make(1024 * kMiB);
  for (const std::size_t words : {~std::size_t{0}, ~std::size_t{0} / 4, std::size_t{1} << 50}) {
    const auto buffer = pool_->allocate(words);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.error().code, ErrorCode::kResource);
  }
}

TEST_F(DevicePoolTest, BuffersOutliveThePoolHandle) {
  make(1024 * kMiB);
  auto buffer = pool_->allocate(1000).value();
  pool_.reset();
  EXPECT_EQ(used(), 64 * kMiB);
  buffer = {};
  EXPECT_EQ(used(), 0U);
}

}  // namespace
}  // namespace brainlock::device_cuda
