// Memory of a backend: pooled, page-aligned, returned on destruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace brainlock::device {

/// Takes memory back. Implemented by each backend.
class BufferOwner {
 public:
  virtual ~BufferOwner() = default;
  virtual void release(std::uint32_t* data, std::size_t capacity_bytes) = 0;
};

/// A piece of a backend's memory, in 32-bit words. Move-only; gives itself back. The words are uninitialised, and on
/// an accelerator not addressable by the host: only backend operations touch them.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<BufferOwner> owner, std::uint32_t* data, std::size_t words, std::size_t capacity_bytes)
      : owner_(std::move(owner)), data_(data), words_(words), capacity_bytes_(capacity_bytes) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) owner_->release(data_, capacity_bytes_);
  }

  [[nodiscard]] std::uint32_t* data() { return data_; }
  [[nodiscard]] const std::uint32_t* data() const { return data_; }
  [[nodiscard]] std::size_t words() const { return words_; }
  [[nodiscard]] bool empty() const { return data_ == nullptr; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(words_, other.words_);
    std::swap(capacity_bytes_, other.capacity_bytes_);
  }
  std::shared_ptr<BufferOwner> owner_;
  std::uint32_t* data_ = nullptr;
  std::size_t words_ = 0;
  std::size_t capacity_bytes_ = 0;
};

}  // namespace brainlock::device
