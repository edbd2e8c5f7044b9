// cuda_driver.cu on machines of several kinds: what it says of them, what it does on them, and that words arrive.
#include <gmock/gmock.h>

#include "brainlock/device_cuda/cuda_backend.hpp"
#include "choose_variants.hpp"
#include "cuda_backend.hpp"
#include "machine/transforms.hpp"
#include "open_backend.hpp"

namespace brainlock::device_cuda::machine {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using Transform = Variants::Transform;
using test::Words;

std::shared_ptr<Driver> driver_of(const MachineOptions& options) {
  set_machine(options);
  auto driver = make_cuda_driver(0);
  EXPECT_TRUE(driver.ok()) << driver.error().to_string();
  return driver.ok() ? *driver : nullptr;
}
std::string refusal_of(const MachineOptions& options) {
  set_machine(options);
  const auto driver = make_cuda_driver(0);
  return driver.ok() ? "none" : driver.error().to_string();
}

TEST(OnMachineDriver, WhatDevicesThereAre) {
  set_machine({.devices = 2});
  const auto devices = list_devices();
  ASSERT_TRUE(devices.ok());
  ASSERT_EQ(devices->size(), 2U);
  EXPECT_EQ((*devices)[1].index, 1);
  EXPECT_EQ((*devices)[1].major, 9);
  EXPECT_EQ((*devices)[1].memory_bytes_per_s, 4915200000000U);
  EXPECT_EQ(make_cuda_driver(2).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(refusal_of({.devices = 0}), HasSubstr("shows no GPU"));
  EXPECT_THAT(refusal_of({.driver_version = 0}), HasSubstr("no NVIDIA driver"));
  EXPECT_THAT(refusal_of({.driver_version = 11080}), HasSubstr("is for CUDA 11.8"));
  EXPECT_THAT(refusal_of({.major = 7, .minor = 5}), HasSubstr("compute capability 7.5, needed is 8.0"));
}

TEST(OnMachineDriver, Features) {
  const auto features = [](const MachineOptions& options) { return driver_of(options)->features(); };
  const Features all = features({});
  EXPECT_EQ(all.against_clusters + all.against_dependent_launches + all.against_roomy, "");
  const Features ampere = features({.major = 8, .minor = 6});
  EXPECT_EQ(ampere.against_clusters, "compute capability 8.6, needed is 9.0");
  EXPECT_EQ(ampere.against_dependent_launches, ampere.against_clusters);
  EXPECT_EQ(features({.clusters = false}).against_clusters, "the device launches no clusters");
  EXPECT_THAT(features({.room_for_clusters = false}).against_clusters, HasSubstr("do not fit the device"));
  EXPECT_EQ(features({.major = 10}).against_clusters, "");  // from the PTX for 9.0
}

TEST(OnMachineDriver, ThereIsNoMoreMemory) {
  const auto driver = driver_of({.memory_bytes = 1 << 20});
  void* const half = driver->allocate(1 << 19).value();
  const auto more = driver->allocate((1 << 19) + 1);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kResource);
  EXPECT_THAT(more.error().message, HasSubstr("no room for 524289 bytes, 524288 of 1048576 are free"));
  driver->release(half);
  EXPECT_EQ(driver->memory()->free_bytes, 1U << 20);
  EXPECT_TRUE(driver->status().ok());
}

TEST(OnMachineDriver, CopiesOfEverySize) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    const auto driver = driver_of({.seed = seed});
    const auto sibling = driver->make_sibling().value();
    const std::size_t sizes[] = {1, 255, 256, 257, 3 << 20, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20, 5};
    for (const std::size_t bytes : sizes) {
      void* const memory = driver->allocate(bytes).value();
      std::vector<unsigned char> host(bytes);
      for (std::size_t i = 0; i < bytes; ++i) host[i] = static_cast<unsigned char>(i * 7 + i / 256 + bytes + seed);
      const std::vector<unsigned char> want = host;
      driver->copy_in(memory, host.data(), bytes);
      std::fill(host.begin(), host.end(), 0xee);  // the host's memory may be reused at once
      std::vector<unsigned char> got(bytes);
      driver->copy_out(got.data(), memory, bytes);
      EXPECT_TRUE(got == want) << bytes << " bytes";
      driver->wait();
      driver->release(memory);
    }
    driver->copy_in(nullptr, nullptr, 0);
    EXPECT_TRUE(driver->status().ok());
  }
}

/// Many copies without waiting for any; whether all words arrive.
bool many_copies_arrive(const MachineOptions& options) {
  const auto driver = driver_of(options);
  constexpr std::size_t kWords = 3 << 20;
  auto* const memory = static_cast<device::Word*>(driver->allocate(kWords * sizeof(device::Word)).value());
  Words words(kWords), got(kWords);
  std::size_t at = 0;
  for (std::size_t piece = 1; at < kWords; piece = piece * 3 % 700001 + 1) {
    const std::size_t count = std::min(piece, kWords - at);
    for (std::size_t i = 0; i < count; ++i) words[at + i] = static_cast<device::Word>(at + i);
    driver->copy_in(memory + at, words.data() + at, count * sizeof(device::Word));
    at += count;
  }
  driver->copy_out(got.data(), memory, kWords * sizeof(device::Word));
  driver->release(memory);
  EXPECT_TRUE(driver->status().ok());
  return got == words;
}

TEST(OnMachineDriver, StagingIsNotFilledAnewTooSoon) {
  EXPECT_TRUE(many_copies_arrive({}));
  EXPECT_FALSE(many_copies_arrive({.events_are_waited_for = false}));  // the test can fail
}

TEST(OnMachineDriver, GraphsHoldAllThatTheyNeed) {
  const MachineOptions kinds[] = {{.major = 8}, {.seed = 2}, {.seed = 3}};
  for (const MachineOptions& kind : kinds) {
    const auto driver = driver_of(kind);
    const Transforms transforms(driver, 13);
    const Words words = transforms.some_words(1), others = transforms.some_words(2);
    const test::DeviceWords in(*driver, words), out(*driver, words);
    for (const LaunchOrder order : {LaunchOrder::kOneByOne, LaunchOrder::kDependent}) {
      if (kind.major == 8 && order == LaunchOrder::kDependent) continue;
      std::shared_ptr<const Graph> graph;
      {
        std::vector<gpu::Launch> launches;
        auto arguments = std::make_unique<gpu::NttArguments>(transforms.arguments(in.data(), out.data()));
        for (const Transform way :
             {Transform::kTwoPasses, Transform::kCluster, Transform::kClusterRoomy, Transform::kTwoPassesRoomy}) {
          if (kind.major == 8 && is_cluster(way)) continue;
          for (const gpu::Launch& launch : Transforms::launches(way, true, *arguments)) launches.push_back(launch);
        }
        auto made = driver->make_graph(launches, order);
        ASSERT_TRUE(made.ok()) << made.error().to_string();
        graph = *made;
        arguments->jobs[0] = {nullptr, nullptr, nullptr, nullptr};
      }
      for (const Words& input : {words, others}) {
        driver->copy_in(in.data(), input.data(), input.size() * sizeof(device::Word));
        driver->run(*graph);
        EXPECT_TRUE(out.read() == transforms.forward(input));
      }
    }
    EXPECT_TRUE(driver->status().ok());
  }
}

TEST(OnMachineDriver, QueuesAreInNoOrder) {
  const auto driver = driver_of({});
  const auto sibling = driver->make_sibling().value();
  const Words words(1000, 7);
  for (const bool waits : {true, false}) {
    const test::DeviceWords memory(*driver, words);
    if (waits) driver->wait();
    Words got(words.size());
    sibling->copy_out(got.data(), memory.data(), got.size() * sizeof(device::Word));
    EXPECT_EQ(take_findings().size(), waits ? 0U : 1U);
    if (waits) {
      EXPECT_EQ(got, words);
    }
  }
}

TEST(OnMachineDriver, ALaunchHasItsOwnArguments) {
  const auto driver = driver_of({});
  const Transforms transforms(driver, 10);
  const Words words = transforms.some_words(1);
  const test::DeviceWords in(*driver, words), out(*driver, words);
  gpu::NttArguments arguments = transforms.arguments(in.data(), out.data());
  for (const gpu::Launch& launch : Transforms::launches(Transform::kTwoPasses, true, arguments)) driver->launch(launch);
  arguments.jobs[0] = {nullptr, nullptr, nullptr, nullptr};
  EXPECT_TRUE(out.read() == transforms.forward(words));
}

TEST(OnMachineDriver, WhatALaunchMustNotHave) {
  const auto driver = driver_of({});
  const Transforms transforms(driver, 13);
  const test::DeviceWords words(*driver, transforms.some_words(1));
  const auto status_of = [&](Transform way, const std::function<void(gpu::Launch&)>& change) {
    const auto sibling = driver->make_sibling().value();
    const gpu::NttArguments arguments = transforms.arguments(words.data(), words.data());
    driver->wait();
    gpu::Launch launch = Transforms::launches(way, true, arguments).launch[0];
    change(launch);
    sibling->launch(launch);
    EXPECT_FALSE(sibling->status().ok());
    const auto graph = sibling->make_graph({launch}, LaunchOrder::kOneByOne);
    EXPECT_FALSE(graph.ok());
    EXPECT_THAT(take_findings(), Each(HasSubstr("cudaLaunchKernel")));
  };
  status_of(Transform::kTwoPasses, [](gpu::Launch& l) { l.threads *= 2; });
  status_of(Transform::kTwoPasses, [](gpu::Launch& l) { l.grid[1] = 0; });
  status_of(Transform::kTwoPasses, [](gpu::Launch& l) { l.grid[1] = 65536; });
  status_of(Transform::kTwoPasses, [](gpu::Launch& l) { l.shared_bytes = (48 << 10) + 4; });
  status_of(Transform::kTwoPasses, [](gpu::Launch& l) { l.variant = 9; });
  status_of(Transform::kCluster, [](gpu::Launch& l) { l.grid[0] += 1; });
  EXPECT_TRUE(driver->status().ok());  // each queue's own failure
}

TEST(OnMachineDriver, ALostDeviceComesBack) {
  auto driver = driver_of({});
  EXPECT_FALSE(reset_cuda_device(0));  // it is in use
  plan_failure({1, cudaErrorIllegalAddress, true, "cudaStreamSynchronize"});
  driver->wait();
  EXPECT_THAT(driver->status().error().message, HasSubstr("cudaErrorIllegalAddress"));
  EXPECT_FALSE(driver->allocate(64).ok());
  EXPECT_FALSE(driver->make_sibling().ok());
  driver.reset();
  EXPECT_TRUE(reset_cuda_device(0));
  driver = make_cuda_driver(0).value();
  const Transforms transforms(driver, 13);
  const Words words = transforms.some_words(1);
  const test::DeviceWords memory(*driver, words);
  const gpu::NttArguments arguments = transforms.arguments(memory.data(), memory.data());
  for (const gpu::Launch& launch : Transforms::launches(Transform::kCluster, true, arguments)) driver->launch(launch);
  EXPECT_TRUE(memory.read() == transforms.forward(words));
}

/// The plain ways take 1 s, others half of it. The graphs are not run.
TrialOptions clock() {
  TrialOptions options;
  options.time = [](Driver&, const Graph&, const std::string& name) {
    return name == kPlainTransform || name == kPlainLaunches ? 1.0 : 0.5;
  };
  return options;
}

TEST(OnMachineTrial, EveryWayIsRight) {
  set_machine({});
  const test::TestRing ring(1u << 13, 3, 2, 2);
  const auto backend = CudaBackend::make(ring.ring(), make_cuda_driver(0).value(), clock()).value();
  const Variants v = *variants_of(*backend);
  EXPECT_EQ(v.transforms_reason, "measured");
  EXPECT_EQ(v.launches_reason, "measured");
  EXPECT_TRUE(v.dependent_launches);
  for (unsigned way = 1; way < Variants::kTransforms; ++way) EXPECT_EQ(v.forward_many.seconds[way] * 40, 0.5);
}

TEST(OnMachineTrial, AWayThatBreaksTheDeviceIsLeftOut) {
  // Rows go to a block that there is not.
  set_machine({.edit = [](std::string ptx) {
    for (std::size_t at = 0; (at = ptx.find("mapa.shared::cluster.u32", at)) != ptx.npos; at += 8) {
      const std::size_t end = ptx.find(';', at), last = ptx.rfind('%', end);
      ptx = ptx.substr(0, last) + '8' + ptx.substr(end);
    }
    return ptx;
  }});
  const test::TestRing ring(1u << 13, 3, 2, 2);
  unsigned opened = 0;
  const auto open = [&] {
    ++opened;
    return make_cuda_driver(0);
  };
  const auto backend = open_backend(ring.ring(), open, clock(), [] { return reset_cuda_device(0); });
  ASSERT_TRUE(backend.ok()) << backend.error().to_string();
  EXPECT_EQ(opened, 2U);
  EXPECT_THAT(variants_of(**backend)->transforms_reason, HasSubstr("broken the device"));
  EXPECT_THAT(take_findings(), ::testing::ElementsAre(HasSubstr("a block that the cluster does not have")));
}

TEST(OnMachineTrial, TheDeviceIsLostOnTheWay) {
  const test::TestRing ring(1u << 13, 1, 1, 1);
  const auto open = [] { return make_cuda_driver(0); };
  const auto reset = [] { return reset_cuda_device(0); };
  unsigned lost = 0, come_back = 0;
  for (std::uint64_t call = 100;; call += 211, ++lost) {
    set_machine({});
    plan_failure({call, cudaErrorIllegalAddress, true, {}});
    const auto backend = open_backend(ring.ring(), open, clock(), reset);
    if (failed_call().empty()) break;
    // Before there is a driver, the device is not to be had; afterwards it is used without trials.
    const std::string said = backend.ok() ? variants_of(**backend)->transforms_reason : backend.error().message;
    EXPECT_THAT(said, HasSubstr(backend.ok() ? "broken the device" : "cudaErrorIllegalAddress")) << call;
    come_back += backend.ok() ? 1 : 0;
  }
  EXPECT_GE(lost, 5U);
  EXPECT_GE(come_back, lost - 2);
}

}  // namespace
}  // namespace brainlock::device_cuda::machine
