// CIFAR-10 in its standard binary layout: data_batch_1.bin .. data_batch_5.bin, test_batch.bin.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/sampler/image.hpp"

namespace brainlock::sampler {

inline constexpr int kCifar10Classes = 10;
inline constexpr std::size_t kCifar10PixelBytes = 3 * 32 * 32;
/// One record: a label byte 0..9, then red, green and blue planes of 32x32 bytes, rows from the top.
inline constexpr std::size_t kCifar10RecordBytes = 1 + kCifar10PixelBytes;
/// Most records in one file that the reader takes (the original files hold 10,000).
inline constexpr std::size_t kCifar10MaxRecords = 100'000;

/// Name of class 0..9 ("airplane" .. "truck"); "unknown" otherwise.
std::string_view cifar10_class_name(int label);

/// Records kept as bytes (3,073 each). Immutable after reading; safe from many threads.
class Cifar10 {
 public:
  /// Parses records. kTruncated if the length is not a multiple of a record, kTooLarge above the limit, kMalformed for
  /// a label above 9 (with its record number), kInvalidArgument for no record at all.
  static Result<Cifar10> parse(std::span<const std::uint8_t> bytes);
  /// Reads one .bin file. Errors of parse, kNotFound, kIo.
  static Result<Cifar10> read_file(const std::filesystem::path& path);
  /// Reads a directory of batches: the test batch or the training batches that are there, in name order. A directory
  /// that holds "cifar-10-batches-bin" is also taken. kNotFound if no such file is there.
  static Result<Cifar10> read_directory(const std::filesystem::path& directory, bool training = false);

  [[nodiscard]] std::size_t size() const { return bytes_.size() / kCifar10RecordBytes; }
  /// Label of record `index`, which must be below size() (asserted).
  [[nodiscard]] int label(std::size_t index) const;
  /// Picture of record `index`, 3x32x32, value = byte / 255.
  [[nodiscard]] Image image(std::size_t index) const;

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace brainlock::sampler
