// A 32-byte seed of a key, wiped when it goes out of scope. Move-only: copying a secret is a named act.
#pragma once

#include <array>
#include <cstdint>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::crypto {

/// Fixed-size secret bytes. Wiped by the destructor and on being moved from. Never printed.
template <std::size_t N>
class WipedArray {
 public:
  WipedArray() = default;
  explicit WipedArray(std::span<const std::uint8_t, N> bytes) {
    for (std::size_t i = 0; i < N; ++i) bytes_[i] = bytes[i];
  }
  WipedArray(const WipedArray&) = delete;
  WipedArray& operator=(const WipedArray&) = delete;
  WipedArray(WipedArray&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  WipedArray& operator=(WipedArray&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  ~WipedArray() { wipe(bytes_); }

  [[nodiscard]] WipedArray clone() const { return WipedArray(std::span<const std::uint8_t, N>(bytes_)); }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] static constexpr std::size_t size() { return N; }
  [[nodiscard]] std::uint8_t& operator[](std::size_t i) { return bytes_[i]; }
  [[nodiscard]] std::uint8_t operator[](std::size_t i) const { return bytes_[i]; }
  [[nodiscard]] std::span<const std::uint8_t, N> view() const { return bytes_; }

 private:
  std::array<std::uint8_t, N> bytes_{};
};

/// The seed that an sr25519 key pair is expanded from ("mini secret", `secretSeed` in wallet files).
using MiniSecret = WipedArray<32>;

}  // namespace brainlock::crypto
