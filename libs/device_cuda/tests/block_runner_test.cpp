// The emulation itself: threads, barriers, and that it finds what a device would punish.
#include "emulation/block_runner.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "emulation/emulated_driver.hpp"
#include "kernels/arguments.hpp"

namespace brainlock::device_cuda::emulation {
namespace {

template <typename Body>
void run(const Shape& shape, const Body& body) {
  run_grid(shape, [](const void* context) { (*static_cast<const Body*>(context))(); }, &body);
}

TEST(BlockRunner, EveryThreadOfEveryBlockRunsOnce) {
  for (const bool barriers : {false, true}) {
    const Shape shape{{3, 2, 4}, 24, 0, barriers};
    std::vector<int> visits(3 * 2 * 4 * 24);
    run(shape, [&] { ++visits[((place.block_z * 2 + place.block_y) * 3 + place.block_x) * 24 + place.thread]; });
    EXPECT_EQ(visits, std::vector<int>(visits.size(), 1));
  }
}

TEST(BlockRunner, BarriersSeparatePhases) {
  // A sum over the block by halving, in shared memory.
  std::vector<std::uint32_t> sums(7);
  run({{7, 1, 1}, 128, 128 * 4, true}, [&] {
    place.shared[place.thread] = place.thread + place.block_x;
    for (unsigned half = 64; half > 0; half /= 2) {
      barrier();
      if (place.thread < half) place.shared[place.thread] += place.shared[place.thread + half];
    }
    if (place.thread == 0) sums[place.block_x] = place.shared[0];
  });
  for (std::uint32_t b = 0; b < 7; ++b) EXPECT_EQ(sums[b], 128 * 127 / 2 + 128 * b);
}

TEST(EmulatedDriver, RefusesWhatNoGpuTakes) {
  const gpu::LiftArguments arguments{};
  const gpu::Launch nothing{gpu::Kernel::kLift, 0, {1, 1, 1}, 32, 0, &arguments, sizeof(arguments), {}};
  const auto refused = [&](const auto& change) {
    gpu::Launch launch = nothing;
    change(launch);
    const auto driver = make_emulated_driver();
    driver->launch(launch);
    return !driver->status().ok();
  };
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.grid[0] = 0; }));
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.grid[1] = 65536; }));
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.grid[2] = 65536; }));
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.threads = 1056; }));
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.threads = 48; }));
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.shared_bytes = 49153; }));
  EXPECT_TRUE(refused([](gpu::Launch& launch) { launch.variant = 1; }));
}

TEST(EmulatedDriver, RefusesClustersThatNoGpuTakes) {
  const gpu::NttArguments arguments{};
  const gpu::ClusterShape shape = gpu::cluster_shape(13);
  gpu::Launch launch{gpu::Kernel::kNttForwardCluster, 13, {3, 1, 1}, shape.threads, 2 * shape.tile_words * 4, &arguments, sizeof(arguments), {}};
  const auto refused = [&](const EmulationOptions& options) {
    const auto driver = make_emulated_driver(options);
    driver->launch(launch);
    return !driver->status().ok();
  };
  EXPECT_TRUE(refused({.clusters = true}));   // one and a half
  launch.grid[0] = 2;
  EXPECT_TRUE(refused({}));                   // a device without
  launch.shared_bytes = 227 * 1024 + 4;
  EXPECT_TRUE(refused({.clusters = true}));
}

TEST(BlockRunner, AMissingBarrierGivesWrongWords) {
  std::vector<std::uint32_t> got(3 * 64);
  run({{3, 1, 1}, 64, 64 * 4, true}, [&] {
    place.shared[place.thread] = place.thread;
    got[place.block_x * 64 + place.thread] = place.shared[(place.thread + 1) % 64];  // not there yet, for some
  });
  for (std::size_t block = 0; block < 3; ++block) {
    std::size_t wrong = 0;
    for (std::uint32_t t = 0; t < 64; ++t) wrong += got[block * 64 + t] != (t + 1) % 64;
    EXPECT_GT(wrong, 0U) << "block " << block;
  }
}

constexpr Shape kTwoClusters{{6, 1, 1}, 32, 32 * 4, true, 3};

void cluster_barrier() {
  cluster_arrive();
  cluster_wait();
}
/// Block b of a cluster of three puts a word into the next one, which writes it down: after a barrier, or too early.
void pass_on(std::vector<std::uint32_t>& got, bool begins_together, bool waits) {
  run(kTwoClusters, [&] {
    const unsigned rank = place.block_x % 3;
    if (begins_together) cluster_barrier();
    shared_of_block(place.shared, (rank + 1) % 3)[place.thread] = 100 * place.block_x + place.thread;
    if (waits) cluster_barrier();
    got[place.block_x * 32 + place.thread] = place.shared[place.thread];
    if (!waits) cluster_barrier();
  });
}

TEST(BlockRunner, BlocksOfAClusterSeeEachOther) {
  std::vector<std::uint32_t> got(6 * 32);
  pass_on(got, true, true);
  for (std::uint32_t block = 0; block < 6; ++block) {
    const std::uint32_t from = block / 3 * 3 + (block + 2) % 3;
    for (std::uint32_t t = 0; t < 32; ++t) EXPECT_EQ(got[block * 32 + t], 100 * from + t);
  }
}

TEST(BlockRunner, AMissingBarrierOfAClusterGivesWrongWords) {
  std::vector<std::uint32_t> got(6 * 32);
  pass_on(got, true, false);
  for (std::uint32_t cluster = 0; cluster < 2; ++cluster) {
    std::size_t wrong = 0;
    for (std::uint32_t i = 0; i < 3 * 32; ++i) wrong += got[cluster * 96 + i] != 100 * (cluster * 3 + (i / 32 + 2) % 3) + i % 32;
    EXPECT_GT(wrong, 0U) << "cluster " << cluster;
  }
}

TEST(BlockRunnerDeathTest, ALookIntoABlockThatHasNotBegun) {
  std::vector<std::uint32_t> got(6 * 32);
  EXPECT_DEATH(pass_on(got, false, true), "a block that has not begun");
}

TEST(BlockRunnerDeathTest, ALookIntoABlockThatHasEnded) {
  EXPECT_DEATH(run(kTwoClusters,
                   [] {
                     cluster_barrier();
                     if (place.block_x % 3 != 0) (void)*shared_of_block(place.shared, 0);   // block 0 does not wait for that
                   }),
               "a block that has ended");
}

TEST(BlockRunnerDeathTest, HalvesOfAClusterBarrier) {
  EXPECT_DEATH(run(kTwoClusters, [] { cluster_wait(); }), "not in turn");
  EXPECT_DEATH(run(kTwoClusters, [] { cluster_arrive(); }), "between the halves");
  EXPECT_DEATH(run(kTwoClusters,
                   [] {
                     if (place.block_x == 1) return;
                     cluster_barrier();
                   }),
               "not reached by all blocks");
  EXPECT_DEATH(run(kTwoClusters,
                   [] {
                     cluster_arrive();
                     if (place.thread == 7) {
                       barrier();
                     } else {
                       cluster_wait();
                     }
                   }),
               "not reached by all threads");
}

TEST(BlockRunnerDeathTest, BarrierThatSomeThreadsMiss) {
  EXPECT_DEATH(run({{1, 1, 1}, 32, 0, true}, [] { if (place.thread != 5) barrier(); }), "not reached by all threads");
}

TEST(BlockRunnerDeathTest, BarrierWhereNoneIsAnnounced) {
  EXPECT_DEATH(run({{1, 1, 1}, 32, 0, false}, [] { barrier(); }), "said to have none");
}

TEST(BlockRunnerDeathTest, SharedMemoryOverrun) {
  EXPECT_DEATH(run({{1, 1, 1}, 32, 32 * 4, true}, [] { place.shared[place.thread + 1] = 1; }), "beyond the end of shared memory");
}

}  // namespace
}  // namespace brainlock::device_cuda::emulation
