// A page on this machine, for its own browser: pictures are encrypted here, a miner computes on them, answers are decrypted here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/client_page/inference.hpp"

namespace brainlock::client_page {

struct PageOptions {
  std::string model, package, profile;                   ///< for people
  std::uint32_t channels = 0, height = 0, width = 0;     ///< of the input
  std::vector<std::string> classes;                      ///< names of the outputs; empty: numbers
  std::string miner;                                     ///< for people: hotkey and address
  double error_bound = 0;                                ///< of an output, as the package promises; 0: none
  std::function<std::vector<float>(std::uint64_t seed)> synthetic;   ///< an input to try out
  std::uint16_t port = 0;                                ///< 0: any free one
};

/// Listens on 127.0.0.1 alone. Every request for data must bring the token of url(), which no other page has, and name this very address as its
/// host: neither other users of this machine nor pages of other sites can ask. Every answer to it brings a second secret of url(), without which the page
/// believes nobody and sends no picture: whoever takes the port later cannot speak for this one. Works from start() on, on threads of its own.
class Page {
 public:
  /// kUnavailable: port taken.
  static Result<std::unique_ptr<Page>> start(PageOptions options, std::unique_ptr<Inference> inference);
  virtual ~Page() = default;
  /// To be opened in a browser; ends with the two secrets (32 hexadecimal digits each), as a fragment, which browsers keep to themselves.
  [[nodiscard]] virtual std::string url() const = 0;
  /// What is going on, for a line in the terminal: "ready", "uploading_keys 40%", "failed: ...".
  [[nodiscard]] virtual std::string summary() const = 0;
};

}  // namespace brainlock::client_page
