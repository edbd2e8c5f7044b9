// Small objects, and the rewriting of them that the negative tests need.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "brainlock/ckks/uniform.hpp"
#include "brainlock/crypto/blake2b.hpp"
#include "codec.hpp"

namespace brainlock::wire::testing {

inline std::shared_ptr<const ckks::Parameters> make_toy(std::uint32_t ring_degree = 16, int q_count = 3,
                                                        std::uint32_t digit_limbs = 2, int p_count = 2) {
  ckks::ParameterSpec spec;
  spec.ring_degree = ring_degree;
  spec.digit_limbs = digit_limbs;
  spec.p = math::ntt_primes(30, p_count, ring_degree);
  // Primes of different bit lengths, so that limbs have different sizes.
  for (int i = 0; i < q_count; ++i) spec.q.push_back(math::ntt_primes(28 + i % 3, 1, ring_degree, [&] {
    auto taken = spec.q;
    taken.insert(taken.end(), spec.p.begin(), spec.p.end());
    return taken;
  }()).at(0));
  auto made = ckks::Parameters::create_insecure_for_tests(spec);
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return std::move(made).value();
}

/// Words uniform below the modulus of each limb; `modulus_index` maps limbs to moduli.
template <typename Map>
ckks::Words random_words(const ckks::Parameters& parameters, std::uint32_t limbs, std::mt19937& engine, Map modulus_index) {
  const std::size_t n = parameters.ring_degree();
  ckks::Words words(limbs * n);
  for (std::uint32_t l = 0; l < limbs; ++l) {
    std::uniform_int_distribution<std::uint32_t> uniform(0, parameters.modulus(modulus_index(l)).q - 1);
    for (std::size_t t = 0; t < n; ++t) words[l * n + t] = uniform(engine);
  }
  return words;
}

inline ckks::Seed random_seed(std::mt19937& engine) {
  ckks::Seed seed;
  for (auto& byte : seed) byte = static_cast<std::uint8_t>(engine());
  return seed;
}

inline ckks::Ciphertext random_ciphertext(const ckks::Parameters& parameters, std::uint32_t limbs, bool seeded, std::uint32_t salt = 1) {
  std::mt19937 engine(salt);
  const auto own = [](std::uint32_t l) { return l; };
  ckks::Ciphertext out;
  out.limbs = limbs;
  out.scale = ckks::Scale::from_value(0x1p20 * 1.0625);
  out.c0 = random_words(parameters, limbs, engine, own);
  if (seeded) {
    out.seed = random_seed(engine);
    ckks::expand(out, parameters);
  } else {
    out.c1 = random_words(parameters, limbs, engine, own);
  }
  return out;
}

inline ckks::PublicKey random_public_key(const ckks::Parameters& parameters) {
  std::mt19937 engine(2);
  ckks::PublicKey key;
  key.seed = random_seed(engine);
  key.b = random_words(parameters, parameters.q_count(), engine, [](std::uint32_t l) { return l; });
  ckks::expand(key, parameters);
  return key;
}

inline ckks::EvaluationKey random_key(const ckks::Parameters& parameters, std::uint32_t element, std::uint32_t limbs) {
  std::mt19937 engine(element + 1000 * limbs);
  ckks::EvaluationKey key;
  key.galois_element = element;
  key.limbs = limbs;
  key.seed = random_seed(engine);
  const std::uint32_t row = limbs + parameters.p_count();
  key.b = random_words(parameters, parameters.digits(limbs) * row, engine, [&](std::uint32_t i) {
    const std::uint32_t l = i % row;
    return l < limbs ? l : parameters.q_count() + l - limbs;
  });
  return key;
}

/// Puts right the length and checksum of an object whose body was changed on purpose.
inline void reseal(Bytes& bytes) {
  const std::uint64_t body = bytes.size() - kHeaderBytes;
  for (int i = 0; i < 8; ++i) bytes[static_cast<std::size_t>(40 + i)] = static_cast<std::uint8_t>(body >> (8 * i));
  const auto digest = header_checksum(bytes, ByteView(bytes).subspan(kHeaderBytes));
  std::copy(digest.begin(), digest.end(), bytes.begin() + 48);
}

inline void put_u32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}
inline void put_f64(Bytes& bytes, std::size_t at, double value) { std::memcpy(bytes.data() + at, &value, 8); }

/// Expects `parse(bytes)` to refuse with this code and these words.
template <typename Parse>
void expect_refused(const Parse& parse, const Bytes& bytes, ErrorCode code, const std::string& text) {
  const auto result = parse(bytes);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, code) << result.error().to_string();
  EXPECT_THAT(result.error().message, ::testing::HasSubstr(text));
}

/// Every proper prefix, every flipped bit, and an added byte must be refused; prefixes as truncated.
template <typename Parse>
void expect_every_damage_refused(const Parse& parse, const Bytes& good) {
  ASSERT_TRUE(parse(good).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto result = parse(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_FALSE(result.ok()) << "prefix of " << size;
    ASSERT_EQ(result.error().code, ErrorCode::kTruncated) << "prefix of " << size << ": " << result.error().to_string();
  }
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    Bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1u << (bit % 8)));
    ASSERT_FALSE(parse(bad).ok()) << "bit " << bit;
  }
  Bytes longer = good;
  longer.push_back(0);
  ASSERT_FALSE(parse(longer).ok());
}

}  // namespace brainlock::wire::testing
