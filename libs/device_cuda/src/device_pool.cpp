#include "device_pool.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace brainlock::device_cuda {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kLargeParts = 4;   ///< of a slab: buffers of at least one such part are large

/// What to ask of the driver for a buffer. Large ones would leave up to half of a slab to nobody, as keys of 33 to 63 MiB do, and often there are many of
/// one size: they get whole buffers' worth.
std::size_t slab_for(std::size_t bytes, std::size_t slab_bytes) {
  if (bytes >= slab_bytes) return bytes;
  return bytes >= slab_bytes / kLargeParts ? slab_bytes / bytes * bytes : slab_bytes;
}

}  // namespace

DevicePool::~DevicePool() {
  for (const auto& [start, bytes] : slabs_) driver_->release(reinterpret_cast<void*>(start));
}

Result<device::Buffer> DevicePool::allocate(std::size_t words) {
  if (words > std::numeric_limits<std::size_t>::max() / 8) return {ErrorCode::kResource, "device memory: a size beyond all memory"};
  const std::size_t bytes = std::max((words * sizeof(std::uint32_t) + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  const std::lock_guard lock(mutex_);
  const auto best_fit = [&] {
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second.bytes >= bytes && (best == free_.end() || it->second.bytes < best->second.bytes)) best = it;
    }
    return best;
  };
  auto best = best_fit();
  if (best == free_.end()) {
    BRAINLOCK_TRY(grow(bytes));
    best = best_fit();
  }
  const std::uintptr_t start = best->first;
  const Piece piece = best->second;
  free_.erase(best);
  if (piece.bytes != bytes) free_.emplace(start + bytes, Piece{piece.bytes - bytes, piece.slab});
  return device::Buffer(shared_from_this(), reinterpret_cast<std::uint32_t*>(start), words, bytes);
}

Status DevicePool::grow(std::size_t bytes) {
  // A whole slab first; near the end of the memory just what is needed, at last without what lies idle.
  std::size_t taken = slab_for(bytes, options_.slab_bytes);
  auto memory = driver_->allocate(taken);
  if (!memory && taken > bytes) memory = driver_->allocate(taken = bytes);
  if (!memory) {
    trim_locked();
    memory = driver_->allocate(taken = bytes);
  }
  if (!memory) return memory.error().in("device memory");
  const auto start = reinterpret_cast<std::uintptr_t>(*memory);
  slabs_.emplace(start, taken);
  free_.emplace(start, Piece{taken, start});
  return {};
}

void DevicePool::release(std::uint32_t* data, std::size_t capacity_bytes) {
  const std::lock_guard lock(mutex_);
  const auto start = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t slab = std::prev(slabs_.upper_bound(start))->first;
  auto it = free_.emplace(start, Piece{capacity_bytes, slab}).first;
  if (const auto next = std::next(it); next != free_.end() && next->second.slab == slab && it->first + it->second.bytes == next->first) {
    it->second.bytes += next->second.bytes;
    free_.erase(next);
  }
  if (it != free_.begin()) {
    const auto previous = std::prev(it);
    if (previous->second.slab == slab && previous->first + previous->second.bytes == it->first) {
      previous->second.bytes += it->second.bytes;
      free_.erase(it);
    }
  }
}

void DevicePool::trim() {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void DevicePool::trim_locked() {
  if (options_.lasting) return;
  for (auto it = slabs_.begin(); it != slabs_.end();) {
    const auto piece = free_.find(it->first);
    if (piece == free_.end() || piece->second.bytes != it->second) {
      ++it;
      continue;
    }
    driver_->release(reinterpret_cast<void*>(it->first));
    free_.erase(piece);
    it = slabs_.erase(it);
  }
}

std::uint64_t DevicePool::idle_bytes() {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& [start, piece] : free_) bytes += piece.bytes;
  return bytes;
}

}  // namespace brainlock::device_cuda
