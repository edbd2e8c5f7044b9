// PNG files in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/sampler/image.hpp"

namespace brainlock::sampler {

inline constexpr std::size_t kMaxPngBytes = std::size_t{64} << 20;
inline constexpr int kMaxPngSide = 8192;

/// Decodes a PNG of any colour type to one channel (grey files) or three; transparency is laid over black. Hostile
/// bytes are expected: the size is checked before anything is allocated. kMalformed, kTruncated (no bytes),
/// kTooLarge.
Result<Image> decode_png(std::span<const std::uint8_t> bytes);

/// Reads a file: errors of decode_png, kNotFound, kIo.
Result<Image> read_png(const std::filesystem::path& path);

/// Encodes 8 bits a channel. kUnsupported unless the image has one or three channels.
Result<std::vector<std::uint8_t>> encode_png(const Image& image);

Status write_png(const Image& image, const std::filesystem::path& path);

}  // namespace brainlock::sampler
