#include "brainlock/base/control_group.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "brainlock/base/processors.hpp"

namespace brainlock {
namespace {

/// Hierarchies as the kernel shows them.
class ControlGroup : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("brainlock-groups-" + std::to_string(::getpid()) + "-" +
                                                        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text << "\n";
  }
  ControlGroupLimits read() const { return read_control_group_limits(folder_ / "mount", folder_ / "own"); }

  std::filesystem::path folder_;
};

TEST_F(ControlGroup, Version2TakesTheLeastOnTheWayUp) {
  write("mount/cgroup.controllers", "cpu memory");
  write("own", "0::/system.slice/miner.service");
  write("mount/system.slice/cpu.max", "150000 100000");
  write("mount/system.slice/memory.max", "max");
  write("mount/system.slice/miner.service/cpu.max", "400000 100000");
  write("mount/system.slice/miner.service/memory.max", "3000000000");
  EXPECT_EQ(read().processors, 1.5);
  EXPECT_EQ(read().memory_bytes, 3'000'000'000U);
  write("mount/system.slice/cpu.max", "max 100000");
  EXPECT_EQ(read().processors, 4.0);
}

TEST_F(ControlGroup, InAContainerTheMountIsTheGroup) {
  write("mount/cgroup.controllers", "cpu memory");
  write("own", "0::/docker/0123456789");   // a name on the host
  write("mount/cpu.max", "250000 100000");
  EXPECT_EQ(read().processors, 2.5);
  EXPECT_EQ(read().memory_bytes, std::nullopt);
}

TEST_F(ControlGroup, Version1HasAHierarchyForEach) {
  write("own", "4:memory:/a\n3:cpu,cpuacct:/a/b\n2:cpuset:/");
  write("mount/memory/a/memory.limit_in_bytes", "1000000000");
  write("mount/cpu/a/b/cpu.cfs_quota_us", "-1");
  write("mount/cpu/a/b/cpu.cfs_period_us", "100000");
  EXPECT_EQ(read().memory_bytes, 1'000'000'000U);
  EXPECT_EQ(read().processors, std::nullopt);
  write("mount/cpu/a/cpu.cfs_quota_us", "50000");
  write("mount/cpu/a/cpu.cfs_period_us", "100000");
  EXPECT_EQ(read().processors, 0.5);
  write("mount/memory/a/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(read().memory_bytes, std::nullopt);
}

TEST_F(ControlGroup, NothingThereLimitsNothing) {
  EXPECT_EQ(read().processors, std::nullopt);
  EXPECT_EQ(read().memory_bytes, std::nullopt);
  write("mount/cgroup.controllers", "");
  write("own", "no groups here");
  write("mount/cpu.max", "0 100000");
  write("mount/memory.max", "much");
  EXPECT_EQ(read().processors, std::nullopt);
  EXPECT_EQ(read().memory_bytes, std::nullopt);
}

TEST(Processors, AQuotaCountsInWholeProcessors) {
  EXPECT_EQ(usable_processors(8, std::nullopt), 8U);
  EXPECT_EQ(usable_processors(8, 2.5), 2U);
  EXPECT_EQ(usable_processors(8, 8.0), 8U);
  EXPECT_EQ(usable_processors(8, 64.0), 8U);
  EXPECT_EQ(usable_processors(8, 0.2), 1U);
  EXPECT_EQ(usable_processors(0, std::nullopt), 1U);
}

TEST(Processors, OfThisProcess) {
  EXPECT_GE(usable_processors(), 1U);
  EXPECT_LE(usable_processors(), allowed_processors());
}

}  // namespace
}  // namespace brainlock
