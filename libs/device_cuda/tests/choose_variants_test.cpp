// Which way a device takes: what is right, and of that what is fastest; everything that may stand against it.
#include "choose_variants.hpp"

#include "brainlock/device/cpu_backend.hpp"
#include "brainlock/device/recorder.hpp"
#include "brainlock/device_cuda/cuda_backend.hpp"
#include "open_backend.hpp"
#include "rig.hpp"
#include "transform_launches.hpp"

namespace brainlock::device_cuda {
namespace {

using Fault = EmulationOptions::Fault;
using Transform = Variants::Transform;

/// The plain ways take 1 s, others what is given. The graphs are not run.
TrialOptions clock(double seconds) {
  TrialOptions options;
  options.time = [seconds](Driver&, const Graph&, const std::string& name) { return name == kPlainTransform || name == kPlainLaunches ? 1.0 : seconds; };
  return options;
}
TrialOptions told(const char* transform, const char* launches) {
  TrialOptions options;
  options.transform = transform;
  options.launches = launches;
  options.time = [](Driver&, const Graph&, const std::string&) -> double {
    ADD_FAILURE() << "nothing is to be timed";
    return 1;
  };
  return options;
}

class ChooseVariants : public ::testing::Test {
 protected:
  Variants choose(const EmulationOptions& device, const TrialOptions& options) {
    driver_ = make_emulated_driver(device);
    const auto pool = std::make_shared<DevicePool>(driver_);
    const RingTables tables = RingTables::make(ring_.ring(), *driver_, *pool).value();
    const std::uint64_t free_bytes = driver_->memory()->free_bytes;
    const Variants v = choose_variants(*driver_, tables, ring_.ring(), options);
    EXPECT_EQ(driver_->memory()->free_bytes, free_bytes);
    return v;
  }
  static void expect_all(const Variants& v, Transform way) {
    for (const Variants::Choice* choice : {&v.forward_few, &v.forward_many, &v.inverse_few, &v.inverse_many}) EXPECT_EQ(choice->taken, way);
  }

  test::TestRing ring_{1u << 13, 3, 2, 2};
  std::shared_ptr<Driver> driver_;
};

TEST_F(ChooseVariants, ADeviceThatHasNothing) {
  const Variants v = choose({}, told("", ""));
  expect_all(v, Transform::kTwoPasses);
  EXPECT_EQ(v.transforms_reason,
            "the only way; two-pass-roomy left out: emulated: as slow as the others; cluster left out: emulated without clusters of blocks; cluster-roomy left out: "
            "emulated without clusters of blocks");
  EXPECT_FALSE(v.dependent_launches);
  EXPECT_EQ(v.launches_reason, "emulated without dependent launches");
}

TEST_F(ChooseVariants, WhatIsFasterIsTaken) {
  const Variants v = choose({.roomy = true, .clusters = true, .dependent_launches = true}, clock(0.5));
  expect_all(v, Transform::kTwoPassesRoomy);   // the first of equals
  EXPECT_EQ(v.transforms_reason, "measured");
  EXPECT_EQ(v.forward_few.limbs, 10U);
  EXPECT_EQ(v.forward_many.limbs, 40U);
  for (unsigned way = 1; way < Variants::kTransforms; ++way) EXPECT_DOUBLE_EQ(v.inverse_many.seconds[way], v.inverse_many.seconds[0] / 2);
  EXPECT_TRUE(v.dependent_launches);
  EXPECT_EQ(v.launches_reason, "measured");
  EXPECT_EQ(v.kernels, 4U * (4 + 4 + 2 + 2));   // 16 times forth and back, all ways in turn
  EXPECT_DOUBLE_EQ(v.dependent_s, v.one_by_one_s / 2);
  EXPECT_TRUE(driver_->status().ok());
}

TEST_F(ChooseVariants, WhatIsHardlyFasterIsNot) {
  const Variants v = choose({.clusters = true, .dependent_launches = true}, clock(0.99));
  expect_all(v, Transform::kTwoPasses);
  EXPECT_EQ(v.transforms_reason, "measured; two-pass-roomy left out: emulated: as slow as the others; cluster-roomy left out: emulated: as slow as the others");
  EXPECT_FALSE(v.dependent_launches);
  EXPECT_EQ(v.launches_reason, "measured");
}

TEST_F(ChooseVariants, EachBatchSizeAndDirectionByItself) {
  TrialOptions options;
  // Five times all of forward few, forward many, inverse few, inverse many; a way's best time counts.
  options.time = [calls = std::make_shared<unsigned>(0)](Driver&, const Graph&, const std::string& name) {
    const unsigned call = (*calls)++ / 3, batch = call / 5, repeat = call % 5;
    if (name == "two-pass") return 1.0;
    if (batch == 1 && name == "cluster") return repeat == 3 ? 0.9 : 7.0;
    if (batch == 2 && name == "cluster-roomy") return repeat == 0 ? 0.5 : 1.0;
    if (batch == 3) return name == "cluster" ? 0.8 : 0.7;
    return 2.0;
  };
  const Variants v = choose({.roomy = true, .clusters = true, .wrong_roomy_passes = true}, options);   // which leaves three ways
  EXPECT_EQ(v.forward_few.taken, Transform::kTwoPasses);
  EXPECT_EQ(v.forward_many.taken, Transform::kCluster);
  EXPECT_EQ(v.inverse_few.taken, Transform::kClusterRoomy);
  EXPECT_EQ(v.inverse_many.taken, Transform::kClusterRoomy);
  EXPECT_EQ(v.forward_few.seconds[static_cast<int>(Transform::kTwoPassesRoomy)], 0);
  EXPECT_EQ(v.transforms_reason, "measured; two-pass-roomy left out: words are wrong (forward)");
  EXPECT_EQ(v.transform(true, Variants::kFewLimbs), Transform::kTwoPasses);
  EXPECT_EQ(v.transform(true, Variants::kFewLimbs + 1), Transform::kCluster);
  EXPECT_EQ(v.transform(false, 1), Transform::kClusterRoomy);
}

TEST_F(ChooseVariants, WrongWordsOfAClusterAreFound) {
  const Variants v = choose({.clusters = true, .dependent_launches = true, .cluster_fault = Fault::kWrongWord}, clock(0.5));
  expect_all(v, Transform::kTwoPasses);
  EXPECT_NE(v.transforms_reason.find("; cluster left out: words are wrong (forward);"), std::string::npos) << v.transforms_reason;
  EXPECT_TRUE(v.dependent_launches);
  EXPECT_EQ(v.kernels, 16U * 4);   // no cluster among them
  EXPECT_TRUE(driver_->status().ok());
}

TEST_F(ChooseVariants, ALaunchThatFailsIsNoFailureOfTheDriver) {
  const Variants v = choose({.roomy = true, .clusters = true, .dependent_launches = true, .cluster_fault = Fault::kLaunch}, clock(0.5));
  expect_all(v, Transform::kTwoPassesRoomy);
  EXPECT_NE(v.transforms_reason.find("cluster left out: emulated device: clusters were told to fail"), std::string::npos) << v.transforms_reason;
  EXPECT_TRUE(v.dependent_launches);   // tried on a queue that has not failed
  EXPECT_TRUE(driver_->status().ok());
}

TEST_F(ChooseVariants, WrongWordsWhereLaunchesOverlap) {
  const Variants v = choose({.clusters = true, .dependent_launches = true, .wrong_dependent_launches = true}, clock(0.5));
  EXPECT_FALSE(v.dependent_launches);
  EXPECT_EQ(v.launches_reason, "plain, since the trial failed: words are wrong where launches overlap");
  expect_all(v, Transform::kCluster);
}

TEST_F(ChooseVariants, AsToldWithoutAClock) {
  const EmulationOptions all{.roomy = true, .clusters = true, .dependent_launches = true};
  for (const Transform way : {Transform::kTwoPasses, Transform::kTwoPassesRoomy, Transform::kCluster, Transform::kClusterRoomy}) {
    const Variants v = choose(all, told(Variants::name(way), "dependent"));
    expect_all(v, way);
    EXPECT_EQ(v.transforms_reason, std::string("BRAINLOCK_CUDA_TRANSFORM=") + Variants::name(way));
    EXPECT_TRUE(v.dependent_launches);
    EXPECT_EQ(v.launches_reason, "BRAINLOCK_CUDA_LAUNCHES=dependent");
  }
  const Variants plain = choose(all, told("two-pass", "plain"));
  EXPECT_FALSE(plain.dependent_launches);
  EXPECT_EQ(plain.launches_reason, "BRAINLOCK_CUDA_LAUNCHES=plain");
  // But never what is wrong.
  const Variants wrong = choose({.clusters = true, .cluster_fault = Fault::kWrongWord}, told("cluster", "dependent"));
  expect_all(wrong, Transform::kTwoPasses);
  EXPECT_FALSE(wrong.dependent_launches);
}

TEST_F(ChooseVariants, ATrialWithoutMemory) {
  driver_ = make_emulated_driver({.memory_bytes = std::uint64_t{80} << 20, .clusters = true});
  const auto pool = std::make_shared<DevicePool>(driver_);
  const RingTables tables = RingTables::make(ring_.ring(), *driver_, *pool).value();   // a slab of 64 MiB
  const auto rest = driver_->allocate(driver_->memory()->free_bytes - 4096).value();
  const Variants v = choose_variants(*driver_, tables, ring_.ring(), clock(0.5));
  expect_all(v, Transform::kTwoPasses);
  EXPECT_NE(v.transforms_reason.find("out of memory"), std::string::npos) << v.transforms_reason;
  driver_->release(rest);
}

TEST(ChooseVariantsOfARing, OutsideOfWhatClustersTake) {
  const test::TestRing ring(1024, 3, 2, 2);
  const auto driver = make_emulated_driver({.clusters = true});
  const auto backend = CudaBackend::make(ring.ring(), driver, clock(0.5)).value();
  const auto v = variants_of(*backend);
  ASSERT_TRUE(v.has_value());
  EXPECT_EQ(v->forward_many.taken, Transform::kTwoPasses);
  EXPECT_EQ(v->transforms_reason, "rings of 2^13 to 2^16 have other ways");
}

class OpenBackend : public ChooseVariants {
 protected:
  /// Opens devices that are lost at the first cluster, until reset() has been called `until` times.
  Result<std::shared_ptr<device::Backend>> open(const TrialOptions& trials, bool can_reset) {
    return open_backend(
        ring_.ring(),
        [this]() -> Result<std::shared_ptr<Driver>> {
          if (opened_++ != 0 && !comes_back_) return {ErrorCode::kUnavailable, "gone for good"};
          auto driver = make_emulated_driver({.clusters = true, .cluster_fault = resets_ == 0 ? Fault::kDevice : Fault::kNone});
          last_ = driver;
          return driver;
        },
        trials,
        [this, can_reset] {
          EXPECT_TRUE(last_.expired()) << "something of the lost device is still there";
          ++resets_;
          return can_reset;
        });
  }
  std::weak_ptr<Driver> last_;
  unsigned opened_ = 0, resets_ = 0;
  bool comes_back_ = true;
};

TEST_F(OpenBackend, ADeviceThatATrialBreaksIsUsedWithoutIt) {
  const auto backend = open(clock(0.5), true);
  ASSERT_TRUE(backend.ok()) << backend.error().to_string();
  EXPECT_EQ(opened_, 2U);
  EXPECT_EQ(resets_, 1U);
  const auto v = variants_of(**backend);
  ASSERT_TRUE(v.has_value());
  expect_all(*v, Transform::kTwoPasses);
  EXPECT_NE(v->transforms_reason.find("has broken the device"), std::string::npos);
  EXPECT_NE(v->transforms_reason.find("told to be lost"), std::string::npos);
}

TEST_F(OpenBackend, OneThatOthersUseIsLost) {
  const auto backend = open(clock(0.5), false);
  ASSERT_FALSE(backend.ok());
  EXPECT_NE(backend.error().message.find("BRAINLOCK_CUDA_TRANSFORM=two-pass"), std::string::npos);
  EXPECT_EQ(opened_, 1U);
}

TEST_F(OpenBackend, OneThatDoesNotComeBackIsLost) {
  comes_back_ = false;
  const auto backend = open(clock(0.5), true);
  ASSERT_FALSE(backend.ok());
  EXPECT_NE(backend.error().message.find("BRAINLOCK_CUDA_TRANSFORM=two-pass"), std::string::npos);
  EXPECT_NE(backend.error().message.find("gone for good"), std::string::npos);
}

TEST_F(OpenBackend, WithoutATrialNothingBreaks) {
  const auto backend = open(told("two-pass", "plain"), false);
  ASSERT_TRUE(backend.ok()) << backend.error().to_string();
  EXPECT_EQ(resets_, 0U);
}

TEST(DependentRecording, IsMadeOneByOneWhereTheDeviceDoesNotTakeIt) {
  const test::TestRing ring(1024, 3, 2, 2);
  const EmulationOptions device{.dependent_launches = true, .most_dependent_launches = 80};
  const auto backend = CudaBackend::make(ring.ring(), make_emulated_driver(device), told("", "dependent")).value();
  ASSERT_TRUE(variants_of(*backend)->dependent_launches);
  const auto lane = backend->make_recorder().value();
  device::Buffer a = lane->noting().allocate(1024).value();
  const test::Words ones(1024, 1);
  lane->doing().upload_words({}, a.data(), ones);
  for (int i = 0; i < 100; ++i) {
    const device::Add twice{a.data(), a.data(), a.data()};
    lane->noting().add({}, 1, false, {&twice, 1});
  }
  const auto recording = lane->take();
  ASSERT_TRUE(recording.ok()) << recording.error().to_string();
  EXPECT_EQ((*recording)->kernels(), 100U);
  (*recording)->replay();
  test::Words got(1024);
  const device::LimbDownload row{got.data(), a.data()};
  ASSERT_TRUE(lane->doing().download({}, {&row, 1}).ok());
  std::uint64_t want = 1;
  for (int i = 0; i < 100; ++i) want = want * 2 % ring.modulus(0).q;
  EXPECT_EQ(got, test::Words(1024, static_cast<device::Word>(want)));
}

TEST(VariantsOf, TheCpuHasNone) {
  const test::TestRing ring(1024, 2, 1, 1);
  const auto cpu = device::make_cpu_backend(ring.ring(), std::make_shared<device::ThreadPool>(1U)).value();
  EXPECT_FALSE(variants_of(*cpu).has_value());
}

TEST(ChooseVariantsOnAGpu, SaysWhatItTook) {
  if (test::make_driver(test::Machine::kGpu) == nullptr) GTEST_SKIP() << test::why_no_gpu();
  const test::TestRing ring(1u << 15, 15, 5, 4);
  const auto backend = make_cuda_backend(ring.ring(), 0).value();
  const auto v = variants_of(*backend);
  ASSERT_TRUE(v.has_value());
  EXPECT_FALSE(v->transforms_reason.empty());
  EXPECT_FALSE(v->launches_reason.empty());
  EXPECT_EQ(v->transforms_reason.rfind("measured", 0), 0U) << v->transforms_reason;
  EXPECT_EQ(v->transforms_reason.find("wrong"), std::string::npos) << v->transforms_reason;
  EXPECT_EQ(v->launches_reason.find("trial failed"), std::string::npos) << v->launches_reason;
  std::printf("transforms: %s; launches: %s\n", v->transforms_reason.c_str(), v->launches_reason.c_str());
}

}  // namespace
}  // namespace brainlock::device_cuda
