// Keys from outside: whatever is wrong with one is named, and nothing of it is kept.
#include "brainlock/ckks/loaded_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "brainlock/ckks/uniform.hpp"
#include "brainlock/device/cpu_backend.hpp"
#include "test_parameters.hpp"

namespace brainlock::ckks {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kDegree = 64;

class KeyLoading : public ::testing::Test {
 protected:
  KeyLoader loader(std::vector<KeyRequest> requests) { return KeyLoader(backend_, pool_, parameters_, requests); }

  std::size_t words(std::uint32_t limbs) const { return std::size_t{parameters_->digits(limbs)} * (limbs + parameters_->p_count()) * kDegree; }

  /// A key of random reduced words.
  EvaluationKey key(std::uint32_t element, std::uint32_t limbs, bool seeded) {
    EvaluationKey out;
    out.galois_element = element;
    out.limbs = limbs;
    const auto fill = [&](Words& target) {
      target.resize(words(limbs));
      const std::size_t rows = limbs + parameters_->p_count();
      for (std::size_t i = 0; i < target.size(); ++i) {
        const auto l = static_cast<std::uint32_t>(i / kDegree % rows);
        target[i] = static_cast<std::uint32_t>(random_() % modulus(l, limbs));
      }
    };
    fill(out.b);
    if (seeded) {
      out.seed = Seed{};
      for (auto& byte : *out.seed) byte = static_cast<std::uint8_t>(random_());
    } else {
      fill(out.a);
    }
    return out;
  }
  std::uint32_t modulus(std::uint32_t row, std::uint32_t limbs) const {
    return parameters_->modulus(row < limbs ? row : parameters_->q_count() + (row - limbs)).q;
  }

  void expect_refused(KeyLoader& loader, const EvaluationKey& key, ErrorCode code, const char* text) {
    const Status status = loader.add(key);
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_EQ(status.error().code, code) << status.error().to_string();
    EXPECT_THAT(status.error().message, HasSubstr(text));
    EXPECT_THAT(status.error().message, HasSubstr("Galois element " + std::to_string(key.galois_element)));
  }

  std::shared_ptr<const Parameters> parameters_ = testing::make_toy(kDegree, 4, 2, 2);
  std::shared_ptr<device::ThreadPool> pool_ = std::make_shared<device::ThreadPool>(2U);
  std::shared_ptr<device::Backend> backend_ = *device::make_cpu_backend(make_ring(*parameters_), pool_);
  std::mt19937_64 random_{5};
};

TEST_F(KeyLoading, GoodKeysOfBothForms) {
  auto load = loader({{0, 4}, {5, 3}, {25, 1}});
  ASSERT_TRUE(load.add(key(0, 4, true)).ok());
  ASSERT_TRUE(load.add(key(5, 4, false)).ok()) << "more limbs than are needed";
  ASSERT_TRUE(load.add(key(125, 4, true)).ok()) << "not asked for: ignored";
  ASSERT_TRUE(load.add(key(25, 1, true)).ok());
  const auto loaded = load.finish();
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_EQ((*loaded)->size(), 3U);
  ASSERT_NE((*loaded)->find(5), nullptr);
  EXPECT_EQ((*loaded)->find(5)->limbs, 3U);
  EXPECT_EQ((*loaded)->find(5)->digits, 2U);
  EXPECT_EQ((*loaded)->find(125), nullptr);
  EXPECT_GT((*loaded)->bytes(), 0U);
}

TEST_F(KeyLoading, LimbCounts) {
  auto load = loader({{5, 3}});
  expect_refused(load, key(5, 2, true), ErrorCode::kMismatch, "2 limbs, expected 3 to 4");
  EvaluationKey none = key(5, 3, true);
  none.limbs = 0;
  expect_refused(load, none, ErrorCode::kMismatch, "0 limbs");
  for (const std::uint32_t limbs : {5U, 64U, 0x10000000U, 0xFFFFFFFFU}) {
    EvaluationKey many = key(5, 3, true);
    many.limbs = limbs;
    expect_refused(load, many, ErrorCode::kMismatch, (std::to_string(limbs) + " limbs, expected 3 to 4").c_str());
  }
}

TEST_F(KeyLoading, SizesThatDoNotFit) {
  auto load = loader({{5, 3}});
  const auto damaged = [&](bool seeded, auto damage) {
    EvaluationKey bad = key(5, 3, seeded);
    damage(bad);
    expect_refused(load, bad, ErrorCode::kMalformed, ("expected " + std::to_string(words(bad.limbs))).c_str());
  };
  damaged(true, [](EvaluationKey& k) { k.b.pop_back(); });
  damaged(true, [](EvaluationKey& k) { k.b.push_back(0); });
  damaged(true, [](EvaluationKey& k) { k.b.clear(); });
  damaged(true, [](EvaluationKey& k) { k.seed.reset(); });           // neither a seed nor the words
  damaged(true, [](EvaluationKey& k) { k.a.assign(1, 0); });         // a seed and one word
  damaged(false, [](EvaluationKey& k) { k.a.pop_back(); });
  damaged(false, [](EvaluationKey& k) { k.a.clear(); });
  damaged(false, [](EvaluationKey& k) { k.limbs = 4; });             // the words of three limbs
  damaged(false, [this](EvaluationKey& k) { k.b.resize(words(2)), k.a.resize(words(2)); });
}

TEST_F(KeyLoading, AWordThatIsNotReducedInAnyRow) {
  const std::uint32_t rows = 3 + parameters_->p_count(), digits = parameters_->digits(3);
  for (std::uint32_t d = 0; d < digits; ++d)
    for (std::uint32_t l = 0; l < rows; ++l)
      for (const bool in_b : {true, false})
        for (const std::uint32_t word : {modulus(l, 3), 0xFFFFFFFFU}) {
          auto load = loader({{5, 3}});
          EvaluationKey bad = key(5, 3, false);
          (in_b ? bad.b : bad.a)[(d * rows + l) * kDegree + random_() % kDegree] = word;
          expect_refused(load, bad, ErrorCode::kMalformed, "a word is not below its modulus");
          const auto loaded = load.finish();
          ASSERT_FALSE(loaded.ok()) << "nothing of a refused key is kept";
          EXPECT_EQ(loaded.error().code, ErrorCode::kNotFound);
        }
}

TEST_F(KeyLoading, ARefusedKeyMayComeAgainWhole) {
  auto load = loader({{5, 3}});
  EvaluationKey good = key(5, 3, true), bad = key(5, 3, true);
  bad.b[0] = 0xFFFFFFFF;
  expect_refused(load, bad, ErrorCode::kMalformed, "modulus");
  EXPECT_TRUE(load.add(good).ok());
  expect_refused(load, good, ErrorCode::kInvalidArgument, "came twice");
  EXPECT_TRUE(load.finish().ok());
}

TEST_F(KeyLoading, TheFirstMissingKeyIsNamed) {
  auto load = loader({{0, 4}, {5, 3}});
  EXPECT_THAT(load.finish().error().message, HasSubstr("none for Galois element 0"));
  ASSERT_TRUE(load.add(key(0, 4, true)).ok());
  const auto loaded = load.finish();
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(loaded.error().message, HasSubstr("none for Galois element 5"));
}

TEST_F(KeyLoading, AWholeSet) {
  const std::vector<KeyRequest> requests{{0, 2}, {5, 4}};
  EvaluationKeySet set;
  set.keys.push_back(key(5, 4, true));
  set.keys.push_back(key(0, 2, true));
  ASSERT_TRUE(load_keys(backend_, pool_, parameters_, requests, std::move(set)).ok());
  EvaluationKeySet twice;
  twice.keys.push_back(key(5, 4, true));
  twice.keys.push_back(key(5, 4, true));
  EXPECT_EQ(load_keys(backend_, pool_, parameters_, requests, std::move(twice)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(load_keys(backend_, pool_, parameters_, requests, {}).error().code, ErrorCode::kNotFound);
}

// A seeded key is the key whose second half is written out.
TEST_F(KeyLoading, SeedAndWordsAreOneKey) {
  EvaluationKey seeded = key(5, 3, true), full;
  full.galois_element = 5;
  full.limbs = 3;
  full.b = seeded.b;
  full.a.resize(full.b.size());
  const std::uint32_t rows = 3 + parameters_->p_count();
  for (std::uint32_t row = 0; row < parameters_->digits(3) * rows; ++row)
    uniform_limb(*seeded.seed, row, modulus(row % rows, 3), full.a.data() + std::size_t{row} * kDegree, kDegree);
  const auto loaded = [&](const EvaluationKey& k) {
    auto load = loader({{5, 2}});   // fewer limbs than the key has: rows are picked
    EXPECT_TRUE(load.add(k).ok());
    return *load.finish();
  };
  const auto a = loaded(seeded), b = loaded(full);
  const auto &x = a->find(5)->words, &y = b->find(5)->words;
  ASSERT_EQ(x.words(), y.words());
  EXPECT_TRUE(std::equal(x.data(), x.data() + x.words(), y.data()));
}

}  // namespace
}  // namespace brainlock::ckks
