// The models of the repository against the logits that were computed for them elsewhere (in double precision).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"

namespace brainlock::compiler {
namespace {

namespace fs = std::filesystem;

struct Expectation {
  TensorShape shape;
  std::vector<std::vector<float>> images;  // byte / 255
  std::vector<std::vector<double>> logits;
};

// A line "count C H W", a line of bytes per image, a line of logits per image.
Expectation read_expectation(const fs::path& path) {
  std::ifstream file(path);
  Expectation out;
  int count = 0;
  file >> count >> out.shape.channels >> out.shape.height >> out.shape.width;
  for (int n = 0; n < count; ++n) {
    std::vector<float> image(out.shape.size());
    for (float& v : image) {
      int byte = 0;
      file >> byte;
      v = static_cast<float>(byte) / 255.0f;
    }
    out.images.push_back(std::move(image));
  }
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream numbers(line);
    std::vector<double> logits;
    for (double v = 0; numbers >> v;) logits.push_back(v);
    out.logits.push_back(std::move(logits));
  }
  return out;
}

std::vector<fs::path> models() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(BRAINLOCK_SOURCE_DIR) / "models")) {
    if (entry.path().extension() != ".onnx") continue;
    if (fs::exists(fs::path(entry.path()).replace_extension(".expect.txt"))) found.push_back(entry.path());
  }
  return found;
}

double largest_difference(const std::vector<float>& got, const std::vector<double>& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::abs(got[i] - expected[i]));
  return worst;
}

TEST(Models, LogitsMatchTheRecordedOnesBeforeAndAfterNormalisation) {
  const auto paths = models();
  ASSERT_GE(paths.size(), 4u);
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.filename().string());
    const Expectation expected = read_expectation(fs::path(path).replace_extension(".expect.txt"));
    ASSERT_FALSE(expected.images.empty());
    ASSERT_EQ(expected.logits.size(), expected.images.size());
    auto imported = import_onnx_file(path);
    ASSERT_TRUE(imported.ok()) << imported.error().to_string();
    ASSERT_EQ(imported->nodes[0].shape, expected.shape);
    auto normal = normalise(*imported);
    ASSERT_TRUE(normal.ok()) << normal.error().to_string();
    for (std::size_t n = 0; n < std::min<std::size_t>(expected.images.size(), 4); ++n) {
      double size = 1;
      for (double v : expected.logits[n]) size = std::max(size, std::abs(v));
      EXPECT_LT(largest_difference(run_float(*imported, expected.images[n]), expected.logits[n]), 2e-5 * size);
      EXPECT_LT(largest_difference(run_float(*normal, expected.images[n]), expected.logits[n]), 2e-5 * size);
    }
  }
}

TEST(Models, NormalFormAlternatesLinearLayersAndActivations) {
  for (const fs::path& path : models()) {
    auto imported = import_onnx_file(path);
    ASSERT_TRUE(imported.ok()) << imported.error().to_string();
    auto normal = normalise(std::move(imported).value());
    ASSERT_TRUE(normal.ok()) << normal.error().to_string();
    for (const Node& node : normal->nodes) {
      const bool activation = node.kind == OpKind::kQuadratic || node.kind == OpKind::kPolynomial;
      if (!activation) continue;
      const OpKind before = normal->nodes[node.inputs[0]].kind;
      EXPECT_TRUE(before == OpKind::kConv || before == OpKind::kDense || before == OpKind::kAveragePool ||
                  before == OpKind::kAdd)
          << path << "\n"
          << to_string(*normal);
    }
  }
}

}  // namespace
}  // namespace brainlock::compiler
