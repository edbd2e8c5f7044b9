// Names of devices, and what is said where there is none.
#include "brainlock/device_cuda/select.hpp"

#include "brainlock/device_cuda/cuda_backend.hpp"
#include "brainlock/device_cuda/emulated_backend.hpp"
#include "rig.hpp"

namespace brainlock::device_cuda {
namespace {

using Kind = DeviceChoice::Kind;

TEST(ParseDevice, Names) {
  const std::tuple<const char*, Kind, int> cases[] = {{"cpu", Kind::kCpu, 0},       {"cuda", Kind::kCuda, 0},  {"cuda:0", Kind::kCuda, 0},
                                                      {"cuda:17", Kind::kCuda, 17}, {"auto", Kind::kAuto, 0},  {"emulated", Kind::kEmulated, 0}};
  for (const auto& [text, kind, index] : cases) {
    const auto choice = parse_device(text);
    ASSERT_TRUE(choice.ok()) << text;
    EXPECT_EQ(choice->kind, kind) << text;
    EXPECT_EQ(choice->index, index) << text;
  }
}

TEST(ParseDevice, Refusals) {
  for (const char* text : {"", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:1x", "cuda: 1", "cuda:99999999999999999999", "cuda:4294967296", "cpu:0", "auto "}) {
    const auto choice = parse_device(text);
    ASSERT_FALSE(choice.ok()) << text;
    EXPECT_EQ(choice.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(choice.error().message.find("cuda:N"), std::string::npos);
  }
}

class SelectBackend : public ::testing::Test {
 protected:
  test::TestRing ring_{1024, 3, 2, 2};
  std::shared_ptr<device::ThreadPool> pool_ = std::make_shared<device::ThreadPool>(1U);
};

TEST_F(SelectBackend, Cpu) {
  const auto selected = select_backend({Kind::kCpu, 0}, ring_.ring(), pool_);
  ASSERT_TRUE(selected.ok());
  EXPECT_EQ(selected->backend->name(), "cpu");
  EXPECT_EQ(selected->reason, "");
  EXPECT_FALSE(selected->backend->memory_budget().has_value());
}

TEST_F(SelectBackend, Emulated) {
  const auto selected = select_backend({Kind::kEmulated, 0}, ring_.ring(), pool_);
  ASSERT_TRUE(selected.ok());
  EXPECT_EQ(selected->backend->name(), "emulated");
  ASSERT_TRUE(selected->backend->memory_budget().has_value());
  EXPECT_GT(selected->backend->memory_budget()->free_bytes, 0U);
}

TEST_F(SelectBackend, AutoSaysWhatItTookAndWhy) {
  const auto selected = select_backend({Kind::kAuto, 0}, ring_.ring(), pool_);
  ASSERT_TRUE(selected.ok());
  const auto devices = list_devices();
  if (devices.ok()) {
    EXPECT_EQ(selected->reason, "took " + selected->backend->name());
  } else {
    EXPECT_EQ(selected->backend->name(), "cpu");
    EXPECT_EQ(selected->reason, "took the CPU: " + devices.error().message);
  }
}

TEST_F(SelectBackend, CudaWithoutAGpuNamesCauseAndNextStep) {
  const auto devices = list_devices();
  if (devices.ok()) GTEST_SKIP() << "a GPU is there";
  EXPECT_EQ(devices.error().code, built_with_cuda() ? ErrorCode::kUnavailable : ErrorCode::kUnsupported);
  const auto selected = select_backend({Kind::kCuda, 0}, ring_.ring(), pool_);
  ASSERT_FALSE(selected.ok());
  EXPECT_EQ(selected.error().message, devices.error().message);
  EXPECT_NE(selected.error().message.find("--device cpu"), std::string::npos);
  EXPECT_EQ(check_device({Kind::kCuda, 0}).error().message, devices.error().message);
}

TEST_F(SelectBackend, AGpuThatIsNotThere) {
  const auto devices = list_devices();
  if (!devices.ok()) GTEST_SKIP() << devices.error().message;
  const Status status = check_device({Kind::kCuda, 1000});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
}

TEST(CheckDevice, OtherChoicesPass) {
  for (const Kind kind : {Kind::kCpu, Kind::kAuto, Kind::kEmulated}) EXPECT_TRUE(check_device({kind, 0}).ok());
}

TEST(MakeBackend, RefusesRingsItCannotTake) {
  const test::TestRing small(512, 3, 2, 2);
  const auto too_small = make_emulated_backend(small.ring());
  ASSERT_FALSE(too_small.ok());
  EXPECT_EQ(too_small.error().code, ErrorCode::kUnsupported);
  const test::TestRing good(1024, 3, 2, 2);
  device::Ring no_special = good.ring();
  no_special.q_count = 5;
  no_special.p_count = 0;
  const auto inconsistent = make_emulated_backend(no_special);
  ASSERT_FALSE(inconsistent.ok());
  EXPECT_EQ(inconsistent.error().code, ErrorCode::kInvalidArgument);
  const auto no_memory = make_emulated_backend(good.ring(), {.memory_bytes = 4096});
  ASSERT_FALSE(no_memory.ok());
  EXPECT_EQ(no_memory.error().code, ErrorCode::kResource);
}

}  // namespace
}  // namespace brainlock::device_cuda
