#include "memory_pool.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string>

namespace brainlock::device {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallestReservation = std::size_t{64} << 20;

std::size_t default_reservation() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? 2 * static_cast<std::size_t>(pages) * static_cast<std::size_t>(page) : std::size_t{1} << 36;
}

}  // namespace

MemoryPool::MemoryPool(std::size_t reserve_bytes) {
  std::size_t bytes = reserve_bytes != 0 ? reserve_bytes : default_reservation();
  // A limit on address space may refuse a large reservation: take less.
  for (; bytes >= std::min(kSmallestReservation, bytes); bytes /= 2) {
    mapping_bytes_ = (bytes + 2 * kHuge - 1) / kHuge * kHuge;
    void* mapping = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping != MAP_FAILED) {
      mapping_ = mapping;
      break;
    }
    if (bytes <= kSmallestReservation) return;
  }
  const auto start = (reinterpret_cast<std::uintptr_t>(mapping_) + kHuge - 1) / kHuge * kHuge;
  const std::size_t usable = reinterpret_cast<std::uintptr_t>(mapping_) + mapping_bytes_ - start;
  madvise(reinterpret_cast<void*>(start), usable, MADV_HUGEPAGE);  // a wish: slower without, never wrong
  free_.emplace(start, usable);
}

MemoryPool::~MemoryPool() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

Result<Buffer> MemoryPool::allocate(std::size_t words) {
  const std::size_t bytes = std::max((words * sizeof(std::uint32_t) + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  const std::lock_guard lock(mutex_);
  // Best fit, lowest address first: the pages in use stay few.
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second >= bytes && (best == free_.end() || it->second < best->second)) best = it;
  }
  if (best == free_.end()) {
    return Error{ErrorCode::kResource, "out of memory: no room for " + std::to_string(bytes) + " bytes"};
  }
  const std::uintptr_t start = best->first;
  const std::size_t rest = best->second - bytes;
  free_.erase(best);
  if (rest != 0) free_.emplace(start + bytes, rest);
  return Buffer(shared_from_this(), reinterpret_cast<std::uint32_t*>(start), words, bytes);
}

void MemoryPool::release(std::uint32_t* data, std::size_t capacity_bytes) {
  const std::lock_guard lock(mutex_);
  auto it = free_.emplace(reinterpret_cast<std::uintptr_t>(data), capacity_bytes).first;
  if (const auto next = std::next(it); next != free_.end() && it->first + it->second == next->first) {
    it->second += next->second;
    free_.erase(next);
  }
  if (it != free_.begin()) {
    const auto previous = std::prev(it);
    if (previous->first + previous->second == it->first) {
      previous->second += it->second;
      free_.erase(it);
    }
  }
}

void MemoryPool::trim() {
  const std::lock_guard lock(mutex_);
  for (const auto& [start, bytes] : free_) {
    const std::uintptr_t first = (start + kHuge - 1) / kHuge * kHuge, last = (start + bytes) / kHuge * kHuge;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
}

}  // namespace brainlock::device
