// Engine: what a miner computes with. The service knows nothing of ciphertexts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/protocol/messages.hpp"

namespace brainlock::miner {

using Bytes = std::vector<std::uint8_t>;

struct JobControl {
  std::function<void(double fraction, const std::string& layer)> progress;  ///< may be empty
  std::stop_token stop;
};

/// Safe from many threads.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Evaluation keys ready for use.
  class Keys {
   public:
    virtual ~Keys() = default;
    [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
  };

  /// Where it computes. An engine that does not compute itself need not say.
  struct Device {
    std::string name;
    bool lost = false;   ///< it failed as a whole and is asked no more
  };
  [[nodiscard]] virtual std::vector<Device> devices() const { return {}; }
  /// How many sets of keys a device with memory of its own has room for, beside the requests that it runs; nothing where they lie in the
  /// machine's memory.
  [[nodiscard]] virtual std::optional<std::size_t> room_for_key_sets() const { return {}; }
  /// The packages served.
  [[nodiscard]] virtual std::vector<protocol::TaskOffer> offers() const = 0;
  /// Reads and checks a key file. kMismatch, kMalformed, ... if it does not fit the package; kResource; kIo.
  [[nodiscard]] virtual Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package,
                                                                      const std::filesystem::path& file) = 0;
  /// Answers one question. Errors of the question (kMalformed, kMismatch, ...), kCancelled, kResource.
  [[nodiscard]] virtual Result<Bytes> infer(const protocol::ContentId& package, const Keys& keys,
                                            std::span<const std::uint8_t> question, const JobControl& control) = 0;
};

}  // namespace brainlock::miner
