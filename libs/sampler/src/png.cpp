#include "brainlock/sampler/png.hpp"

#include <png.h>

#include <cstring>
#include <fstream>
#include <string>

namespace brainlock::sampler {
namespace {

/// libpng's simplified interface: errors come back as values, nothing jumps and nothing is printed.
struct Control {
  png_image image{};
  Control() { image.version = PNG_IMAGE_VERSION; }
  ~Control() { png_image_free(&image); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
};

}  // namespace

Result<Image> decode_png(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return Error{ErrorCode::kTruncated, "expected a PNG file, got 0 bytes"};
  if (bytes.size() > kMaxPngBytes) {
    return Error{ErrorCode::kTooLarge,
                 "a PNG file of " + std::to_string(bytes.size()) + " bytes is above " + std::to_string(kMaxPngBytes)};
  }
  Control control;
  png_image& png = control.image;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) {
    return Error{ErrorCode::kMalformed, std::string("not a readable PNG: ") + png.message};
  }
  if (png.width > static_cast<png_uint_32>(kMaxPngSide) || png.height > static_cast<png_uint_32>(kMaxPngSide)) {
    return Error{ErrorCode::kTooLarge, "a PNG of " + std::to_string(png.width) + "x" + std::to_string(png.height) +
                                           " is above " + std::to_string(kMaxPngSide) + " a side"};
  }
  const bool colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  const std::size_t channels = colour ? 3 : 1;
  BRAINLOCK_ASSIGN(Image image,
                   make_image(static_cast<int>(channels), static_cast<int>(png.height), static_cast<int>(png.width)));
  std::vector<std::uint8_t> interleaved(image.size());
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&png, &black, interleaved.data(), 0, nullptr) == 0) {
    return Error{ErrorCode::kMalformed, std::string("not a readable PNG: ") + png.message};
  }
  const std::size_t plane = image.size() / channels;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < channels; ++c) {
      image.pixels[c * plane + i] = static_cast<float>(interleaved[i * channels + c]) / 255.0F;
    }
  }
  return image;
}

Result<Image> read_png(const std::filesystem::path& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) return Error{ErrorCode::kNotFound, "no file " + path.string()};
  const auto length = std::filesystem::file_size(path, failure);
  if (failure) return Error{ErrorCode::kIo, "cannot read the size of " + path.string()};
  if (length > kMaxPngBytes)
    return Error{ErrorCode::kTooLarge, path.string() + " is above " + std::to_string(kMaxPngBytes) + " bytes"};
  std::vector<std::uint8_t> bytes(length);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!in) return Error{ErrorCode::kIo, "cannot read " + path.string()};
  auto image = decode_png(bytes);
  return image.ok() ? std::move(image) : Result<Image>(image.error().in(path.string()));
}

Result<std::vector<std::uint8_t>> encode_png(const Image& image) {
  if (image.channels != 1 && image.channels != 3) {
    return Error{ErrorCode::kUnsupported, "a PNG takes 1 or 3 channels, got " + std::to_string(image.channels)};
  }
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::vector<std::uint8_t> planar = image_to_bytes(image);
  const std::size_t plane = planar.size() / channels;
  std::vector<std::uint8_t> interleaved(planar.size());
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < channels; ++c) interleaved[i * channels + c] = planar[c * plane + i];
  }
  Control control;
  control.image.width = static_cast<png_uint_32>(image.width);
  control.image.height = static_cast<png_uint_32>(image.height);
  control.image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t length = PNG_IMAGE_PNG_SIZE_MAX(control.image);
  std::vector<std::uint8_t> out(length);
  if (png_image_write_to_memory(&control.image, out.data(), &length, 0, interleaved.data(), 0, nullptr) == 0) {
    return Error{ErrorCode::kInternal, std::string("cannot encode the PNG: ") + control.image.message};
  }
  out.resize(length);
  return out;
}

Status write_png(const Image& image, const std::filesystem::path& path) {
  BRAINLOCK_ASSIGN(const auto bytes, encode_png(image));
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return Error{ErrorCode::kIo, "cannot write " + path.string()};
  return {};
}

}  // namespace brainlock::sampler
