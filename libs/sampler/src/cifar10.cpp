#include "brainlock/sampler/cifar10.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <fstream>
#include <string>

namespace brainlock::sampler {
namespace {

constexpr std::array<std::string_view, kCifar10Classes> kNames = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                                  "dog",      "frog",       "horse", "ship", "truck"};

}  // namespace

std::string_view cifar10_class_name(int label) {
  return label >= 0 && label < kCifar10Classes ? kNames[static_cast<std::size_t>(label)] : "unknown";
}

Result<Cifar10> Cifar10::parse(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return Error{ErrorCode::kInvalidArgument, "expected at least one CIFAR-10 record, got 0 bytes"};
  if (bytes.size() > kCifar10MaxRecords * kCifar10RecordBytes) {
    return Error{ErrorCode::kTooLarge, "expected at most " + std::to_string(kCifar10MaxRecords) +
                                           " CIFAR-10 records, got " + std::to_string(bytes.size()) + " bytes"};
  }
  if (bytes.size() % kCifar10RecordBytes != 0) {
    return Error{ErrorCode::kTruncated, "expected a multiple of " + std::to_string(kCifar10RecordBytes) +
                                            " bytes, got " + std::to_string(bytes.size())};
  }
  for (std::size_t i = 0; i < bytes.size(); i += kCifar10RecordBytes) {
    if (bytes[i] >= kCifar10Classes) {
      return Error{ErrorCode::kMalformed, "record " + std::to_string(i / kCifar10RecordBytes) +
                                              ": expected a label 0..9, got " + std::to_string(bytes[i])};
    }
  }
  Cifar10 data;
  data.bytes_.assign(bytes.begin(), bytes.end());
  return data;
}

Result<Cifar10> Cifar10::read_file(const std::filesystem::path& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) {
    return Error{ErrorCode::kNotFound, "no file " + path.string()};
  }
  const auto length = std::filesystem::file_size(path, failure);
  if (failure) return Error{ErrorCode::kIo, "cannot read the size of " + path.string() + ": " + failure.message()};
  if (length > kCifar10MaxRecords * kCifar10RecordBytes) {
    return Error{ErrorCode::kTooLarge, path.string() + ": " + std::to_string(length) +
                                           " bytes are above the limit of " + std::to_string(kCifar10MaxRecords) +
                                           " records"};
  }
  std::vector<std::uint8_t> bytes(length);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!in) return Error{ErrorCode::kIo, "cannot read " + path.string()};
  auto parsed = parse(bytes);
  if (!parsed.ok()) return parsed.error().in(path.string());
  return parsed;
}

Result<Cifar10> Cifar10::read_directory(const std::filesystem::path& directory, bool training) {
  std::error_code failure;
  auto folder = directory;
  if (std::filesystem::is_directory(directory / "cifar-10-batches-bin", failure)) folder /= "cifar-10-batches-bin";
  std::vector<std::filesystem::path> files;
  if (training) {
    for (int batch = 1; batch <= 5; ++batch) {
      auto path = folder / ("data_batch_" + std::to_string(batch) + ".bin");
      if (std::filesystem::exists(path, failure)) files.push_back(std::move(path));
    }
  } else if (std::filesystem::exists(folder / "test_batch.bin", failure)) {
    files.push_back(folder / "test_batch.bin");
  }
  if (files.empty()) {
    return Error{ErrorCode::kNotFound,
                 "no " + std::string(training ? "data_batch_1.bin .. data_batch_5.bin" : "test_batch.bin") + " in " +
                     folder.string()};
  }
  Cifar10 all;
  for (const auto& file : files) {
    BRAINLOCK_ASSIGN(Cifar10 part, read_file(file));
    all.bytes_.insert(all.bytes_.end(), part.bytes_.begin(), part.bytes_.end());
  }
  return all;
}

int Cifar10::label(std::size_t index) const {
  assert(index < size());
  return bytes_[index * kCifar10RecordBytes];
}

Image Cifar10::image(std::size_t index) const {
  assert(index < size());
  const std::span<const std::uint8_t> pixels(bytes_.data() + index * kCifar10RecordBytes + 1, kCifar10PixelBytes);
  return std::move(image_from_bytes(pixels, 3, 32, 32)).value();  // the count is right by construction
}

}  // namespace brainlock::sampler
