// What a package says of itself, where the models of the other tests say nothing of interest.
#include "brainlock/package/package.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "brainlock/base/file.hpp"
#include "brainlock/brainlock_client.h"
#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"

namespace brainlock::client_c {
namespace {

plan::TensorMap map_of(plan::TensorMap like, std::uint32_t channels, std::uint32_t side, std::uint32_t parts) {
  like.channels = channels;
  like.height = like.width = side;
  like.parts = parts;
  like.places.clear();
  for (std::uint32_t i = 0; i < channels * side * side; ++i) like.places.push_back({i, 0, i / parts, i % parts});
  return like;
}

/// The sample program with other inputs and outputs, opened from a folder.
struct Opened {
  Opened(const std::string& model, std::uint32_t channels, std::uint32_t side, std::uint32_t outputs) {
    plan::Program program = package::test::sample_program();
    program.model_name = model;
    program.input = map_of(program.input, channels, side, 2);
    program.output = map_of(program.output, outputs, 1, 1);
    std::string name = (std::filesystem::temp_directory_path() / "package-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    const auto made = package::Package::create(name, program, {}, false);
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    EXPECT_EQ(brainlock_package_open(name.c_str(), &package), BRAINLOCK_OK) << brainlock_last_error();
    std::filesystem::remove_all(name);
    EXPECT_EQ(brainlock_package_get_info(package, &info), BRAINLOCK_OK) << brainlock_last_error();
  }
  ~Opened() { brainlock_package_close(package); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  std::string name(std::uint32_t output) {
    char text[64] = "";
    EXPECT_EQ(brainlock_package_output_name(package, output, text, sizeof text, nullptr), BRAINLOCK_OK);
    return text;
  }
  brainlock_package* package = nullptr;
  brainlock_package_info info{sizeof info};
};

TEST(ClientPackage, OutputsHaveNamesWhereTheyAreKnown) {
  EXPECT_EQ(Opened("vgg9", 3, 32, 10).name(3), "cat");
  EXPECT_EQ(Opened("digits", 1, 28, 10).name(3), "3");
  EXPECT_EQ(Opened("pictures", 3, 32, 11).name(3), "3");
}

TEST(ClientPackage, SaysItsShapeAndBounds) {
  const Opened opened("sample", 2, 5, 4);
  EXPECT_EQ(opened.info.input_channels, 2U);
  EXPECT_EQ(opened.info.input_height, 5U);
  EXPECT_EQ(opened.info.input_width, 5U);
  EXPECT_EQ(opened.info.input_count, 50U);
  EXPECT_EQ(opened.info.output_count, 4U);
  EXPECT_EQ(opened.info.ring_degree, package::test::kDegree);
  EXPECT_EQ(opened.info.error_bound, 0.25);
  EXPECT_EQ(opened.info.error_estimate, 0.01);
  EXPECT_EQ(opened.info.input_bound, 1);
}

TEST(ClientPackage, NamesThatAreTooLongAreCutBetweenCharacters) {
  std::string name;
  for (int i = 0; i < 50; ++i) name += "\xE2\x82\xAC";  // three bytes each
  EXPECT_EQ(Opened(name, 2, 5, 4).info.model, name.substr(0, 126));
}

TEST(ClientPackage, OfTheClientsHalfAloneSaysTheSame) {
  const auto package =
      package::Package::from_bytes(package::encode_program(package::test::sample_program()), {}).value();
  std::string folder = (std::filesystem::temp_directory_path() / "half-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/client.bin";
  ASSERT_TRUE(write_file(file, package->client_bytes().value()).ok());
  brainlock_package* half = nullptr;
  ASSERT_EQ(brainlock_client_half_open(file.c_str(), &half), BRAINLOCK_OK) << brainlock_last_error();
  std::filesystem::remove_all(folder);
  brainlock_package_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(brainlock_package_get_info(half, &info), BRAINLOCK_OK);
  EXPECT_EQ(info.hash, package->hash_hex());
  EXPECT_EQ(info.is_client_half, 1U);
  EXPECT_EQ(info.evaluation_key_count, package->key_requests().size());
  EXPECT_EQ(info.input_count, 8U);
  EXPECT_EQ(info.error_bound, 0.25);
  const std::vector<float> values(info.input_count, 0.5F);
  std::vector<double> outputs(info.output_count);
  EXPECT_EQ(brainlock_run_clear(half, values.data(), values.size(), outputs.data(), outputs.size()),
            BRAINLOCK_UNSUPPORTED);
  brainlock_range range{};
  range.struct_size = sizeof range;
  EXPECT_EQ(brainlock_check_input(half, values.data(), values.size(), &range), BRAINLOCK_UNSUPPORTED);
  EXPECT_EQ(brainlock_package_close(half), BRAINLOCK_OK);
  EXPECT_EQ(Opened("whole", 2, 5, 4).info.is_client_half, 0U);
}

}  // namespace
}  // namespace brainlock::client_c
