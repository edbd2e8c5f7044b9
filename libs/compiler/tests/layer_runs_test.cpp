// Layer by layer is the same, to the last bit, as the whole program at once.
#include "layer_runs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/math/modulus.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "lowering.hpp"
#include "net_builder.hpp"
#include "stages.hpp"
#include "weight_rounding.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;
constexpr std::uint32_t kSlots = 1U << 11;  // the smallest ring that an encoder takes two primes in

/// Branches, pools, padding and a vector: every kind of instruction but Raise.
class LayerRuns : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    NetBuilder net(11, {2, 8, 8});
    const int skip = net.conv(4, 3, 1, 1).quadratic().here();
    net.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1);
    const int branch = net.here();
    net.from(skip)
        .conv(4, 1)
        .add(branch)
        .quadratic()
        .pool(2)
        .conv(5, 3, 1, 1)
        .quadratic()
        .dense(6)
        .quadratic()
        .dense(3);
    for (int i = 0; i < 5; ++i) samples_.push_back(net.sample());
    auto graph = normalise(net.graph());
    ASSERT_TRUE(graph.ok()) << graph.error().to_string();
    auto stages = make_stages(*graph);
    ASSERT_TRUE(stages.ok()) << stages.error().to_string();
    for (const LayoutChoice& choice : enumerate_choices(*stages, kSlots)) {
      if (choice.masks != GetParam()) continue;
      if (auto lowered = lower(*stages, kSlots, choice); lowered.ok()) {
        program_ = std::move(lowered->program);
        break;
      }
    }
    ASSERT_FALSE(program_.instructions.empty());
    for (plan::Instruction& instruction : program_.instructions) {
      if (auto* linear = std::get_if<plan::Linear>(&instruction.op)) {
        linear->weight_scale = 0x1p9;
        if (!linear->masks.empty()) linear->mask_scale = 0x1p6;
      }
    }
  }

  /// What each Linear makes behind its mask, of the whole program.
  static std::map<plan::Register, std::vector<Complex>> made(
      const plan::Program& program, const std::vector<float>& sample,
      const std::map<plan::Register, std::vector<Complex>>* instead = nullptr, plan::SlotTrace* trace = nullptr) {
    std::map<plan::Register, std::vector<Complex>> out;
    plan::Noise noise;
    noise.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output, std::span<Complex> slots) {
      out[output.out].assign(slots.begin(), slots.end());
      if (instead != nullptr) std::copy(instead->at(output.out).begin(), instead->at(output.out).end(), slots.begin());
    };
    (void)plan::SlotInterpreter(program).run(sample, trace, &noise);
    return out;
  }

  plan::Program program_;
  std::vector<std::vector<float>> samples_;
};

TEST_P(LayerRuns, MakeAndReportWhatTheProgramDoes) {
  for (const unsigned threads : {1U, 3U}) {
    plan::SlotTrace whole, trace;
    std::map<plan::Register, std::vector<double>> lifted;
    trace.lifted = [&](plan::Register r, std::span<const double> slots) {
      ASSERT_TRUE(lifted.emplace(r, std::vector<double>(slots.begin(), slots.end())).second) << "seen twice";
    };
    whole.lifted = [&](plan::Register r, std::span<const double> slots) {
      EXPECT_EQ(lifted.at(r), std::vector<double>(slots.begin(), slots.end())) << r;
      lifted.erase(r);
    };
    std::vector<std::map<plan::Register, std::vector<Complex>>> seen(samples_.size());
    compiler::LayerRuns runs(program_, samples_, threads, &trace);
    std::size_t layers = 0, at = 0;
    for (; runs.advance(); ++layers) {
      EXPECT_TRUE(layers == 0 || runs.at() > at);
      at = runs.at();
      for (std::size_t s = 0; s < samples_.size(); ++s) seen[s].insert(runs.made(s).begin(), runs.made(s).end());
    }
    EXPECT_FALSE(runs.advance());
    EXPECT_GE(layers, 7U);
    for (std::size_t s = 0; s < samples_.size(); ++s)
      EXPECT_EQ(seen[s], made(program_, samples_[s], nullptr, s == 0 ? &whole : nullptr)) << s;
    EXPECT_TRUE(lifted.empty());
    for (plan::Register r = program_.input.ciphertexts; r < program_.register_count; ++r) {
      EXPECT_EQ(trace.largest[r], whole.largest[r]) << r;
      EXPECT_EQ(trace.mean_square[r], whole.mean_square[r]) << r;
    }
  }
}

TEST_P(LayerRuns, LeaveTheProgramAsItWas) {
  const plan::Program before = program_;
  compiler::LayerRuns runs(program_, samples_, 2);
  while (runs.advance()) {
  }
  for (std::size_t i = 0; i < before.instructions.size(); ++i) {
    const auto* was = std::get_if<plan::Linear>(&before.instructions[i].op);
    if (was == nullptr) continue;
    const auto& is = std::get<plan::Linear>(program_.instructions[i].op);
    ASSERT_EQ(is.vectors.size(), was->vectors.size());
    EXPECT_EQ(is.masks.size(), was->masks.size());
    for (std::size_t v = 0; v < is.vectors.size(); ++v) EXPECT_EQ(is.vectors[v].values, was->vectors[v].values);
  }
}

// Every layer rounded at once, with what the exact one makes put in its place.
TEST_P(LayerRuns, RoundedWeightsDifferAsTheyDoInTheProgram) {
  const auto p = math::ntt_primes(30, 1, 2 * kSlots);
  const auto parameters = ckks::Parameters::create({2 * kSlots, math::ntt_primes(28, 1, 2 * kSlots, p), p, 1});
  ASSERT_TRUE(parameters.ok());
  const ckks::Encoder encoder(*parameters);
  const auto rounding = WeightRounding::create(2 * kSlots);
  ASSERT_TRUE(rounding.ok());
  for (const Rounded what : {Rounded::kWeights, Rounded::kMasks, Rounded::kBoth}) {
    plan::Program off = program_;
    for (plan::Instruction& instruction : off.instructions) {
      auto* linear = std::get_if<plan::Linear>(&instruction.op);
      if (linear == nullptr) continue;
      const auto round = [&](std::vector<plan::SlotVector>& vectors, double by) {
        for (plan::SlotVector& vector : vectors) {
          const auto scale = ckks::Scale::from_value(by);
          const auto slots = encoder.to_slots(*encoder.to_coefficients(vector.expanded(), scale), scale);
          vector.slots.clear();
          vector.values.assign(slots.begin(), slots.end());
        }
      };
      if (what != Rounded::kMasks) round(linear->vectors, linear->weight_scale);
      if (what != Rounded::kWeights) round(linear->masks, linear->mask_scale);
    }
    RoundingDifferences expected;
    for (const auto& sample : samples_) {
      const auto exact = made(program_, sample);
      for (const auto& [r, slots] : made(off, sample, &exact)) {
        std::vector<Complex>& sum = expected[r];
        sum.resize(slots.size());
        for (std::size_t t = 0; t < slots.size(); ++t) sum[t] += slots[t] - exact.at(r)[t];
      }
    }
    for (const unsigned threads : {1U, 2U, 7U}) {
      RoundingDifferences got;
      compiler::LayerRuns runs(program_, samples_, threads);
      while (runs.advance()) {
        const auto differences = rounding->differences(program_, runs, what, threads);
        ASSERT_TRUE(differences.ok()) << differences.error().to_string();
        got.insert(differences->begin(), differences->end());
      }
      ASSERT_EQ(got.size(), expected.size());
      for (const auto& [r, slots] : expected)
        for (std::size_t t = 0; t < slots.size(); ++t)
          ASSERT_EQ(got.at(r)[t], slots[t]) << "register " << r << " slot " << t;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Borders, LayerRuns, ::testing::Bool(), [](const auto& each) {
  return each.param ? std::string("Masks") : std::string("ZerosAmongWeights");
});

}  // namespace
}  // namespace brainlock::compiler
