// What a call from JavaScript leaves behind: bytes, or an error. A module has one thread and one reply, which the next
// call overwrites.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"

namespace brainlock::client_wasm {

class Reply {
 public:
  /// Both give what the exported function returns: 1 for an answer, 0 for an error.
  std::uint32_t give(std::span<const std::uint8_t> bytes) {
    clear();
    bytes_.assign(bytes.begin(), bytes.end());
    return 1;
  }
  std::uint32_t fail(std::string_view code, std::string_view message) {
    clear();
    for (const std::string_view part : {code, std::string_view("\n"), message})
      bytes_.insert(bytes_.end(), part.begin(), part.end());
    return 0;
  }
  std::uint32_t fail(const Error& error) { return fail(error_code_name(error.code), error.message); }

  std::uint32_t give_text(std::string_view text) {
    return give({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  template <typename Number>
  std::uint32_t give_numbers(std::span<const Number> numbers) {
    return give({reinterpret_cast<const std::uint8_t*>(numbers.data()), numbers.size_bytes()});
  }

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  /// It may have been a secret.
  void clear() {
    crypto::wipe(bytes_.data(), bytes_.size());
    bytes_.clear();
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

Reply& reply();

}  // namespace brainlock::client_wasm
