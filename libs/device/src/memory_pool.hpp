// Host memory that is kept and reused: one reserved stretch of addresses on huge pages, cut and joined as buffers come
// and go, so that later runs cause no page faults and peak memory is what was alive at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "brainlock/base/result.hpp"
#include "brainlock/device/buffer.hpp"

namespace brainlock::device {

/// Thread safe. Buffers are 64-byte aligned. Memory is touched, and so taken from the system, only when used.
class MemoryPool : public BufferOwner, public std::enable_shared_from_this<MemoryPool> {
 public:
  /// Reserves addresses for `reserve_bytes` (0: twice the machine's memory); no memory yet.
  explicit MemoryPool(std::size_t reserve_bytes = 0);
  ~MemoryPool() override;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// kResource when the reservation is used up.
  Result<Buffer> allocate(std::size_t words);
  void release(std::uint32_t* data, std::size_t capacity_bytes) override;
  /// Gives unused pages back to the system.
  void trim();

 private:
  std::mutex mutex_;
  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::map<std::uintptr_t, std::size_t> free_;  ///< start -> bytes; neighbours are always joined
};

}  // namespace brainlock::device
