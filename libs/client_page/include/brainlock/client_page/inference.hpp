// Private inference as the page needs it: get ready, ask. The real one makes keys, talks to a miner and decrypts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/client/miner_connection.hpp"
#include "brainlock/package/value_range.hpp"

namespace brainlock::client_page {

/// What is going on, in the order in which it comes: until kReady once, from kChecking on for every question.
enum class Phase { kMakingKeys, kConnecting, kUploadingKeys, kReady, kChecking, kEncrypting, kWaiting, kDecrypting, kFailed };
/// "making_keys", "waiting", ...
const char* phase_name(Phase phase);

/// Called when a phase begins, and with how much of it is done (0 of 0: nobody knows).
using Report = std::function<void(Phase phase, std::uint64_t done, std::uint64_t total)>;

struct Answer {
  std::vector<double> outputs;         ///< of the model, decrypted
  std::vector<double> clear;           ///< of the same model run here on the input itself; empty: not run
  double check_s = 0, encrypt_s = 0, decrypt_s = 0;
  double response_s = 0;               ///< first byte of the question sent -> last byte of the answer received
  double network_s = 0;                ///< the part of it that is the network's, by estimate
  std::uint64_t question_bytes = 0, answer_bytes = 0;
  std::vector<std::uint8_t> question_sample;   ///< what the miner got: bytes from the middle of the question
};

/// One thread at a time.
class Inference {
 public:
  virtual ~Inference() = default;
  /// Keys made and at the miner. Again after a failure; then it costs what is missing. Errors say what is to be done.
  virtual Status prepare(const Report& report, std::stop_token stop) = 0;
  /// The model's answer about one input (channels, height, width; each in [0, 1]). kInvalidArgument: an input whose encrypted answer would be wrong, or
  /// of another size; kUnavailable: the miner does not answer as it should, and prepare() comes next; kCancelled.
  virtual Result<Answer> ask(std::span<const float> input, const Report& report, std::stop_token stop) = 0;
};

struct RemoteOptions {
  std::shared_ptr<const package::Package> package;
  std::filesystem::path keys;          ///< folder for them (0700)
  unsigned threads = 2;                ///< for making keys
  protocol::Signer self;
  client::MinerAddress miner;
  double timeout_s = 300;              ///< of an answer
  std::function<package::ValueRange(std::span<const float>)> judge;   ///< looks at an input before it is encrypted
};
/// Over the network, with keys that stay in their folder.
std::unique_ptr<Inference> make_remote_inference(RemoteOptions options);

}  // namespace brainlock::client_page
