// A package: what a miner serves and a validator pins. A directory with three files:
//   plan.bin       the compiled program (program_codec.hpp)
//   model.onnx     the model it was compiled from, for the baseline in the clear
//   manifest.json  for people and tools; says nothing that the other two do not
// Its name is the hash of plan.bin and model.onnx: a task is a package's hash.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/package/client_half.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::package {

inline constexpr std::uint64_t kMaxModelBytes = 512ULL << 20;

/// Immutable after load; share between threads. Whoever needs the client's half alone takes a ClientHalf: a whole package is one, whose hash() is
/// BLAKE2b-256 of "brainlock-package-1", the BLAKE2b-256 of plan.bin and that of model.onnx.
class Package : public ClientHalf {
 public:
  /// Reads and checks a package: sizes, checksums, plan::validate(), parameters (kInsecure below 128 bits), and that
  /// manifest.json names the hash that the files have (kCorrupted).
  static Result<std::shared_ptr<const Package>> load(const std::filesystem::path& directory);
  /// kDenied where a package lies in the directory already: what create() says without `overwrite`, to be asked before long work.
  static Status check_vacant(const std::filesystem::path& directory);
  /// Writes a package into a new directory (`overwrite`: replaces the files of an old one). Returns it loaded.
  static Result<std::shared_ptr<const Package>> create(const std::filesystem::path& directory, plan::Program program,
                                                       std::vector<std::uint8_t> model_onnx, bool overwrite);
  /// From bytes in memory (a package fetched over the network).
  static Result<std::shared_ptr<const Package>> from_bytes(std::vector<std::uint8_t> plan, std::vector<std::uint8_t> model);

  [[nodiscard]] const plan::Program& program() const { return program_; }
  [[nodiscard]] const std::vector<std::uint8_t>& model() const { return model_; }
  /// manifest.json's text.
  [[nodiscard]] std::string manifest() const;

 private:
  Package(plan::Program program, std::shared_ptr<const ckks::Parameters> parameters, std::vector<std::uint8_t> model,
          const std::array<std::uint8_t, 32>& hash);
  plan::Program program_;
  std::vector<std::uint8_t> model_;
};

}  // namespace brainlock::package
