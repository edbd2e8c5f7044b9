#include "brainlock/package/package.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "brainlock/base/file.hpp"
#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"

namespace brainlock::package {
namespace {

namespace fs = std::filesystem;
using test::sample_program;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

const Bytes kModel{'a', ' ', 'm', 'o', 'd', 'e', 'l'};

class PackageFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("brainlock-package-test-" + std::to_string(::getpid()) + "-" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void create(std::uint64_t seed = 1) {
    const auto made = Package::create(folder_, sample_program(seed), kModel, /*overwrite=*/true);
    ASSERT_TRUE(made.ok()) << made.error().to_string();
  }
  /// Without the flush to disk of write_file(), which a thousand variants cannot afford.
  void put(const char* file, const Bytes& bytes) {
    std::ofstream(folder_ / file, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Bytes get(const char* file) { return *read_file(folder_ / file, 1U << 24); }
  void expect_refused(ErrorCode code, const char* text) {
    const auto loaded = Package::load(folder_);
    ASSERT_FALSE(loaded.ok()) << text;
    EXPECT_EQ(loaded.error().code, code) << loaded.error().to_string();
    EXPECT_THAT(loaded.error().message, HasSubstr(text));
  }

  fs::path folder_;
};

TEST_F(PackageFolder, CreatedIsWhatIsLoaded) {
  const auto made = Package::create(folder_, sample_program(), kModel, false);
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  const auto loaded = Package::load(folder_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_EQ((*loaded)->hash(), (*made)->hash());
  EXPECT_EQ((*loaded)->model(), kModel);
  EXPECT_EQ((*loaded)->parameters()->security_bits(), 128);
  EXPECT_EQ((*loaded)->manifest(), (*made)->manifest());
  EXPECT_EQ(encode_program((*loaded)->program()), get("plan.bin"));
  // relinearisation, conjugation, rotations 1, -2, 4 (giant), 5, 16, 8
  EXPECT_EQ((*loaded)->key_requests().size(), 8U);
}

TEST_F(PackageFolder, ASecondOneIsNotWrittenOverTheFirst) {
  create(1);
  const auto again = Package::create(folder_, sample_program(2), kModel, false);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kDenied);
  const auto replaced = Package::create(folder_, sample_program(2), kModel, true);
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ((*Package::load(folder_))->hash(), (*replaced)->hash());
}

TEST_F(PackageFolder, AnAbsentFileIsNamed) {
  EXPECT_EQ(Package::load(folder_).error().code, ErrorCode::kNotFound);
  for (const char* file : {"plan.bin", "model.onnx", "manifest.json"}) {
    create();
    fs::remove(folder_ / file);
    expect_refused(ErrorCode::kNotFound, file);
    fs::create_directory(folder_ / file);
    expect_refused(ErrorCode::kInvalidArgument, file);
    fs::remove(folder_ / file);
  }
}

TEST_F(PackageFolder, FilesOfTwoPackagesDoNotMix) {
  create(2);
  const Bytes other = get("plan.bin");
  create(1);
  put("plan.bin", other);
  expect_refused(ErrorCode::kCorrupted, "manifest.json names");
  create(1);
  put("model.onnx", {'a', 'n', 'o', 't', 'h', 'e', 'r'});
  expect_refused(ErrorCode::kCorrupted, "but the files hash to");
}

TEST_F(PackageFolder, EveryBitOfEveryFileCounts) {
  create();
  const Bytes model = get("model.onnx");
  for (std::size_t bit = 0; bit < 8 * model.size(); ++bit) {
    Bytes bad = model;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    put("model.onnx", bad);
    ASSERT_FALSE(Package::load(folder_).ok()) << bit;
  }
  put("model.onnx", model);
  const Bytes plan = get("plan.bin");
  for (std::size_t bit = 0; bit < 8 * plan.size(); bit += 509) {
    Bytes bad = plan;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    put("plan.bin", bad);
    ASSERT_FALSE(Package::load(folder_).ok()) << bit;
  }
}

TEST_F(PackageFolder, ManifestsThatAreNone) {
  create();
  const Bytes manifest = get("manifest.json");
  for (std::size_t size = 0; size + 2 < manifest.size(); size += 13) {
    put("manifest.json", {manifest.begin(), manifest.begin() + static_cast<std::ptrdiff_t>(size)});
    expect_refused(ErrorCode::kMalformed, "not a package manifest");
  }
  for (const std::string_view text : {"[]", "{}", "{\"hash\": 7}", "\"hash\"", "null", "{\"hash\": null}"}) {
    put("manifest.json", {text.begin(), text.end()});
    expect_refused(ErrorCode::kMalformed, "not a package manifest");
  }
  // Deep nesting must not exhaust the stack.
  const std::string deep(900'000, '[');
  put("manifest.json", {deep.begin(), deep.end()});
  expect_refused(ErrorCode::kMalformed, "not a package manifest");
  put("manifest.json", Bytes((1U << 20) + 1, ' '));
  expect_refused(ErrorCode::kTooLarge, "manifest.json");
  const std::string wrong = "{\"hash\": \"" + std::string(64, '0') + "\"}";
  put("manifest.json", {wrong.begin(), wrong.end()});
  expect_refused(ErrorCode::kCorrupted, "manifest.json names 0000");
}

TEST_F(PackageFolder, OversizedFilesAreRefusedUnread) {
  create();
  fs::resize_file(folder_ / "plan.bin", kMaxProgramBytes + 1);   // sparse: takes no room on the disk
  expect_refused(ErrorCode::kTooLarge, "plan.bin");
  create();
  fs::resize_file(folder_ / "model.onnx", kMaxModelBytes + 1);
  expect_refused(ErrorCode::kTooLarge, "model.onnx");
}

TEST(Package, WeakParametersAreRefused) {
  plan::Program p = sample_program();
  p.parameters.q = math::ntt_primes(28, 8, test::kDegree, p.parameters.p);   // 284 bits, the table allows 214
  ASSERT_TRUE(plan::validate(p).ok());
  const auto package = Package::from_bytes(encode_program(p), kModel);
  ASSERT_FALSE(package.ok());
  EXPECT_EQ(package.error().code, ErrorCode::kInsecure);
}

TEST(Package, PrimesThatAreNoneAreRefused) {
  for (const std::uint32_t q : {0U, 1U, 2U, 268435456U, 4294967295U}) {
    plan::Program p = sample_program();
    p.parameters.q[1] = q;
    const auto package = Package::from_bytes(encode_program(p), kModel);
    ASSERT_FALSE(package.ok()) << q;
    EXPECT_EQ(package.error().code, ErrorCode::kInvalidArgument) << package.error().to_string();
  }
  plan::Program p = sample_program();
  p.parameters.q[1] = p.parameters.q[0];
  EXPECT_FALSE(Package::from_bytes(encode_program(p), kModel).ok());
}

TEST(Package, HashIsThatOfTheDocument) {
  const Bytes plan = encode_program(sample_program());
  const auto a = Package::from_bytes(plan, kModel), b = Package::from_bytes(plan, {}), c = Package::from_bytes(encode_program(sample_program(2)), kModel);
  EXPECT_NE((*a)->hash(), (*b)->hash());
  EXPECT_NE((*a)->hash(), (*c)->hash());
  EXPECT_EQ((*a)->hash_hex().size(), 64U);
}

}  // namespace
}  // namespace brainlock::package
