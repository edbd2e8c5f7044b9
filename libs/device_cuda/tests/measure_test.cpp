#include "brainlock/device_cuda/measure.hpp"

#include "rig.hpp"

namespace brainlock::device_cuda {
namespace {

TEST(Measure, TransformsOfEveryModulus) {
  const test::TestRing ring(1u << 12, 12, 4, 3);
  const auto speed = measure_forward_transforms({DeviceChoice::Kind::kEmulated, 0}, ring.ring(), {});
  ASSERT_TRUE(speed.ok()) << speed.error().to_string();
  EXPECT_EQ(speed->degree, 1u << 12);
  EXPECT_EQ(speed->limbs, 32U);   // two times 16
  EXPECT_GT(speed->seconds, 0);
  EXPECT_EQ(speed->operand_bytes, std::uint64_t{2} * 32 * 4096 * 4);
  EXPECT_EQ(speed->traffic_bytes, 2 * speed->operand_bytes);
  EXPECT_EQ(speed->two_passes_s, 0);
  EXPECT_EQ(measure_forward_transforms({DeviceChoice::Kind::kCpu, 0}, ring.ring(), {}).error().code, ErrorCode::kUnsupported);
}

TEST(Measure, TheWayThatWasTaken) {
  const test::TestRing ring(1u << 13, 5, 2, 2);
  Variants taken;
  taken.forward_many.taken = Variants::Transform::kCluster;
  taken.dependent_launches = true;
  const auto speed = measure_forward_transforms({DeviceChoice::Kind::kEmulated, 0}, ring.ring(), taken);
  ASSERT_TRUE(speed.ok()) << speed.error().to_string();
  EXPECT_EQ(speed->limbs, 35U);
  EXPECT_EQ(speed->way, Variants::Transform::kCluster);
  EXPECT_EQ(speed->traffic_bytes, speed->operand_bytes);
  EXPECT_GT(speed->two_passes_s, 0);
}

TEST(Measure, OnAGpu) {
  if (test::make_driver(test::Machine::kGpu) == nullptr) GTEST_SKIP() << test::why_no_gpu();
  const test::TestRing ring(1u << 15, 15, 5, 4);
  const auto speed = measure_forward_transforms({DeviceChoice::Kind::kCuda, 0}, ring.ring(), {});
  ASSERT_TRUE(speed.ok()) << speed.error().to_string();
  EXPECT_EQ(speed->limbs, 40U);
}

}  // namespace
}  // namespace brainlock::device_cuda
