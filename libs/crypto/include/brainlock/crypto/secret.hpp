// Memory for secrets: locked where the system allows it, guarded, wiped before it is given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace brainlock::crypto {

/// Owns `size` zeroed bytes between guard pages, locked in memory if the system's limit allows, wiped on destruction.
/// Move-only. Rounded up to whole pages: meant for keys and the like, not for many small values.
/// Aborts when memory runs out, like operator new without exceptions.
class SecretBuffer {
 public:
  SecretBuffer() = default;
  explicit SecretBuffer(std::size_t size);
  SecretBuffer(SecretBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  SecretBuffer& operator=(SecretBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SecretBuffer();

  [[nodiscard]] std::uint8_t* data() { return data_; }
  [[nodiscard]] const std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::uint8_t> bytes() { return {data_, size_}; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// An array of plain values in a SecretBuffer, 64-byte aligned. Same ownership rules.
template <typename T>
  requires std::is_trivially_copyable_v<T>
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t count) : buffer_(count * sizeof(T) + kAlignment), count_(count) {}
  Secret(Secret&& other) noexcept : buffer_(std::move(other.buffer_)), count_(std::exchange(other.count_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    buffer_ = std::move(other.buffer_);
    std::swap(count_, other.count_);
    return *this;
  }

  [[nodiscard]] T* data() { return count_ == 0 ? nullptr : reinterpret_cast<T*>(align(buffer_.data())); }
  [[nodiscard]] const T* data() const {
    return count_ == 0 ? nullptr : reinterpret_cast<const T*>(align(const_cast<std::uint8_t*>(buffer_.data())));
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::span<T> values() { return {data(), count_}; }
  [[nodiscard]] std::span<const T> values() const { return {data(), count_}; }

 private:
  // The guarded allocator puts the end of a block against a guard page, so its start is aligned to nothing.
  static constexpr std::size_t kAlignment = 64;
  static std::uint8_t* align(std::uint8_t* p) {
    return p + (kAlignment - reinterpret_cast<std::uintptr_t>(p) % kAlignment) % kAlignment;
  }
  SecretBuffer buffer_;
  std::size_t count_ = 0;
};

}  // namespace brainlock::crypto
