// The largest rings that the compiler makes, N = 2^16 with digits of twelve limbs, at their full size on a device that
// only counts: launches within the limits of every GPU, and memory within what is forecast. Words of such rings:
// backend_test.cpp.
#include "cuda_backend.hpp"
#include "rig.hpp"

namespace brainlock::device_cuda {
namespace {

using device::Buffer;
using device::Word;

class DeepRing : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kQ = 38, kP = 13, kDigitLimbs = 12, kDegree = 1u << 16;
  static const test::TestRing& ring() {
    static const test::TestRing kRing(kDegree, kQ, kP, kDigitLimbs);  // takes a moment
    return kRing;
  }
  void SetUp() override {
    driver_ = make_emulated_driver({.clusters = true, .counts_only = true});
    TrialOptions trials;
    trials.transform = kPlainTransform;
    backend_ = CudaBackend::make(ring().ring(), driver_, trials).value();
  }
  std::uint64_t used() const { return driver_->memory()->total_bytes - driver_->memory()->free_bytes; }
  /// Polynomials that are not part of what operations take.
  Word* poly(std::uint32_t limbs, bool lifted) { return words(backend_->poly_words(limbs, lifted)); }
  Word* words(std::size_t count) {
    held_.push_back(backend_->allocate(count).value());
    return held_.back().data();
  }
  /// Does the operation, and says how much memory it took for itself.
  template <typename Operation>
  void expect_within_scratch(const char* what, const Operation& operation) {
    SCOPED_TRACE(what);
    const std::uint64_t before = used();
    operation();
    const Status status = backend_->finish({});
    EXPECT_TRUE(status.ok()) << status.error().to_string();
    EXPECT_LE(used() - before, backend_->memory_budget()->scratch_bytes);
    backend_->trim();
  }

  std::shared_ptr<Driver> driver_;
  std::shared_ptr<device::Backend> backend_;
  std::vector<Buffer> held_;
};

TEST_F(DeepRing, OperationsOnManyCiphertextsKeepToTheLimits) {
  constexpr std::size_t kJobs = gpu::kMaxJobs + 1;
  backend_->count(true);
  for (const std::uint32_t limbs : {kQ, 36U, 13U, 2U}) {
    SCOPED_TRACE(std::to_string(limbs) + " limbs");
    device::SwitchingKey key;
    key.limbs = kQ;
    key.digits = backend_->ring().digits(kQ);
    key.galois_element = 5;
    key.words = backend_->allocate(backend_->key_words(kQ)).value();
    for (const bool lifted : {false, true}) {
      Word* const in = poly(limbs, true);
      std::vector<device::Decompose> decompositions;
      std::vector<device::SwitchOnce> once;
      std::vector<device::SwitchKey> switches;
      for (std::size_t j = 0; j < kJobs; ++j) {
        Word* const out = poly(limbs, true);
        decompositions.push_back({in, in, lifted, words(backend_->digit_words(limbs))});
        once.push_back({.c0 = in,
                        .c1 = in,
                        .lifted = lifted,
                        .key = &key,
                        .base0 = out,
                        .base1 = out,
                        .base_limbs = limbs,
                        .out0 = out,
                        .out1 = out});
        switches.push_back({decompositions[j].digits, &key, true, out, out, limbs, out, out});
      }
      expect_within_scratch("decompose", [&] { EXPECT_TRUE(backend_->decompose({}, limbs, decompositions).ok()); });
      expect_within_scratch("switch_once", [&] { EXPECT_TRUE(backend_->switch_once({}, limbs, once).ok()); });
      expect_within_scratch("switch_keys", [&] { backend_->switch_keys({}, limbs, switches); });
      held_.clear();
    }
    Word *const a = poly(limbs, true), *const b = poly(limbs, true), *const c = poly(limbs, true);
    for (std::uint32_t drop = 0; drop < limbs && drop + kP <= 15; ++drop) {
      const std::vector<device::ModDown> jobs(kJobs, {a, b, nullptr});
      expect_within_scratch("mod_down", [&] { EXPECT_TRUE(backend_->mod_down({}, limbs, drop, jobs).ok()); });
    }
    expect_within_scratch("raise", [&] {
      EXPECT_TRUE(backend_->raise({}, limbs, std::vector<device::Raise>(kJobs, {a, b})).ok());
    });
    expect_within_scratch("word by word", [&] {
      backend_->lift({}, limbs, std::vector<device::Lift>(kJobs, {a, b}));
      backend_->add({}, limbs, true, std::vector<device::Add>(kJobs, {a, a, b}));
      backend_->multiply({}, limbs, true, std::vector<device::Multiply>(kJobs, {a, a, b}));
      backend_->split_parts({}, limbs, std::vector<device::SplitParts>(kJobs, {a, b, b, c}));
      backend_->tensor_square({}, limbs, std::vector<device::TensorSquare>(kJobs, {a, b, a, b, true, a, b, c}));
    });
    held_.clear();
  }
  EXPECT_GT(backend_->counters()->launches, 100U);
  EXPECT_GT(backend_->counters()->memory_bytes, 0U);
}

TEST_F(DeepRing, LinearLayersKeepToTheLimits) {
  constexpr std::uint32_t kInputs = 3, kRotations = 46, kGiants = 20, kRun = 512;
  for (const std::uint32_t limbs : {kQ, 12U}) {
    for (const bool full : {false, true}) {
      SCOPED_TRACE(std::to_string(limbs) + (full ? " limbs, full weights" : " limbs"));
      device::SwitchingKey key;
      key.limbs = kQ;
      key.digits = backend_->ring().digits(kQ);
      key.galois_element = 5;
      key.words = backend_->allocate(backend_->key_words(kQ)).value();
      std::vector<device::LinearCore::Input> inputs(
          kInputs, {poly(limbs, true), poly(limbs, true), words(backend_->digit_words(limbs))});
      std::vector<std::vector<device::LinearCore::Use>> uses(kRotations);
      std::vector<device::LinearCore::Rotation> rotations;
      std::vector<std::uint32_t> columns;
      for (std::uint32_t r = 0; r < kRotations; ++r) {
        for (std::uint32_t i = 0; i < kInputs; ++i) {
          uses[r].push_back({i, static_cast<std::uint32_t>(columns.size())});
          columns.push_back(static_cast<std::uint32_t>(columns.size()));
        }
        rotations.push_back({r == 0 ? nullptr : &key, uses[r]});
      }
      std::vector<Word*> acc;
      for (std::uint32_t g = 0; g < 2 * kGiants; ++g) acc.push_back(poly(limbs, true));
      device::FullWeights vectors{.words = backend_->allocate(backend_->full_weight_words(limbs, full ? 2 : 0, 1)).value(),
                                  .limbs = limbs,
                                  .vectors = 2};
      const std::vector<std::vector<device::LinearCore::FullTerm>> terms(kGiants, {{0, 0}, {columns.back(), 1}});
      device::LinearCore::Output output{
          .columns = columns, .giants = kGiants, .weights = nullptr, .full = {}, .acc = acc};
      if (full) output.full = terms;
      if (!full) output.weights = words(std::size_t{limbs + kP} * (kDegree / kRun) * columns.size() * kGiants);
      const std::vector<device::LinearCore::Output> outputs(2, output);
      expect_within_scratch("linear_core", [&] {
        EXPECT_TRUE(backend_
                        ->linear_core({}, {.limbs = limbs,
                                           .column_count = static_cast<std::uint32_t>(columns.size()),
                                           .run_length = full ? 1 : kRun,
                                           .full_weights = full ? &vectors : nullptr,
                                           .inputs = inputs,
                                           .rotations = rotations,
                                           .outputs = outputs})
                        .ok());
      });
      held_.clear();
    }
  }
}

TEST_F(DeepRing, KeysTakeTheMemoryThatIsForecast) {
  // A package's forecast adds up key_words(): what the pool asks of the device may be little more, at any limb count.
  for (std::uint32_t limbs = 1; limbs <= kQ; ++limbs) {
    const std::uint64_t before = used(), bytes = backend_->key_words(limbs) * sizeof(Word);
    std::vector<Buffer> keys;
    for (int i = 0; i < 30; ++i) keys.push_back(backend_->allocate(backend_->key_words(limbs)).value());
    EXPECT_LE(used() - before, 30 * bytes * 5 / 4 + (std::uint64_t{64} << 20)) << limbs << " limbs";
    keys.clear();
    backend_->trim();
  }
}

TEST_F(DeepRing, NothingIsDoneWhereOnlyCountingIsAsked) {
  const Word in[] = {1, 2, 3};
  Word* const device = words(3);
  backend_->upload_words({}, device, in);
  Word out[] = {7, 7, 7};
  driver_->copy_out(out, device, sizeof(out));
  EXPECT_EQ(out[0] | out[1] | out[2], 0U);
  const auto lane = backend_->make_recorder().value();
  const device::Lift lift{poly(2, false), poly(2, true)};
  lane->noting().lift({}, 2, {&lift, 1});
  const auto recording = lane->take().value();
  backend_->count(true);
  recording->replay();
  EXPECT_EQ(backend_->counters()->kernels, 1U);
  EXPECT_EQ(backend_->counters()->memory_bytes, std::uint64_t{4} * kDegree * (2 + 2 + kP));
  // Limits hold all the same.
  gpu::Launch launch{.kernel = gpu::Kernel::kLift,
                     .variant = 0,
                     .grid = {1, 65536, 1},
                     .threads = 256,
                     .shared_bytes = 0,
                     .arguments = in,
                     .argument_bytes = sizeof(in),
                     .linear = {}};
  driver_->launch(launch);
  EXPECT_FALSE(driver_->status().ok());
}

}  // namespace
}  // namespace brainlock::device_cuda
