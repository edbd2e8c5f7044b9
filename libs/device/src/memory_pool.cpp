#include "memory_pool.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <string>

namespace brainlock::device {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kLarge = kHuge / 2;
// A block may serve a request down to this share of its size, else memory would hide in half-used blocks.
constexpr double kMinimalFill = 0.75;

std::size_t capacity_for(std::size_t bytes) {
  const std::size_t unit = bytes >= kLarge ? kHuge : 4096;
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

MemoryPool::~MemoryPool() { trim(); }

Result<Buffer> MemoryPool::allocate(std::size_t words) {
  const std::size_t capacity = capacity_for(words * sizeof(std::uint32_t));
  {
    const std::lock_guard lock(mutex_);
    const auto found = free_.lower_bound(capacity);
    if (found != free_.end() && static_cast<double>(capacity) >= kMinimalFill * static_cast<double>(found->first)) {
      Buffer buffer(shared_from_this(), found->second, words, found->first);
      free_.erase(found);
      return buffer;
    }
  }
  const bool large = capacity >= kHuge;
  void* data = std::aligned_alloc(large ? kHuge : 4096, capacity);
  if (data == nullptr) return Error{ErrorCode::kResource, "out of memory: " + std::to_string(capacity) + " bytes refused"};
  if (large) madvise(data, capacity, MADV_HUGEPAGE);  // a wish: slower without, never wrong
  return Buffer(shared_from_this(), static_cast<std::uint32_t*>(data), words, capacity);
}

void MemoryPool::release(std::uint32_t* data, std::size_t capacity_bytes) {
  const std::lock_guard lock(mutex_);
  free_.emplace(capacity_bytes, data);
}

void MemoryPool::trim() {
  const std::lock_guard lock(mutex_);
  for (const auto& [capacity, data] : free_) std::free(data);
  free_.clear();
}

}  // namespace brainlock::device
