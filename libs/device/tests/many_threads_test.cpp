// Every operation has the same words however many threads share it: with many, work is cut up in other ways.
#include <gtest/gtest.h>

#include <random>

#include "brainlock/device/cpu_backend.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::device {
namespace {

using Words = std::vector<Word>;

constexpr std::uint32_t kDegree = 1U << 13, kQ = 7, kP = 3, kDigitLimbs = 3;
constexpr std::size_t kMostJobs = 9;

/// A backend with random words in it: the same for any number of threads.
class Machine {
 public:
  explicit Machine(unsigned threads) {
    Ring ring{.tables = {}, .q_count = kQ, .p_count = kP, .digit_limbs = kDigitLimbs};
    for (const std::uint32_t prime : math::ntt_primes(28, kQ + kP, kDegree)) {
      tables_.push_back(math::make_ntt_tables(kDegree, prime));
      ring.tables.push_back(tables_.back().get());
    }
    backend_ = make_cpu_backend(std::move(ring), std::make_shared<ThreadPool>(threads)).value();
    for (SwitchingKey* key : {&relinearisation_, &rotation_}) {
      key->words = random(backend_->key_words(kQ));
      key->limbs = kQ;
      key->digits = backend_->ring().digits(kQ);
    }
    rotation_.galois_element = 25;
    rotation_.automorphism = math::make_automorphism_table(kDegree, rotation_.galois_element);
    for (std::size_t j = 0; j < kMostJobs; ++j) {
      in_.push_back(random(2 * backend_->poly_words(kQ, true)));
      out_.push_back(random(2 * backend_->poly_words(kQ, true)));
      digits_.push_back(random(backend_->digit_words(kQ)));
    }
  }

  /// What is left of everything after all operations, on so many jobs at so many limbs.
  Words run(std::size_t jobs, std::uint32_t limbs, bool lifted) {
    Words all;
    const std::size_t poly = backend_->poly_words(kQ, true);
    const auto c0 = [&](Buffer& b) { return b.data(); };
    const auto c1 = [&](Buffer& b) { return b.data() + poly; };
    std::vector<Decompose> decompositions;
    std::vector<SwitchOnce> relinearise, rotate;
    std::vector<SwitchKey> hoisted;
    std::vector<ModDown> down;
    std::vector<TensorSquare> squares;
    for (std::size_t j = 0; j < jobs; ++j) {
      decompositions.push_back({c0(in_[j]), c1(in_[j]), lifted, digits_[j].data()});
      hoisted.push_back({digits_[j].data(), &rotation_, true, nullptr, nullptr, 0, c0(out_[j]), c1(out_[j])});
      relinearise.push_back({.c1 = c1(in_[j]), .lifted = lifted, .key = &relinearisation_, .base0 = c0(out_[j]), .base1 = c1(out_[j]),
                             .base_limbs = limbs, .out0 = c0(out_[j]), .out1 = c1(out_[j])});
      rotate.push_back({.c0 = c0(in_[j]), .c1 = c1(in_[j]), .lifted = lifted, .key = &rotation_, .base0 = c0(out_[j]), .base1 = c1(out_[j]),
                        .base_limbs = limbs + kP, .out0 = c0(out_[j]), .out1 = c1(out_[j])});
      down.push_back({c0(out_[j]), c0(in_[j]), nullptr});
      squares.push_back({c0(out_[j]), c1(out_[j]), nullptr, nullptr, false, c0(in_[j]), c1(in_[j]), digits_[j].data()});
    }
    const auto keep = [&](std::vector<Buffer>& buffers, std::size_t words) {
      for (std::size_t j = 0; j < jobs; ++j) all.insert(all.end(), buffers[j].data(), buffers[j].data() + words);
    };
    EXPECT_TRUE(backend_->decompose({}, limbs, decompositions).ok());
    keep(digits_, backend_->digit_words(limbs));
    backend_->switch_keys({}, limbs, hoisted);
    keep(out_, 2 * poly);
    EXPECT_TRUE(backend_->switch_once({}, limbs, relinearise).ok());
    keep(out_, 2 * poly);
    EXPECT_TRUE(backend_->switch_once({}, limbs, rotate).ok());
    keep(out_, 2 * poly);
    EXPECT_TRUE(backend_->mod_down({}, limbs, 1, down).ok());
    keep(in_, 2 * poly);
    backend_->tensor_square({}, limbs, squares);
    keep(in_, 2 * poly);
    return all;
  }

 private:
  Buffer random(std::size_t words) {
    Buffer buffer = backend_->allocate(words).value();
    std::uniform_int_distribution<Word> word(0, (1U << 27) - 1);   // below every prime
    for (std::size_t i = 0; i < words; ++i) buffer.data()[i] = word(generator_);
    return buffer;
  }

  std::mt19937 generator_{11};
  std::vector<std::shared_ptr<const math::NttTables>> tables_;
  std::shared_ptr<Backend> backend_;
  SwitchingKey relinearisation_, rotation_;
  std::vector<Buffer> in_, out_, digits_;
};

class ManyThreads : public ::testing::TestWithParam<unsigned> {};

TEST_P(ManyThreads, GiveTheWordsOfOne) {
  for (const std::uint32_t limbs : {7U, 4U, 2U})
    for (const std::size_t jobs : {std::size_t{1}, std::size_t{2}, kMostJobs})
      for (const bool lifted : {false, true}) {
        SCOPED_TRACE(std::to_string(jobs) + " jobs at " + std::to_string(limbs) + (lifted ? " limbs, lifted" : " limbs"));
        EXPECT_TRUE(Machine(GetParam()).run(jobs, limbs, lifted) == Machine(1).run(jobs, limbs, lifted));
      }
}

INSTANTIATE_TEST_SUITE_P(Threads, ManyThreads, ::testing::Values(2U, 3U, 7U, 16U, 64U, 100U));

}  // namespace
}  // namespace brainlock::device
