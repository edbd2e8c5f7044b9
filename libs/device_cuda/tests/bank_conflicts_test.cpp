// Banks of shared memory that the steps of transforms use: a warp's access takes as many turns as lanes have words in one bank.
#define BRAINLOCK_EMULATE_CUDA
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "kernels/ntt_cluster.cuh"

namespace brainlock::device_cuda::gpu::on_host {
namespace {

/// Turns of the worst of a step's accesses; word(item, k) is where word k of an item lies.
template <typename S, typename Place>
unsigned most_turns(unsigned threads, const Place& place) {
  unsigned most = 0;
  for (unsigned first = 0; first < std::min(threads, S::kItems); first += 32) {
    for (unsigned k = 0; k < S::kWords; ++k) {
      std::array<unsigned, 32> lanes{};
      for (unsigned item = first; item < first + 32; ++item) most = std::max(most, ++lanes[place(item, k) % 32]);
    }
  }
  return most;
}

template <typename P, int kDone = 0>
void expect_no_conflicts() {
  using S = Step<P, kDone>;
  const auto place = [](unsigned item, unsigned k) {
    return Padded::place(S::base(item, S::group(item))) + Padded::place(k << S::kLogStride);
  };
  EXPECT_EQ(most_turns<S>(P::kThreads, place), 1U) << "tile 2^" << P::kLogTile << ", unit 2^" << P::kLogUnit << ", " << P::kStages << " stages, from " << kDone
                                                   << (P::kForward ? ", forward" : ", inverse");
  // Every word of the tile belongs to one item.
  std::vector<unsigned> taken(std::size_t{1} << P::kLogTile);
  for (unsigned item = 0; item < S::kItems; ++item) {
    for (unsigned k = 0; k < S::kWords; ++k) ++taken[S::base(item, S::group(item)) | k << S::kLogStride];
  }
  EXPECT_EQ(taken, std::vector<unsigned>(taken.size(), 1));
  if constexpr (!S::kIsLast) expect_no_conflicts<P, kDone + S::kRadix>();
}

template <typename T>
void expect_no_conflicts_of() {
  expect_no_conflicts<typename T::template Columns<true>>();
  expect_no_conflicts<typename T::template Columns<false>>();
  expect_no_conflicts<typename T::template Rows<true>>();
  expect_no_conflicts<typename T::template Rows<false>>();
}

TEST(BankConflicts, NoneInTwoPasses) {
  expect_no_conflicts_of<Transform<10>>();
  expect_no_conflicts_of<Transform<11>>();
  expect_no_conflicts_of<Transform<12>>();
  expect_no_conflicts_of<Transform<13>>();
  expect_no_conflicts_of<Transform<14>>();
  expect_no_conflicts_of<Transform<15>>();
  expect_no_conflicts_of<Transform<16>>();
  expect_no_conflicts_of<Transform<17>>();
}

/// From block to block: a warp's words all lie in one other block, one after the other.
template <int kLogDegree>
void expect_whole_lines() {
  using T = ClusterTransform<kLogDegree>;
  using S = Step<typename T::template Columns<false>, 0>;   // what reads; the last step of forward columns writes alike
  for (unsigned item = 0; item < S::kItems; item += 32) {
    const unsigned row = S::base(item, S::group(item)) >> T::kLogUnit;
    for (unsigned lane = 1; lane < 32; ++lane) {
      const unsigned base = S::base(item + lane, S::group(item + lane));
      EXPECT_EQ(base, S::base(item, S::group(item)) + lane);
      EXPECT_EQ(base >> T::kLogUnit, row);
    }
    EXPECT_LE((row & ((1u << T::kLogRows) - 1)) + S::kWords, 1u << T::kLogRows);
  }
}

TEST(BankConflicts, NoneInClusters) {
  expect_no_conflicts_of<ClusterTransform<13>>();
  expect_no_conflicts_of<ClusterTransform<14>>();
  expect_no_conflicts_of<ClusterTransform<15>>();
  expect_no_conflicts_of<ClusterTransform<16>>();
  expect_whole_lines<13>();
  expect_whole_lines<14>();
  expect_whole_lines<15>();
  expect_whole_lines<16>();
}

}  // namespace
}  // namespace brainlock::device_cuda::gpu::on_host
