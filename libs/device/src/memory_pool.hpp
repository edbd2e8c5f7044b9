// Host memory that is kept and reused: large blocks on huge pages, no page faults after the first run.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include "brainlock/base/result.hpp"
#include "brainlock/device/buffer.hpp"

namespace brainlock::device {

/// Thread safe. Blocks of at least a megabyte are 2 MB aligned and ask for huge pages.
class MemoryPool : public BufferOwner, public std::enable_shared_from_this<MemoryPool> {
 public:
  ~MemoryPool() override;
  Result<Buffer> allocate(std::size_t words);
  void release(std::uint32_t* data, std::size_t capacity_bytes) override;
  void trim();

 private:
  std::mutex mutex_;
  std::multimap<std::size_t, std::uint32_t*> free_;  ///< by capacity
};

}  // namespace brainlock::device
