// Everything one process needs to play client and server of a package: for infer, accuracy and bench.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks/loaded_keys.hpp"
#include "brainlock/ckks_client/client.hpp"
#include "brainlock/compiler/graph.hpp"
#include "brainlock/keyholder/cipher.hpp"
#include "brainlock/keyholder/judgement.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/value_range.hpp"
#include "brainlock/runtime/executor.hpp"
#include "brainlock/runtime/machine.hpp"

namespace brainlock::app {

/// The server's half: parameters, threads, encoded weights.
struct Server {
  std::shared_ptr<const runtime::Machine> machine;
  std::shared_ptr<const runtime::LoadedProgram> program;

  /// Shows its progress unless `quiet`. `lanes`: requests that a GPU runs at the same time.
  static Result<Server> make(const package::Package& package, unsigned threads, bool quiet, const device_cuda::DeviceChoice& device = {}, unsigned lanes = 1);
  /// What runs it, for people: "cpu, 8 thread(s)" or "cuda:0 (NVIDIA H200)", and why, where that was left open.
  [[nodiscard]] std::string description() const;
};

/// `--device`: where the encrypted run takes place.
struct DeviceOption {
  std::string text = "cpu";

  void add_to(CLI::App& command);
  /// Valid once the command line was parsed: malformed values are refused there.
  [[nodiscard]] device_cuda::DeviceChoice choice() const;
};

/// The model in the clear, from the package's own ONNX file. kMismatch: of other sizes than the package's plan.
Result<compiler::Graph> clear_model(const package::Package& package);
/// For a RangeChecker that foretells errors; rounds all weights.
Result<package::Foretelling> foretelling(const std::shared_ptr<const package::Package>& package, unsigned threads);

using keyholder::Comparison;
/// keyholder::compare() with what run_float() says.
Comparison compare(std::span<const double> encrypted, std::span<const float> clear);

/// Fresh keys for a package.
struct Keys {
  ckks_client::SecretKey secret;
  ckks::EvaluationKeySet evaluation;
};
Result<Keys> make_keys(const package::Package& package, unsigned threads, bool quiet);
/// Bytes of the evaluation keys on the wire.
std::uint64_t uploaded_key_bytes(const package::Package& package);

unsigned default_threads();

}  // namespace brainlock::app
