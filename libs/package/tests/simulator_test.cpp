#include "brainlock/package/simulator.hpp"

#include <gtest/gtest.h>

#include <numbers>

#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"
#include "weight_rounding.hpp"

namespace brainlock::package {
namespace {

using Complex = std::complex<double>;

std::shared_ptr<const Package> sample(std::uint64_t seed = 1, double finer = 1) {
  plan::Program p = test::sample_program(seed);
  if (finer != 1) {   // all scales of the program larger by a factor: a smaller error
    p.input.scale *= finer;
    double square = finer;
    for (auto& instruction : p.instructions) {
      instruction.scale_in *= square;
      if (std::holds_alternative<plan::Square>(instruction.op)) square *= square;
      instruction.scale_out *= square;
    }
    p.output.scale *= square;
  }
  auto package = Package::from_bytes(encode_program(p), {});
  if (!package.ok()) ADD_FAILURE() << package.error().to_string();
  return *package;
}

std::vector<float> input() {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(test::kElements);
  for (float& x : out) x = uniform(random);
  return out;
}

/// Of pairs of runs: what the seed changes, without what rounding the weights does to all of them alike.
double rms_between_seeds(const Simulator& simulator, std::uint64_t pairs) {
  double sum = 0;
  for (std::uint64_t seed = 0; seed < pairs; ++seed) {
    const auto a = simulator.run(input(), 2 * seed), b = simulator.run(input(), 2 * seed + 1);
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]) / 2;
  }
  return std::sqrt(sum / static_cast<double>(pairs * test::kElements));
}

TEST(WeightRounding, UndoesTheEncoderUpToRounding) {
  const auto parameters = sample()->parameters();
  const ckks::Encoder encoder(parameters);
  std::mt19937_64 random(1);
  for (const std::uint32_t period : {1U, 16U, 512U, test::kSlots}) {
    const plan::SlotVector v = test::dense_vector(period, random);
    const double scale = std::exp2(12.0);
    const auto r = rounded(v, encoder, scale);
    ASSERT_TRUE(r.ok());
    ASSERT_EQ(r->values.size(), period);
    double sum = 0;
    for (std::size_t t = 0; t < period; ++t) sum += static_cast<double>(std::norm(r->values[t] - v.values[t]));
    // 2 * period coefficients off by a uniform error: period / 12 per real part.
    const double expected = std::sqrt(period / 6.0) / scale, got = std::sqrt(sum / period);
    EXPECT_LT(got, 2 * expected) << period;
    if (period >= 512) {
      EXPECT_GT(got, 0.9 * expected) << period;
    }
  }
  const auto sparse = rounded(test::sparse_vector(5, random), encoder, std::exp2(30.0));
  ASSERT_TRUE(sparse.ok());
  EXPECT_TRUE(sparse->dense());
  EXPECT_EQ(sparse->values.size(), test::kSlots);
  EXPECT_NEAR(static_cast<double>(std::abs(sparse->values[0])), 0, 1e-5);
  const auto refused = rounded(test::dense_vector(4, random), encoder, std::exp2(80.0));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

TEST(WeightRounding, OfPreciseVectorsIsAsFineAsTheyAre) {
  const ckks::Encoder encoder(sample()->parameters());
  std::mt19937_64 random(2);
  const double scale = std::exp2(45.0);
  for (const std::uint32_t period : {1U, 16U}) {
    const plan::SlotVector v = test::precise_vector(period, random);
    const auto r = rounded(v, encoder, scale);
    ASSERT_TRUE(r.ok());
    const auto got = r->expanded(), want = v.expanded();
    ASSERT_EQ(got.size(), period);
    for (std::size_t t = 0; t < period; ++t) EXPECT_LT(std::abs(got[t] - want[t]), period / scale + 0x1p-48) << period;
    plan::SlotVector floats = v;
    floats.rest.clear();
    const auto coarse = rounded(floats, encoder, scale);
    ASSERT_TRUE(coarse.ok());
    EXPECT_TRUE(coarse->rest.empty());
    EXPECT_GT(std::abs(coarse->expanded()[0] - want[0]), 0x1p-34);
  }
  const auto sparse = rounded(test::precise_sparse_vector(5, random), encoder, scale);
  ASSERT_TRUE(sparse.ok());
  EXPECT_TRUE(sparse->dense());
  EXPECT_EQ(sparse->rest.size(), test::kSlots);
}

TEST(SchemeNoise, AsTheFormulasSay) {
  const plan::ParameterChoice parameters = test::sample_program().parameters;   // N = 2^13, 4 x 28 bits, 2 x 30 bits, digits of 2
  const SchemeNoise noise(parameters);
  EXPECT_NEAR(noise.fresh, std::sqrt(4096 * (3.2 * 3.2 + 1.0 / 12)), 1e-9);
  EXPECT_NEAR(noise.rescale, std::sqrt(4096 * (1 + 2 * 8192 / 3.0) / 12), 1e-9);
  EXPECT_NEAR(noise.rescale * noise.rescale, noise.decompose * noise.decompose + 4096 / 12.0, 1e-3);
  // One full digit of 56 bits over P of 60 bits: 2^-4 sqrt(N / 12) 3.2 sqrt(N / 2), and by two digits the root of twice that.
  const double digit = std::exp2(-4) * std::sqrt(8192 / 12.0) * 3.2 * 64;
  EXPECT_NEAR(noise.key_switch(2) / digit, 1, 3e-3);   // primes are a little below their powers of two
  EXPECT_NEAR(noise.key_switch(4) / digit, std::sqrt(2.0), 3e-3);
  EXPECT_LT(noise.key_switch(1), 1e-6 * digit);
  EXPECT_NEAR(noise.key_switch(3) / noise.key_switch(2), 1, 1e-6);
}

TEST(Simulator, EqualSeedsGiveEqualErrors) {
  const auto simulator = Simulator::make(sample());
  ASSERT_TRUE(simulator.ok()) << simulator.error().to_string();
  EXPECT_EQ((*simulator)->run(input(), 7), (*simulator)->run(input(), 7));
  EXPECT_NE((*simulator)->run(input(), 7), (*simulator)->run(input(), 8));
}

TEST(Simulator, WithoutErrorsItIsWhatTheRunsScatterAround) {
  const auto simulator = *Simulator::make(sample());
  const auto middle = simulator->run_without_errors(input());
  EXPECT_EQ(middle, simulator->run_without_errors(input()));
  constexpr std::uint64_t kRuns = 64;
  std::vector<double> mean(middle.size());
  for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
    const auto run = simulator->run(input(), seed);
    for (std::size_t i = 0; i < run.size(); ++i) mean[i] += run[i] / kRuns;
  }
  double squares = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) squares += (mean[i] - middle[i]) * (mean[i] - middle[i]) / static_cast<double>(mean.size());
  EXPECT_LT(std::sqrt(squares), 0.3 * rms_between_seeds(*simulator, 12)) << "an eighth, of a mean of 64";
}

TEST(Simulator, ErrorsShrinkWithTheScale) {
  const auto coarse = sample(), fine = sample(1, 16);
  const double a = rms_between_seeds(**Simulator::make(coarse), 12), b = rms_between_seeds(**Simulator::make(fine), 12);
  EXPECT_GT(b, 0);
  EXPECT_NEAR(a / b, 16, 6) << "scales 2^4 times larger, after the square 2^8 times";
  const auto exact = plan::run_slots(coarse->program(), input()), noisy = (*Simulator::make(coarse))->run(input(), 1);
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(noisy[i], exact[i], 1e-3 * (1 + std::fabs(exact[i])));
}

// Of a program that takes nothing away behind its Raise: what the seed chooses is in its answer.
TEST(Simulator, ProgramsWithARaiseRun) {
  const auto package = Package::from_bytes(encode_program(test::raised_program()), {});
  ASSERT_TRUE(package.ok()) << package.error().to_string();
  const auto simulator = Simulator::make(*package);
  ASSERT_TRUE(simulator.ok()) << simulator.error().to_string();
  const auto run = (*simulator)->run(input(), 7);
  ASSERT_EQ(run.size(), test::kElements);
  for (const double x : run) EXPECT_TRUE(std::isfinite(x));
  EXPECT_EQ((*simulator)->run(input(), 7), run);
  EXPECT_NE((*simulator)->run(input(), 8), run);
  const auto clear = (*simulator)->run_without_errors(input()), exact = plan::run_slots((*package)->program(), input());
  EXPECT_EQ(clear, (*simulator)->run_without_errors(input()));
  // The same multiples as the interpreter's own, and rounded weights of 20 bits and more.
  for (std::size_t i = 0; i < clear.size(); ++i) EXPECT_NEAR(clear[i], exact[i], 0.01 * (1 + std::fabs(exact[i]))) << i;
  plan::SlotTrace trace;
  (void)(*simulator)->run(input(), 7, &trace);
  EXPECT_GT(trace.largest_coefficient[0], 0);
  EXPECT_LT(trace.largest_coefficient[0], 0.75) << "the limit";
}

TEST(Simulator, WeightsThatCannotBeEncodedAreRefused) {
  plan::Program p = test::sample_program();
  std::get<plan::Linear>(p.instructions[1].op).weight_scale = std::exp2(90.0);
  const auto simulator = Simulator::make(*Package::from_bytes(encode_program(p), {}));
  ASSERT_FALSE(simulator.ok());
  EXPECT_EQ(simulator.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::package
