// The transforms against math's scalar kernels, word by word.
#include "rig.hpp"
#include "transform_launches.hpp"

namespace brainlock::device_cuda {
namespace {

using test::fill;
using test::Machine;
using Memory = test::DeviceWords;
using test::Words;
using device::Word;

const math::Kernels& scalar() { return *math::available_kernels().front(); }

using Transform = Variants::Transform;

class NttKernels : public ::testing::TestWithParam<std::tuple<Machine, int, Transform>> {
 protected:
  void SetUp() override {
    kind_ = std::get<2>(GetParam());
    const bool emulated = std::get<0>(GetParam()) == Machine::kEmulated;
    driver_ = emulated ? make_emulated_driver({.clusters = true}) : test::make_driver(Machine::kGpu);
    if (driver_ == nullptr) GTEST_SKIP() << test::why_no_gpu();
    if (const std::string why = driver_->features().against_clusters; is_cluster(kind_) && !why.empty()) GTEST_SKIP() << why;
    log_degree_ = static_cast<unsigned>(std::get<1>(GetParam()));
    n_ = std::size_t{1} << log_degree_;
    ring_ = std::make_unique<test::TestRing>(1u << log_degree_, 4, 2, 2);
    pool_ = std::make_shared<DevicePool>(driver_);
    tables_ = RingTables::make(ring_->ring(), *driver_, *pool_).value();
  }
  void TearDown() override {
    if (driver_ == nullptr) return;
    EXPECT_TRUE(driver_->status().ok()) << driver_->status().error().to_string();
  }
  gpu::NttArguments arguments(const gpu::RowMap& rows, const gpu::Factor* scalars) const {
    gpu::NttArguments a{};
    a.ring = tables_.ring;
    a.rows = rows;
    a.scalars = scalars;
    return a;
  }
  void forward(const gpu::NttArguments& a, unsigned rows, unsigned jobs) {
    for (const gpu::Launch& launch : transform_launches(kind_, true, a, rows, jobs)) driver_->launch(launch);
  }
  void inverse(const gpu::NttArguments& a, unsigned rows, unsigned jobs) {
    for (const gpu::Launch& launch : transform_launches(kind_, false, a, rows, jobs)) driver_->launch(launch);
  }

  Transform kind_ = Transform::kTwoPasses;
  std::shared_ptr<Driver> driver_;
  std::shared_ptr<DevicePool> pool_;
  std::unique_ptr<test::TestRing> ring_;
  RingTables tables_;
  unsigned log_degree_ = 0;
  std::size_t n_ = 0;
  std::mt19937 random_{5};
};

TEST_P(NttKernels, ForwardEqualsScalar) {
  const std::uint32_t limbs = 3, rows = limbs + 2;
  const Words a = test::polynomial(ring_->ring(), limbs, true, random_), b = test::polynomial(ring_->ring(), limbs, true, random_);
  const Memory da(*driver_, a), db(*driver_, b), out(*driver_, Words(a.size()));
  auto arguments = this->arguments(gpu::row_map(0, limbs, 1, 1, false, false), nullptr);
  arguments.jobs[0] = {da.data(), out.data(), nullptr, nullptr};   // to another place
  arguments.jobs[1] = {db.data(), db.data(), nullptr, nullptr};    // in place
  forward(arguments, rows, 2);
  Words want_a = a, want_b = b;
  for (std::uint32_t l = 0; l < rows; ++l) {
    const auto& table = ring_->table(ring_->ring().modulus_index(limbs, l));
    scalar().ntt_forward(table, want_a.data() + l * n_);
    scalar().ntt_forward(table, want_b.data() + l * n_);
  }
  EXPECT_EQ(out.read(), want_a);
  EXPECT_EQ(db.read(), want_b);
  EXPECT_EQ(da.read(), a);
}

TEST_P(NttKernels, InverseTimesScalarOfRowsFromTheMiddle) {
  const std::uint32_t limbs = 4, rows = 4, first = 2;   // limbs 2, 3 and both special ones
  const Words a = test::polynomial(ring_->ring(), limbs, true, random_);
  const Memory in(*driver_, a), out(*driver_, Words(rows * n_));
  const auto& rescale = tables_.level[limbs].rescale[2];
  auto arguments = this->arguments(gpu::row_map(first, limbs, 1, 1, true, false), rescale.sources);
  arguments.jobs[0] = {in.data(), out.data(), nullptr, nullptr};
  inverse(arguments, rows, 1);
  const device::RingConstants constants(ring_->ring());
  Words want(a.begin() + static_cast<std::ptrdiff_t>(first * n_), a.end());
  for (std::uint32_t r = 0; r < rows; ++r) {
    const auto& table = ring_->table(ring_->ring().modulus_index(limbs, first + r));
    const device::Scalar s = constants.level[limbs].rescale[2].conversion.prepare[r];
    Word* row = want.data() + r * n_;
    scalar().ntt_inverse(table, row);
    scalar().mul_scalar(row, row, s.value, s.shoup, table.modulus, n_);
  }
  EXPECT_EQ(out.read(), want);
}

TEST_P(NttKernels, ForwardThenDifferenceTimesScalarPlusAddend) {
  const std::uint32_t limbs = 4, drop = 1, kept = 3;
  const Words x = test::polynomial(ring_->ring(), limbs, false, random_), minuend = test::polynomial(ring_->ring(), limbs, true, random_);
  const Words addend = test::polynomial(ring_->ring(), kept, false, random_);
  for (const bool added : {false, true}) {
    const Memory dx(*driver_, x), dm(*driver_, minuend), da(*driver_, addend);
    auto arguments = this->arguments(gpu::row_map(0, kept, 1, 1, false, false),
                                     tables_.level[limbs].rescale[drop].inverse);
    arguments.jobs[0] = {dx.data(), dx.data(), dm.data(), added ? da.data() : nullptr};
    forward(arguments, kept, 1);
    const device::RingConstants constants(ring_->ring());
    Words want = x;
    for (std::uint32_t l = 0; l < kept; ++l) {
      const auto& table = ring_->table(l);
      const device::Scalar s = constants.level[limbs].rescale[drop].inverse[l];
      Word* row = want.data() + l * n_;
      scalar().ntt_forward(table, row);
      scalar().sub_mul_scalar(row, minuend.data() + l * n_, row, s.value, s.shoup, table.modulus, n_);
      if (added) scalar().add(row, row, addend.data() + l * n_, table.modulus, n_);
    }
    EXPECT_EQ(dx.read(), want);   // row 3 untouched
  }
}

TEST_P(NttKernels, PiecesAndOwnLimbsLeftOut) {
  // Two digits of two limbs each and a third place a limb, as beside c0.
  const std::uint32_t limbs = 4, rows = 6, digits = 2, pieces = 3;
  Words x(rows * pieces * n_);
  for (std::uint32_t l = 0; l < rows; ++l) fill(std::span(x).subspan(l * pieces * n_, pieces * n_), ring_->modulus(ring_->ring().modulus_index(limbs, l)).q, random_);
  const Memory dx(*driver_, x);
  auto arguments = this->arguments(gpu::row_map(0, limbs, digits, pieces, false, true), nullptr);
  arguments.jobs[0] = {dx.data(), dx.data(), nullptr, nullptr};
  forward(arguments, rows * digits, 1);
  Words want = x;
  for (std::uint32_t l = 0; l < rows; ++l) {
    for (std::uint32_t d = 0; d < digits; ++d) {
      if (l < limbs && l / 2 == d) continue;
      scalar().ntt_forward(ring_->table(ring_->ring().modulus_index(limbs, l)), want.data() + (l * pieces + d) * n_);
    }
  }
  EXPECT_EQ(dx.read(), want);
}

TEST(Reciprocal, ExactForAllRowsOfALaunch) {
  for (Word by = 1; by <= device::kMaxLimbs; ++by) {
    const Word r = gpu::reciprocal(by);
    for (Word x = 0; x <= device::kMaxLimbs * (device::kMaxDigits + 1); ++x) {
      const Word quotient = r == 0 ? x : static_cast<Word>(std::uint64_t{x} * r >> 32);
      ASSERT_EQ(quotient, x / by) << x << " / " << by;
    }
  }
}

std::string ntt_name(const ::testing::TestParamInfo<std::tuple<Machine, int, Transform>>& info) {
  const auto [machine, log_degree, kind] = info.param;
  const char* const names[] = {"", "Roomy", "Cluster", "ClusterRoomy"};
  return std::string(machine == Machine::kGpu ? "Gpu" : "Emulated") + names[static_cast<int>(kind)] + "Degree2To" + std::to_string(log_degree);
}
INSTANTIATE_TEST_SUITE_P(EveryDegree, NttKernels,
                         ::testing::Combine(::testing::Values(Machine::kEmulated, Machine::kGpu), ::testing::Range(10, 18), ::testing::Values(Transform::kTwoPasses)),
                         ntt_name);
INSTANTIATE_TEST_SUITE_P(OtherWays, NttKernels,
                         ::testing::Combine(::testing::Values(Machine::kEmulated, Machine::kGpu), ::testing::Range(13, 17),
                                            ::testing::Values(Transform::kTwoPassesRoomy, Transform::kCluster, Transform::kClusterRoomy)),
                         ntt_name);

}  // namespace
}  // namespace brainlock::device_cuda
