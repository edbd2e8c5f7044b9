// Every operation of the backend against the CPU's, word by word: random levels, batches longer than a launch, rings of real size.
#include <cstdlib>

#include "brainlock/device/cpu_backend.hpp"
#include "cuda_backend.hpp"
#include "rig.hpp"

namespace brainlock::device_cuda {
namespace {

using device::Buffer;
using test::Machine;
using test::Words;

/// One backend with what it needs to take and give polynomials.
class Side {
 public:
  explicit Side(std::shared_ptr<device::Backend> backend) : backend_(std::move(backend)), n_(backend_->ring().degree()) {}
  device::Backend& operator*() const { return *backend_; }
  device::Backend* operator->() const { return backend_.get(); }

  Buffer take(std::size_t words) const { return backend_->allocate(words).value(); }
  /// Rows N words apart into a polynomial of the backend.
  Buffer put(const Words& rows) const {
    const std::size_t count = rows.size() / n_;
    Buffer out = take(count * backend_->limb_stride());
    std::vector<device::LimbTransfer> transfers;
    for (std::size_t r = 0; r < count; ++r) transfers.push_back({out.data() + r * backend_->limb_stride(), rows.data() + r * n_});
    backend_->upload({}, transfers);
    return out;
  }
  Words get(const Buffer& polynomial, std::size_t rows) const {
    Words out(rows * n_);
    std::vector<device::LimbDownload> transfers;
    for (std::size_t r = 0; r < rows; ++r) transfers.push_back({out.data() + r * n_, polynomial.data() + r * backend_->limb_stride()});
    const Status status = backend_->download({}, transfers);
    if (!status) ADD_FAILURE() << status.error().to_string();
    return out;
  }
  /// `words`: [digit][b, a][limb][N], plain.
  device::SwitchingKey key(const Words& words, std::uint32_t limbs, std::uint32_t galois_element) const {
    device::SwitchingKey out;
    out.limbs = limbs;
    out.digits = backend_->ring().digits(limbs);
    out.galois_element = galois_element;
    if (galois_element != 0) out.automorphism = math::make_automorphism_table(static_cast<std::uint32_t>(n_), galois_element);
    out.words = take(backend_->key_words(limbs));
    const std::uint32_t rows = limbs + backend_->ring().p_count;
    std::vector<device::KeyTransfer> transfers;
    for (std::uint32_t d = 0; d < out.digits; ++d) {
      for (std::uint32_t poly = 0; poly < 2; ++poly) {
        for (std::uint32_t l = 0; l < rows; ++l) transfers.push_back({&out, words.data() + ((d * 2 + poly) * rows + l) * n_, l, d, poly});
      }
    }
    const Status status = backend_->upload_keys({}, transfers);
    if (!status) ADD_FAILURE() << status.error().to_string();
    return out;
  }
  device::FullWeights full_weights(std::uint32_t limbs, const std::vector<Words>& vectors, std::uint32_t run) const {
    device::FullWeights out{.words = {}, .limbs = limbs, .vectors = static_cast<std::uint32_t>(vectors.size()), .run = run};
    out.words = take(backend_->full_weight_words(limbs, out.vectors, run));
    std::vector<device::WeightTransfer> transfers;
    for (std::uint32_t v = 0; v < out.vectors; ++v) {
      for (std::uint32_t l = 0; l < limbs + backend_->ring().p_count; ++l) transfers.push_back({&out, vectors[v].data() + l * n_, l, v});
    }
    backend_->upload_full_weights({}, transfers);
    return out;
  }

 private:
  std::shared_ptr<device::Backend> backend_;
  std::size_t n_;
};

struct Shape {
  std::uint32_t log_degree, q_count, p_count, digit_limbs;
  std::vector<std::uint32_t> levels;   ///< the last one is the largest
  const char* way = "";    ///< to transform; "": the device's own choice
  const char* name = "";   ///< besides the degree
  bool slow = false;       ///< only with BRAINLOCK_SLOW_TESTS=1
};

/// Toy rings at every level; the real degrees at some; other ways to transform; the digits of networks of twenty layers, and the longest that there are.
const Shape kShapes[] = {
    {10, 6, 2, 2, {1, 2, 3, 4, 5, 6}},
    {11, 5, 5, 5, {1, 4, 5}},            // more than four sources
    {12, 12, 9, 1, {1, 11, 12}},         // twelve digits of one limb, eleven sources of a rescale
    {14, 5, 2, 2, {3, 5}},
    {15, 4, 2, 3, {4}},
    {13, 5, 2, 2, {2, 5}, "cluster", "Cluster"},
    {14, 5, 2, 2, {5}, "cluster-roomy", "ClusterRoomy"},
    {10, 37, 12, 12, {2, 13, 24, 36, 37}, "", "Digits12"},
    {10, 31, 15, 15, {15, 16, 31}, "", "Digits15"},
    {16, 2, 12, 12, {2}, "", "Digits12"},
    {16, 14, 13, 12, {14}, "", "Digits12Slow", true},   // two digits, fifteen sources of a rescale
    {16, 3, 12, 12, {3}, "cluster", "ClusterSlow", true},
};

class BackendOperations : public ::testing::TestWithParam<std::tuple<Machine, std::size_t>> {
 protected:
  void SetUp() override {
    shape_ = kShapes[std::get<1>(GetParam())];
    if (shape_.slow && std::getenv("BRAINLOCK_SLOW_TESTS") == nullptr) GTEST_SKIP() << "BRAINLOCK_SLOW_TESTS=1 runs it";
    const bool emulated = std::get<0>(GetParam()) == Machine::kEmulated;
    TrialOptions trials = trial_options_from_environment();
    trials.transform = shape_.way;
    const bool told = *shape_.way != 0;
    auto driver = emulated && told ? make_emulated_driver({.roomy = true, .clusters = true}) : test::make_driver(std::get<0>(GetParam()));
    if (driver == nullptr) GTEST_SKIP() << test::why_no_gpu();
    if (told && !driver->features().against_clusters.empty()) GTEST_SKIP() << driver->features().against_clusters;
    ring_ = std::make_unique<test::TestRing>(1u << shape_.log_degree, shape_.q_count, shape_.p_count, shape_.digit_limbs);
    n_ = std::size_t{1} << shape_.log_degree;
    sides_.emplace_back(device::make_cpu_backend(ring_->ring(), std::make_shared<device::ThreadPool>(2U)).value());
    sides_.emplace_back(CudaBackend::make(ring_->ring(), driver, told ? trials : trial_options_from_environment()).value());
    if (!told) return;
    EXPECT_EQ(Variants::name(variants_of(*sides_[1])->transform(true, 1)), trials.transform);
  }

  Words polynomial(std::uint32_t limbs, bool lifted) { return test::polynomial(ring_->ring(), limbs, lifted, random_); }
  std::uint32_t rows(std::uint32_t limbs) const { return limbs + shape_.p_count; }
  Words key_words(std::uint32_t limbs) {
    Words out;
    for (std::uint32_t d = 0; d < 2 * ring_->ring().digits(limbs); ++d) {
      const Words one = polynomial(limbs, true);
      out.insert(out.end(), one.begin(), one.end());
    }
    return out;
  }
  std::uint32_t some_element() { return 2 * std::uniform_int_distribution<std::uint32_t>(1, static_cast<std::uint32_t>(n_) - 1)(random_) + 1; }

  /// Calls work(side), which returns polynomials read back, on both sides, and compares.
  template <typename Work>
  void expect_equal(const Work& work) {
    const std::vector<Words> first = work(sides_[0]);
    expect_equal(first, work(sides_[1]));
  }
  void expect_equal(const std::vector<Words>& first, const std::vector<Words>& second) {
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto mismatch = std::mismatch(first[i].begin(), first[i].end(), second[i].begin(), second[i].end());
      EXPECT_TRUE(mismatch.first == first[i].end()) << "polynomial " << i << ", limb " << (mismatch.first - first[i].begin()) / static_cast<std::ptrdiff_t>(n_)
                                                    << ", word " << (mismatch.first - first[i].begin()) % static_cast<std::ptrdiff_t>(n_);
    }
  }
  static void expect_ok(const Status& status) { EXPECT_TRUE(status.ok()) << status.error().to_string(); }

  Shape shape_;
  std::unique_ptr<test::TestRing> ring_;
  std::vector<Side> sides_;
  std::size_t n_ = 0;
  std::mt19937 random_{11};
};

TEST_P(BackendOperations, LiftAddSplitSquare) {
  for (const std::uint32_t limbs : shape_.levels) {
    SCOPED_TRACE(std::to_string(limbs) + " limbs");
    std::vector<Words> packed, lifted;
    for (int i = 0; i < 4; ++i) packed.push_back(polynomial(limbs, false));
    for (int i = 0; i < 2; ++i) lifted.push_back(polynomial(limbs, true));
    expect_equal([&](const Side& side) {
      std::vector<Buffer> p, l;
      for (const Words& w : packed) p.push_back(side.put(w));
      for (const Words& w : lifted) l.push_back(side.put(w));
      const std::size_t words = side->poly_words(limbs, true);
      Buffer raised = side.take(words), sum = side.take(words), copy = side.take(words), real = side.take(words), imaginary = side.take(words);
      Buffer sum_packed = side.take(words), d0 = side.take(words), d1 = side.take(words), d2 = side.take(words), e0 = side.take(words),
             e1 = side.take(words), e2 = side.take(words), f0 = side.take(words), f1 = side.take(words), f2 = side.take(words);
      const device::Lift lifts[] = {{p[0].data(), raised.data()}};
      side->lift({}, limbs, lifts);
      const device::Add adds[] = {{sum.data(), l[0].data(), l[1].data()}, {copy.data(), l[1].data(), nullptr}};
      side->add({}, limbs, true, adds);
      const device::Add packed_adds[] = {{sum_packed.data(), p[0].data(), p[1].data()}};
      side->add({}, limbs, false, packed_adds);
      const device::SplitParts splits[] = {{p[0].data(), l[0].data(), real.data(), imaginary.data()}};
      side->split_parts({}, limbs, splits);
      const device::TensorSquare squares[] = {
          {p[0].data(), p[1].data(), p[2].data(), p[3].data(), false, d0.data(), d1.data(), d2.data()},
          {p[0].data(), p[1].data(), p[2].data(), p[3].data(), true, e0.data(), e1.data(), e2.data()},
          {p[0].data(), p[1].data(), nullptr, nullptr, false, f0.data(), f1.data(), f2.data()}};
      side->tensor_square({}, limbs, squares);
      std::vector<Words> out;
      for (const Buffer* b : {&raised, &sum, &copy, &real, &imaginary}) out.push_back(side.get(*b, rows(limbs)));
      for (const Buffer* b : {&sum_packed, &d0, &d1, &d2, &e0, &e1, &e2, &f0, &f1, &f2}) out.push_back(side.get(*b, limbs));
      return out;
    });
  }
}

TEST_P(BackendOperations, Multiply) {
  const std::uint32_t jobs = shape_.log_degree < 13 ? 19 : 3;   // more than a launch takes
  for (const std::uint32_t limbs : shape_.levels) {
    for (const bool lifted : {false, true}) {
      SCOPED_TRACE(std::to_string(limbs) + (lifted ? " limbs, lifted" : " limbs"));
      const std::uint32_t taken = lifted ? rows(limbs) : limbs;
      const auto modulus = [&](std::uint32_t l) -> const math::Modulus& { return ring_->modulus(ring_->ring().modulus_index(limbs, l)); };
      std::vector<Words> factors{polynomial(limbs, lifted), polynomial(limbs, lifted)}, in;
      for (std::uint32_t j = 0; j < jobs; ++j) {
        in.push_back(polynomial(limbs, lifted));
        for (std::uint32_t l = 0; l < taken; ++l) {   // each extreme word times each
          const Word extremes[] = {0, 1, modulus(l).q - 1};
          for (std::size_t i = 0; i < 9; ++i) {
            in[j][l * n_ + i] = extremes[i / 3];
            factors[j % 2][l * n_ + i] = extremes[i % 3];
          }
        }
      }
      std::vector<Words> expected;
      for (std::uint32_t j = 0; j < jobs; ++j) {
        expected.emplace_back(in[j].size());
        for (std::uint32_t l = 0; l < taken; ++l) {
          const std::size_t at = l * n_;
          math::available_kernels()[0]->mul(expected[j].data() + at, in[j].data() + at, factors[j % 2].data() + at, modulus(l), n_);
        }
      }
      const auto work = [&](const Side& side) {
        std::vector<Buffer> by, a, out;
        for (const Words& w : factors) by.push_back(side.put(w));
        std::vector<device::Multiply> batch;
        for (std::uint32_t j = 0; j < jobs; ++j) {
          a.push_back(side.put(in[j]));
          const bool in_place = j % 3 == 1;
          out.push_back(in_place ? Buffer() : side.take(side->poly_words(limbs, lifted)));
          batch.push_back({in_place ? a[j].data() : out[j].data(), a[j].data(), by[j % 2].data()});
        }
        side->multiply({}, limbs, lifted, batch);
        std::vector<Words> got;
        for (std::uint32_t j = 0; j < jobs; ++j) got.push_back(side.get(j % 3 == 1 ? a[j] : out[j], taken));
        return got;
      };
      for (const Side& side : sides_) expect_equal(expected, work(side));
    }
  }
}

TEST_P(BackendOperations, DecomposeAndSwitchKeys) {
  const std::uint32_t key_limbs = shape_.q_count;   // keys are for the largest level and used at all
  const Words galois = key_words(key_limbs), relinearisation = key_words(key_limbs);
  const std::uint32_t element = some_element();
  for (const std::uint32_t limbs : shape_.levels) {
    SCOPED_TRACE(std::to_string(limbs) + " limbs, element " + std::to_string(element));
    for (const bool lifted : {false, true}) {
      const Words c0 = polynomial(limbs, lifted), c1 = polynomial(limbs, lifted), base0 = polynomial(limbs, true), base1 = polynomial(limbs, true);
      expect_equal([&](const Side& side) {
        const device::SwitchingKey keys[] = {side.key(galois, key_limbs, element), side.key(relinearisation, key_limbs, 0)};
        const Buffer d0 = side.put(c0), d1 = side.put(c1), b0 = side.put(base0), b1 = side.put(base1);
        Buffer digits = side.take(side->digit_words(limbs)), bare = side.take(side->digit_words(limbs));
        const device::Decompose decompositions[] = {{d0.data(), d1.data(), lifted, digits.data()}, {nullptr, d1.data(), lifted, bare.data()}};
        expect_ok(side->decompose({}, limbs, decompositions));
        std::vector<Buffer> out;
        for (int i = 0; i < 6; ++i) out.push_back(side.take(side->poly_words(limbs, true)));
        const device::SwitchKey jobs[] = {
            {digits.data(), &keys[0], true, nullptr, nullptr, 0, out[0].data(), out[1].data()},
            {digits.data(), &keys[0], true, b0.data(), b1.data(), rows(limbs), out[2].data(), out[3].data()},
            {bare.data(), &keys[1], false, b0.data(), b1.data(), limbs, out[4].data(), out[5].data()}};
        side->switch_keys({}, limbs, jobs);
        std::vector<Words> got;
        for (const Buffer& b : out) got.push_back(side.get(b, rows(limbs)));
        return got;
      });
    }
  }
}

TEST_P(BackendOperations, SwitchOnceOfMoreJobsThanALaunchTakes) {
  const std::uint32_t limbs = shape_.levels.back(), jobs = shape_.log_degree < 13 ? 19 : 3;
  const Words galois = key_words(limbs), relinearisation = key_words(limbs);
  const std::uint32_t element = some_element();
  std::vector<Words> in;
  for (std::uint32_t j = 0; j < jobs; ++j) {
    const bool lifted = j % 3 == 2;   // packed and lifted ones in turn
    in.push_back(polynomial(limbs, lifted));
    in.push_back(polynomial(limbs, lifted));
  }
  const Words base0 = polynomial(limbs, true), base1 = polynomial(limbs, true);
  expect_equal([&](const Side& side) {
    const device::SwitchingKey keys[] = {side.key(galois, limbs, element), side.key(relinearisation, limbs, 0)};
    std::vector<Buffer> c, out;
    for (const Words& w : in) c.push_back(side.put(w));
    std::vector<device::SwitchOnce> batch;
    for (std::uint32_t j = 0; j < jobs; ++j) {
      out.push_back(side.put(base0));   // the base of the odd ones, in place
      out.push_back(side.put(base1));
      device::SwitchOnce job{.c0 = j % 4 == 1 ? nullptr : c[2 * j].data(), .c1 = c[2 * j + 1].data(), .lifted = j % 3 == 2,
                             .key = &keys[j % 4 == 1 ? 1 : 0]};
      job.out0 = out[2 * j].data();
      job.out1 = out[2 * j + 1].data();
      if (j % 2 == 1) {
        job.base0 = job.out0;
        job.base1 = job.out1;
        job.base_limbs = j % 4 == 1 ? limbs : rows(limbs);
      }
      batch.push_back(job);
    }
    expect_ok(side->switch_once({}, limbs, batch));
    std::vector<Words> got;
    for (const Buffer& b : out) got.push_back(side.get(b, rows(limbs)));
    return got;
  });
}

TEST_P(BackendOperations, ModDownWithEveryDrop) {
  for (const std::uint32_t limbs : shape_.levels) {
    const Words a = polynomial(limbs, true), b = polynomial(limbs, true);
    for (std::uint32_t drop = 0; drop < limbs && drop + shape_.p_count <= 15; drop += shape_.log_degree < 13 ? 1 : 2) {
      SCOPED_TRACE(std::to_string(limbs) + " limbs, " + std::to_string(drop) + " dropped");
      const Words addend = polynomial(limbs - drop, false);
      expect_equal([&](const Side& side) {
        const Buffer da = side.put(a), db = side.put(b), added = side.put(addend);
        Buffer out0 = side.take(side->poly_words(limbs - drop, false)), out1 = side.take(side->poly_words(limbs - drop, false));
        const device::ModDown jobs[] = {{da.data(), out0.data(), added.data()}, {db.data(), out1.data(), nullptr}};
        expect_ok(side->mod_down({}, limbs, drop, jobs));
        return std::vector<Words>{side.get(out0, limbs - drop), side.get(out1, limbs - drop)};
      });
    }
  }
}

TEST_P(BackendOperations, RaiseOfMoreJobsThanALaunchTakes) {
  const std::uint32_t jobs = shape_.log_degree < 13 ? 19 : 3;
  std::vector<std::uint32_t> counts = shape_.levels;
  if (counts[0] != 1) counts.insert(counts.begin(), 1);
  const Word q = ring_->modulus(0).q;
  std::vector<Words> in;
  for (std::uint32_t j = 0; j < jobs; ++j) {
    in.push_back(polynomial(1, false));
    if (j % 3 != 0) continue;
    // Coefficients where integers around zero are the largest, and small ones of both signs.
    const Word extremes[] = {0, 1, q - 1, q / 2 - 1, q / 2, q / 2 + 1, q / 2 + 2, q / 2 - q / 1024, q / 2 + q / 1024};
    for (std::size_t i = 0; i < n_ / 2; ++i) in[j][i] = extremes[i % std::size(extremes)];
    math::available_kernels()[0]->ntt_forward(ring_->table(0), in[j].data());
  }
  const Words before = polynomial(shape_.q_count, false);
  for (const std::uint32_t limbs : counts) {
    SCOPED_TRACE(std::to_string(limbs) + " limbs");
    expect_equal([&](const Side& side) {
      std::vector<Buffer> words, raised;
      std::vector<device::Raise> batch;
      for (const Words& w : in) {
        words.push_back(side.put(w));
        raised.push_back(side.put(before));
        batch.push_back({words.back().data(), raised.back().data()});
      }
      expect_ok(side->raise({}, limbs, batch));
      std::vector<Words> got;
      for (std::uint32_t j = 0; j < jobs; ++j) {
        got.push_back(side.get(raised[j], shape_.q_count));  // limbs beyond stay as they were
        EXPECT_TRUE(std::equal(in[j].begin(), in[j].end(), got.back().begin()));
        EXPECT_TRUE(std::equal(before.begin() + static_cast<std::ptrdiff_t>(limbs * n_), before.end(),
                               got.back().begin() + static_cast<std::ptrdiff_t>(limbs * n_)));
        EXPECT_EQ(side.get(words[j], 1), in[j]);
      }
      return got;
    });
  }
}

TEST_P(BackendOperations, LinearCore) {
  // Runs shorter than, as long as and longer than a tile of the weight kernel; below 8: full weights. One output with few giant steps, and two,
  // of which one has few and the other one many.
  for (const std::uint32_t run_length : {1U, 2U, 4U, 8U, 64U, 512U}) {
    if (shape_.log_degree >= 13 && run_length != 64 && run_length != 1) continue;
    const bool is_full = run_length < 8;
    const std::uint32_t limbs = shape_.levels.back();
    SCOPED_TRACE("runs of " + std::to_string(run_length));
    const bool large = shape_.log_degree >= 16, many_digits = shape_.digit_limbs >= 12 && !large;
    const std::size_t output_count = run_length == 512 || large ? 1 : 2;
    const std::uint32_t input_count = large ? 2 : 6, giants = shape_.log_degree >= 13 ? 3 : output_count == 1 ? 8 : many_digits && run_length == 8 ? 34 : 11;
    const std::size_t runs = n_ / run_length;
    std::vector<std::uint32_t> elements{1, some_element(), some_element()};
    std::vector<Words> galois;
    for (std::size_t i = 1; i < elements.size(); ++i) galois.push_back(key_words(limbs));
    std::vector<Words> in;
    for (std::uint32_t i = 0; i < 2 * input_count; ++i) in.push_back(polynomial(limbs, true));
    // Every input under every rotation, and some columns twice, so that sums are long.
    std::vector<std::vector<device::LinearCore::Use>> uses(elements.size());
    std::uint32_t columns = 0;
    for (std::size_t r = 0; r < elements.size(); ++r) {
      for (std::uint32_t i = 0; i < input_count; ++i) uses[r].push_back({i, columns++});
    }
    std::vector<std::vector<std::uint32_t>> used(2);
    for (std::uint32_t c = 0; c < columns; ++c) used[0].push_back(c);
    for (std::uint32_t c = 0; c < 40; ++c) used[1].push_back(c * 7 % columns);
    const std::uint32_t giants_of[] = {giants, 1};

    std::vector<Words> weights(2);        // periodic: [limb][run][column][giant]
    std::vector<Words> full_vectors;      // full: polynomials
    for (std::size_t o = 0; o < output_count && !is_full; ++o) {
      for (std::uint32_t l = 0; l < rows(limbs); ++l) {
        Words one(runs * used[o].size() * giants_of[o]);
        test::fill(one, ring_->modulus(ring_->ring().modulus_index(limbs, l)).q, random_);
        weights[o].insert(weights[o].end(), one.begin(), one.end());
      }
    }
    for (int i = 0; i < 5 && is_full; ++i) full_vectors.push_back(polynomial(limbs, true));

    expect_equal([&](const Side& side) {
      std::vector<device::SwitchingKey> keys;
      for (std::size_t i = 0; i < galois.size(); ++i) keys.push_back(side.key(galois[i], limbs, elements[i + 1]));
      std::vector<Buffer> polys, digits, accumulators, periodic;
      for (const Words& w : in) polys.push_back(side.put(w));
      std::vector<device::Decompose> jobs;
      std::vector<device::LinearCore::Input> inputs;
      for (std::uint32_t i = 0; i < input_count; ++i) {
        digits.push_back(side.take(side->digit_words(limbs)));
        jobs.push_back({polys[2 * i].data(), polys[2 * i + 1].data(), true, digits[i].data()});
        inputs.push_back({polys[2 * i].data(), polys[2 * i + 1].data(), digits[i].data()});
      }
      expect_ok(side->decompose({}, limbs, jobs));
      std::vector<device::LinearCore::Rotation> rotations;
      for (std::size_t r = 0; r < elements.size(); ++r) rotations.push_back({r == 0 ? nullptr : &keys[r - 1], uses[r]});
      const device::FullWeights full = side.full_weights(limbs, full_vectors, is_full ? run_length : 1);
      std::vector<std::vector<Word*>> acc(2);
      std::vector<std::vector<std::vector<device::LinearCore::FullTerm>>> terms(2);
      std::vector<device::LinearCore::Output> outputs;
      for (std::size_t o = 0; o < output_count; ++o) {
        for (std::uint32_t g = 0; g < 2 * giants_of[o]; ++g) {
          accumulators.push_back(side.take(side->poly_words(limbs, true)));
          acc[o].push_back(accumulators.back().data());
        }
        device::LinearCore::Output output{.columns = used[o], .giants = giants_of[o], .weights = nullptr, .full = {}, .acc = acc[o]};
        if (is_full) {
          terms[o].resize(giants_of[o]);   // giant 1 has no terms at all
          for (std::size_t k = 0; k < used[o].size(); ++k) {
            for (std::uint32_t g = 0; g < giants_of[o]; ++g) {
              if (g != 1) terms[o][g].push_back({used[o][k], static_cast<std::uint32_t>((k + g) % full_vectors.size())});
            }
          }
          output.full = terms[o];
        } else {
          periodic.push_back(side.take(weights[o].size()));
          side->upload_words({}, periodic.back().data(), weights[o]);
          output.weights = periodic.back().data();
        }
        outputs.push_back(output);
      }
      expect_ok(side->linear_core({}, {.limbs = limbs, .column_count = columns, .run_length = run_length,
                                       .full_weights = is_full ? &full : nullptr, .inputs = inputs,
                                       .rotations = rotations, .outputs = outputs}));
      std::vector<Words> got;
      for (const Buffer& b : accumulators) got.push_back(side.get(b, rows(limbs)));
      return got;
    });
  }
}

std::string shape_name(const ::testing::TestParamInfo<std::tuple<Machine, std::size_t>>& info) {
  const Shape& shape = kShapes[std::get<1>(info.param)];
  return (std::get<0>(info.param) == Machine::kGpu ? "GpuDegree2To" : "EmulatedDegree2To") + std::to_string(shape.log_degree) + shape.name;
}
INSTANTIATE_TEST_SUITE_P(Rings, BackendOperations,
                         ::testing::Combine(::testing::Values(Machine::kEmulated, Machine::kGpu), ::testing::Range(std::size_t{0}, std::size(kShapes))), shape_name);

}  // namespace
}  // namespace brainlock::device_cuda
