// The frozen files of vectors/wire, written by an independent program.
#include <filesystem>

#include "brainlock/base/file.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "brainlock/wire/evaluation_keys.hpp"
#include "brainlock/wire/parameters.hpp"
#include "brainlock/wire/public_key.hpp"
#include "wire_fixture.hpp"

namespace brainlock::wire {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(BRAINLOCK_SOURCE_DIR) / "vectors" / "wire";

Bytes load(const char* name) {
  auto bytes = read_file(kFolder / name, 1u << 20);
  EXPECT_TRUE(bytes.ok()) << bytes.error().to_string();
  return bytes.ok() ? std::move(bytes).value() : Bytes{};
}

std::shared_ptr<const ckks::Parameters> parameters() {
  const auto spec = parse_parameter_spec(load("parameters-v1.bin"));
  EXPECT_TRUE(spec.ok());
  return *ckks::Parameters::create_insecure_for_tests(*spec);
}

/// The rule of the generator: word i of the polynomial numbered `salt`.
void expect_words(std::span<const std::uint32_t> words, std::uint64_t salt, std::uint32_t q) {
  for (std::uint64_t i = 0; i < words.size(); ++i) EXPECT_EQ(words[i], (salt + 1) * 123456789 * (i + 1) % q);
}
ckks::Seed seed_of(int salt) {
  ckks::Seed seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(static_cast<std::size_t>(salt) + i);
  return seed;
}

TEST(WireVectors, Parameters) {
  const auto made = parameters();
  EXPECT_EQ(made->spec(), (ckks::ParameterSpec{8, {268435361, 536870849}, {1073741441}, 1}));
  EXPECT_EQ(serialize_parameters(*made), load("parameters-v1.bin"));
  const auto header = parse_header(load("parameters-v1.bin"));
  EXPECT_TRUE(std::equal(made->id().begin(), made->id().end(), header->parameters_id.begin()));
}

TEST(WireVectors, Ciphertexts) {
  const auto p = parameters();
  const Bytes one = load("ciphertext-seeded-v1.bin"), two = load("ciphertexts-v1.bin");
  const auto single = parse_ciphertext(one, *p);
  ASSERT_TRUE(single.ok()) << single.error().to_string();
  EXPECT_EQ(single->limbs, 1u);
  EXPECT_EQ(single->scale.value(), 0x1p20);
  EXPECT_EQ(single->seed, seed_of(0));
  expect_words(single->c0, 0, 268435361);
  EXPECT_EQ(*serialize_ciphertext(*single, *p), one);

  const auto list = parse_ciphertexts(two, *p);
  ASSERT_TRUE(list.ok()) << list.error().to_string();
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].scale.value(), 0x1p40);
  EXPECT_FALSE((*list)[0].seed.has_value());
  expect_words({(*list)[0].c0.data(), 8}, 1, 268435361);
  expect_words({(*list)[0].c0.data() + 8, 8}, 2, 536870849);
  expect_words({(*list)[0].c1.data(), 8}, 101, 268435361);
  expect_words({(*list)[0].c1.data() + 8, 8}, 102, 536870849);
  EXPECT_EQ((*list)[1].scale.value(), 3.5);
  EXPECT_EQ(*serialize_ciphertexts(*list, *p), two);
}

TEST(WireVectors, PublicKey) {
  const auto p = parameters();
  const Bytes bytes = load("public-key-v1.bin");
  const auto key = parse_public_key(bytes, *p);
  ASSERT_TRUE(key.ok()) << key.error().to_string();
  EXPECT_EQ(key->seed, seed_of(7));
  expect_words({key->b.data(), 8}, 0, 268435361);
  expect_words({key->b.data() + 8, 8}, 1, 536870849);
  EXPECT_EQ(*serialize_public_key(*key, *p), bytes);
}

TEST(WireVectors, EvaluationKeys) {
  const auto p = parameters();
  const Bytes bytes = load("evaluation-keys-v1.bin");
  const auto set = parse_evaluation_keys(bytes, p);
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  ASSERT_EQ(set->keys.size(), 2u);
  EXPECT_EQ(set->keys[0].galois_element, 0u);
  EXPECT_EQ(set->keys[0].limbs, 2u);
  EXPECT_EQ(set->keys[1].galois_element, 5u);
  EXPECT_EQ(set->keys[1].seed, seed_of(41));
  const std::uint32_t moduli[] = {268435361, 536870849, 1073741441};
  for (std::uint64_t i = 0; i < 6; ++i) expect_words({set->keys[0].b.data() + 8 * i, 8}, i, moduli[i % 3]);
  expect_words({set->keys[1].b.data(), 8}, 10, moduli[0]);
  expect_words({set->keys[1].b.data() + 8, 8}, 11, moduli[2]);
  EXPECT_EQ(*serialize_evaluation_keys(*set, p), bytes);
}

TEST(WireVectors, CorruptedFilesAreRefusedWithTheirCode) {
  const auto p = parameters();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder / "corrupted")) {
    const std::string stem = entry.path().stem().string();  // NAME.CODE
    const auto result = parse_ciphertexts(*read_file(entry.path(), 1u << 20), *p);
    ASSERT_FALSE(result.ok()) << stem;
    EXPECT_EQ(error_code_name(result.error().code), stem.substr(stem.rfind('.') + 1)) << stem << ": " << result.error().to_string();
    ++files;
  }
  EXPECT_GE(files, 17u);
}

}  // namespace
}  // namespace brainlock::wire
