#include "expectation.hpp"

#include <cmath>
#include <sstream>

#include "brainlock/base/file.hpp"

namespace brainlock::app {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxImages = 10'000;

}  // namespace

Result<Expectation> read_expectation(const std::filesystem::path& file, const plan::TensorMap& input, const plan::TensorMap& output) {
  BRAINLOCK_ASSIGN(const std::vector<std::uint8_t> bytes, read_file(file, kMaxFileBytes));
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  const auto malformed = [&](const std::string& what) { return Error{ErrorCode::kMalformed, file.string() + ": " + what}; };
  std::size_t count = 0, channels = 0, height = 0, width = 0;
  if (!(text >> count >> channels >> height >> width) || count == 0 || count > kMaxImages) {
    return malformed("expected a first line 'count C H W' of 1 to " + std::to_string(kMaxImages) + " images");
  }
  if (channels != input.channels || height != input.height || width != input.width) {
    return Error{ErrorCode::kMismatch, file.string() + ": images of " + std::to_string(channels) + " x " + std::to_string(height) + " x " +
                                           std::to_string(width) + ", the package takes " + std::to_string(input.channels) + " x " +
                                           std::to_string(input.height) + " x " + std::to_string(input.width)};
  }
  Expectation out;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> image(channels * height * width);
    for (float& value : image) {
      int byte = -1;
      if (!(text >> byte) || byte < 0 || byte > 255) return malformed("image " + std::to_string(i) + ": expected " + std::to_string(image.size()) + " bytes of 0 to 255");
      value = static_cast<float>(byte) / 255.0f;
    }
    out.images.push_back(std::move(image));
  }
  const std::size_t classes = std::size_t{output.channels} * output.height * output.width;
  std::string line;
  std::getline(text, line);
  for (std::size_t i = 0; i < count; ++i) {
    std::getline(text, line);
    std::istringstream numbers(line);
    std::vector<double> logits;
    for (double value = 0; numbers >> value;) logits.push_back(value);
    if (!numbers.eof()) return malformed("logits of image " + std::to_string(i) + ": not a number");
    if (logits.size() != classes) {
      return Error{ErrorCode::kMismatch, file.string() + ": " + std::to_string(logits.size()) + " logits of image " + std::to_string(i) +
                                             ", the package has " + std::to_string(classes)};
    }
    for (const double value : logits) {
      if (!std::isfinite(value)) return malformed("logits of image " + std::to_string(i) + ": not finite");
    }
    out.logits.push_back(std::move(logits));
  }
  return out;
}

}  // namespace brainlock::app
