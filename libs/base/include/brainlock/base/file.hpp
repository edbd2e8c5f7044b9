// Whole files: bounded reading, atomic writing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock {

/// Reads a regular file of at most `max_bytes`. kNotFound, kTooLarge (with both sizes), kIo, kInvalidArgument
/// (a folder, a device).
Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& file, std::uint64_t max_bytes);

struct AtomicFileOptions {
  bool overwrite = false;      ///< replace an existing file; otherwise commit() refuses with kDenied
  unsigned mode = 0644;        ///< permission bits, given to the file before its first byte
};

/// A file that appears under its name whole or not at all: bytes go to a temporary neighbour, commit() flushes it to
/// the disk and renames it. Without commit() the destructor removes the temporary. Move-only, one thread at a time.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& file, AtomicFileOptions options = {});
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  Status write(std::span<const std::uint8_t> bytes);
  /// Overwrites bytes already written at `offset` (a header whose checksum is known last).
  Status write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes);
  Status commit();

 private:
  AtomicFile() = default;
  void discard() noexcept;
  std::filesystem::path target_, temporary_;
  AtomicFileOptions options_;
  int descriptor_ = -1;
};

/// create, write, commit.
Status write_file(const std::filesystem::path& file, std::span<const std::uint8_t> bytes, AtomicFileOptions options = {});

}  // namespace brainlock
