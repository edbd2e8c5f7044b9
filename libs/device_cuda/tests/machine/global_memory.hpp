// The memory of the device. Addresses are no host addresses, so that host code which looks at device memory ends there,
// as it does with a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "machine/access_order.hpp"

namespace brainlock::device_cuda::machine {

class GlobalMemory {
 public:
  struct Allocation {
    std::uint64_t begin = 0;
    std::size_t bytes = 0;  ///< as asked for; what lies beyond is out of bounds
    std::uint32_t* words = nullptr;
    Shadow* shadow = nullptr;  ///< of each word
  };
  GlobalMemory() = default;
  GlobalMemory(const GlobalMemory&) = delete;
  GlobalMemory& operator=(const GlobalMemory&) = delete;
  ~GlobalMemory();

  /// At a multiple of 256 and of nothing larger. 0: the host has no room.
  std::uint64_t allocate(std::size_t bytes);
  /// False: there is no such allocation.
  bool release(std::uint64_t address);
  void release_all();
  /// The allocation that has all of these bytes, or null.
  const Allocation* find(std::uint64_t address, std::size_t bytes) const;
  std::size_t count() const { return allocations_.size(); }
  std::size_t used_bytes() const { return used_bytes_; }
  /// Grows with every release: what was found before may be gone.
  std::uint64_t version() const { return version_; }

  /// Copies from and to the host; false: out of bounds. What is written counts as the host's, of no queue, where
  /// nothing was written before.
  bool write(std::uint64_t address, const void* from, std::size_t bytes);
  bool read(void* to, std::uint64_t address, std::size_t bytes) const;

 private:
  std::map<std::uint64_t, Allocation> allocations_;
  std::uint64_t next_ = std::uint64_t{0x0a00} << 32;
  std::size_t used_bytes_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace brainlock::device_cuda::machine
