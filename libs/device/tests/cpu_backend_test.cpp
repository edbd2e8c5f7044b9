// Products of polynomials, and polynomials over a larger modulus, on the CPU's backend against math's scalar kernels,
// word by word. (Other operations: the tests of device_cuda and ckks.)
#include "brainlock/device/cpu_backend.hpp"

#include <gtest/gtest.h>

#include <random>

#include "brainlock/math/kernels.hpp"

namespace brainlock::device {
namespace {

using Words = math::AlignedVector<Word>;

constexpr std::size_t kDegree = 1024;
constexpr std::uint32_t kQ = 4, kP = 2;

/// A ring with primes of 27 to 30 bits, and polynomials in and out of a backend of so many threads.
class OnCpu : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override { begin({27, 28, 29, 30, 30, 29}); }
  /// Anew, with primes of so many bits.
  void begin(const std::vector<int>& sizes) {
    Ring ring{.tables = {}, .q_count = kQ, .p_count = kP, .digit_limbs = 2};
    std::vector<std::uint32_t> taken;
    backend_.reset();
    tables_.clear();
    for (const int bits : sizes) {
      taken.push_back(math::ntt_primes(bits, 1, kDegree, taken).at(0));
      tables_.push_back(math::make_ntt_tables(kDegree, taken.back()));
      ring.tables.push_back(tables_.back().get());
    }
    backend_ = make_cpu_backend(std::move(ring), std::make_shared<ThreadPool>(GetParam())).value();
  }

  static std::uint32_t rows(std::uint32_t limbs, bool lifted) { return limbs + (lifted ? kP : 0); }
  const math::Modulus& modulus(std::uint32_t limbs, std::uint32_t l) const {
    return backend_->ring().modulus(backend_->ring().modulus_index(limbs, l));
  }
  /// Random words but for the first nine of a limb: 0, 1 and q - 1, which change every `each` words.
  Words polynomial(std::uint32_t limbs, bool lifted, std::size_t each) {
    Words out(rows(limbs, lifted) * kDegree);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const Word q = modulus(limbs, static_cast<std::uint32_t>(i / kDegree)).q;
      const Word extremes[] = {0, 1, q - 1};
      out[i] = i % kDegree < 9 ? extremes[i % kDegree / each % 3] : std::uniform_int_distribution<Word>(0, q - 1)(random_);
    }
    return out;
  }
  Words product(const Words& a, const Words& b, std::uint32_t limbs, bool lifted) const {
    Words out(a.size());
    for (std::uint32_t l = 0; l < rows(limbs, lifted); ++l) {
      const std::size_t at = l * kDegree;
      math::available_kernels()[0]->mul(out.data() + at, a.data() + at, b.data() + at, modulus(limbs, l), kDegree);
    }
    return out;
  }
  Buffer put(const Words& words) const {
    Buffer out = backend_->allocate(words.size() / kDegree * backend_->limb_stride()).value();
    std::vector<LimbTransfer> limbs;
    for (std::size_t l = 0; l < words.size() / kDegree; ++l) limbs.push_back({out.data() + l * backend_->limb_stride(), words.data() + l * kDegree});
    backend_->upload({}, limbs);
    return out;
  }
  Words get(const Buffer& polynomial, std::size_t count) const {
    Words out(count * kDegree);
    std::vector<LimbDownload> limbs;
    for (std::size_t l = 0; l < count; ++l) limbs.push_back({out.data() + l * kDegree, polynomial.data() + l * backend_->limb_stride()});
    EXPECT_TRUE(backend_->download({}, limbs).ok());
    return out;
  }

  std::vector<std::shared_ptr<const math::NttTables>> tables_;
  std::shared_ptr<Backend> backend_;
  std::mt19937 random_{5};
};
class CpuProducts : public OnCpu {};

TEST_P(CpuProducts, AreThoseOfTheScalarKernelsAtEveryLimbCount) {
  for (std::uint32_t limbs = 1; limbs <= kQ; ++limbs) {
    for (const bool lifted : {false, true}) {
      SCOPED_TRACE(std::to_string(limbs) + (lifted ? " limbs, lifted" : " limbs"));
      const Words x = polynomial(limbs, lifted, 1), y = polynomial(limbs, lifted, 1), factor = polynomial(limbs, lifted, 3);
      const std::uint32_t count = rows(limbs, lifted);
      const Buffer a = put(x), by = put(factor);
      Buffer in_place = put(y), out = backend_->allocate(backend_->poly_words(limbs, lifted)).value();
      const Multiply jobs[] = {{out.data(), a.data(), by.data()}, {in_place.data(), in_place.data(), by.data()}};
      backend_->multiply({}, limbs, lifted, jobs);
      EXPECT_EQ(get(out, count), product(x, factor, limbs, lifted));
      EXPECT_EQ(get(in_place, count), product(y, factor, limbs, lifted));
      EXPECT_EQ(get(a, count), x);
      EXPECT_EQ(get(by, count), factor);
    }
  }
}

TEST_P(CpuProducts, LeaveTheLimbsBeyondAlone) {
  const Words x = polynomial(kQ, true, 1), factor = polynomial(kQ, true, 3);
  const Buffer by = put(factor);
  Buffer a = put(x);
  const Multiply job{a.data(), a.data(), by.data()};
  backend_->multiply({}, 2, false, {&job, 1});
  const Words got = get(a, kQ + kP), whole = product(x, factor, kQ, true);
  EXPECT_TRUE(std::equal(got.begin(), got.begin() + 2 * kDegree, whole.begin()));
  EXPECT_TRUE(std::equal(got.begin() + 2 * kDegree, got.end(), x.begin() + 2 * kDegree));
  backend_->multiply({}, 2, false, {});
  EXPECT_EQ(get(a, kQ + kP), got);
}

class CpuRaise : public OnCpu {
 protected:
  static const math::Kernels& scalar() { return *math::available_kernels()[0]; }
  static Words evaluated(Words coefficients, const math::NttTables& table) {
    scalar().ntt_forward(table, coefficients.data());
    return coefficients;
  }
  static Words limb(const Words& polynomial, std::uint32_t l) {
    return {polynomial.begin() + static_cast<std::ptrdiff_t>(l * kDegree),
            polynomial.begin() + static_cast<std::ptrdiff_t>((l + 1) * kDegree)};
  }
  static Word residue(std::int64_t x, Word q) {
    const auto r = static_cast<std::int64_t>(x % q);
    return static_cast<Word>(r < 0 ? r + q : r);
  }
  /// Words modulo q[0], half of them the largest, the smallest and those about the middle.
  Words some_words() {
    const Word q = backend_->ring().modulus(0).q, near = q >> 21;  // see around_zero()
    const Word extremes[] = {0, q - 1, (q - 1) / 2, (q + 1) / 2, 1, (q - 1) / 2 - near, (q + 1) / 2 + near};
    Words out(kDegree);
    for (Word& word : out) word = std::uniform_int_distribution<Word>(0, q - 1)(random_);
    for (std::size_t i = 0; i < kDegree / 2; ++i) out[i] = extremes[i % std::size(extremes)];
    return out;
  }
  /// The integers around zero that `coefficients` stand for. Which of x and x - q[0] it is has been decided by 24 bits
  /// of x / q[0] (math's convert_basis: three roundings of 2^-24 each); so close to one half either is right, and limb
  /// 1 of the answer tells which.
  std::vector<std::int64_t> around_zero(const Words& coefficients, const Words& raised) const {
    const auto q = static_cast<std::int64_t>(backend_->ring().modulus(0).q);
    const Word next = backend_->ring().modulus(1).q;
    Words second = limb(raised, 1);
    scalar().ntt_inverse(*tables_[1], second.data());
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i < kDegree; ++i) {
      const std::int64_t x = coefficients[i];
      const bool is_close = std::abs(2 * x - q) <= q >> 22;
      const bool is_negative = is_close ? second[i] == residue(x - q, next) : 2 * x > q;
      out.push_back(is_negative ? x - q : x);
    }
    return out;
  }
};

TEST_P(CpuRaise, HasTheResiduesOfIntegersAroundZeroAtEveryLimbCount) {
  for (const std::vector<int>& sizes : {std::vector{27, 28, 29, 30, 30, 29}, std::vector{30, 27, 29, 28, 30, 29}}) {
    begin(sizes);
    constexpr std::size_t kJobs = 5;
    std::vector<Words> in, coefficients;
    for (std::size_t j = 0; j < kJobs; ++j) {  // as coefficients, and as words of the evaluation domain
      Words words = some_words();
      if (j % 2 == 0) coefficients.push_back(words);
      in.push_back(j % 2 == 0 ? evaluated(std::move(words), *tables_[0]) : std::move(words));
      if (j % 2 == 0) continue;
      coefficients.push_back(in[j]);
      scalar().ntt_inverse(*tables_[0], coefficients[j].data());
    }
    const Words before = polynomial(kQ, true, 1);
    for (std::uint32_t limbs = 1; limbs <= kQ; ++limbs) {
      SCOPED_TRACE(std::to_string(sizes[0]) + " bits, " + std::to_string(limbs) + " limbs");
      std::vector<Buffer> words, raised;
      std::vector<Raise> jobs;
      for (const Words& w : in) {
        words.push_back(put(w));
        raised.push_back(put(before));
        jobs.push_back({words.back().data(), raised.back().data()});
      }
      ASSERT_TRUE(backend_->raise({}, limbs, jobs).ok());
      for (std::size_t j = 0; j < kJobs; ++j) {
        const Words got = get(raised[j], kQ + kP);
        Words expected = before;
        std::copy(in[j].begin(), in[j].end(), expected.begin());
        for (std::uint32_t l = 1; l < limbs; ++l) {
          const std::vector<std::int64_t> integers = around_zero(coefficients[j], got);
          Words residues(kDegree);
          for (std::size_t i = 0; i < kDegree; ++i) residues[i] = residue(integers[i], backend_->ring().modulus(l).q);
          const Words one = evaluated(std::move(residues), *tables_[l]);
          std::copy(one.begin(), one.end(), expected.begin() + static_cast<std::ptrdiff_t>(l * kDegree));
        }
        EXPECT_EQ(got, expected) << "job " << j;
        EXPECT_EQ(get(words[j], 1), in[j]);
      }
    }
  }
}

TEST_P(CpuRaise, OfNothingDoesNothing) { EXPECT_TRUE(backend_->raise({}, kQ, {}).ok()); }

INSTANTIATE_TEST_SUITE_P(Threads, CpuProducts, ::testing::Values(1U, 3U));
INSTANTIATE_TEST_SUITE_P(Threads, CpuRaise, ::testing::Values(1U, 3U));

}  // namespace
}  // namespace brainlock::device
