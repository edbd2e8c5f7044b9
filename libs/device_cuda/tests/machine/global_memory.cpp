#include "machine/global_memory.hpp"

#include <sys/mman.h>

#include <cstring>

namespace brainlock::device_cuda::machine {
namespace {

/// Pages that are there when they are used: most of a pool's slab never is.
void* map(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}
std::size_t words_of(std::size_t bytes) { return (bytes + 3) / 4; }

}  // namespace

GlobalMemory::~GlobalMemory() { release_all(); }

std::uint64_t GlobalMemory::allocate(std::size_t bytes) {
  Allocation a;
  a.bytes = bytes;
  a.words = static_cast<std::uint32_t*>(map(words_of(bytes) * sizeof(std::uint32_t)));
  a.shadow = static_cast<Shadow*>(map(words_of(bytes) * sizeof(Shadow)));
  if (a.words == nullptr || a.shadow == nullptr) return 0;
  a.begin = next_ | 256;                                             // never a multiple of 512
  next_ = (a.begin + bytes + (std::uint64_t{2} << 20)) / 512 * 512;  // far from the next one
  used_bytes_ += bytes;
  allocations_.emplace(a.begin, a);
  return a.begin;
}

bool GlobalMemory::release(std::uint64_t address) {
  const auto it = allocations_.find(address);
  if (it == allocations_.end()) return false;
  const Allocation a = it->second;
  munmap(a.words, words_of(a.bytes) * sizeof(std::uint32_t));
  munmap(a.shadow, words_of(a.bytes) * sizeof(Shadow));
  used_bytes_ -= a.bytes;
  allocations_.erase(it);
  ++version_;
  return true;
}

void GlobalMemory::release_all() {
  while (!allocations_.empty()) release(allocations_.begin()->first);
}

const GlobalMemory::Allocation* GlobalMemory::find(std::uint64_t address, std::size_t bytes) const {
  auto it = allocations_.upper_bound(address);
  if (it == allocations_.begin()) return nullptr;
  const Allocation& a = (--it)->second;
  return address - a.begin <= a.bytes && bytes <= a.bytes - (address - a.begin) ? &a : nullptr;
}

bool GlobalMemory::write(std::uint64_t address, const void* from, std::size_t bytes) {
  const Allocation* const a = find(address, bytes);
  if (a == nullptr) return false;
  const std::size_t at = address - a->begin;
  std::memcpy(reinterpret_cast<char*>(a->words) + at, from, bytes);
  for (std::size_t w = at / 4; w < words_of(at + bytes); ++w) {
    if (a->shadow[w].write_time == 0) a->shadow[w].write_time = kHost;
  }
  return true;
}

bool GlobalMemory::read(void* to, std::uint64_t address, std::size_t bytes) const {
  const Allocation* const a = find(address, bytes);
  if (a == nullptr) return false;
  std::memcpy(to, reinterpret_cast<const char*>(a->words) + (address - a->begin), bytes);
  return true;
}

}  // namespace brainlock::device_cuda::machine
