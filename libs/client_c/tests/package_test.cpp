// What a package says of itself, where the models of the other tests say nothing of interest.
#include "brainlock/package/package.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "brainlock/brainlock_client.h"
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

}  // namespace
}  // namespace brainlock::client_c
