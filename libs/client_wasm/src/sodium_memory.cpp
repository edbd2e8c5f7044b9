// libsodium's functions for memory, under its names: its own module has another memory, and here are neither pages to
// guard nor to lock. A browser's pages may be written to a swap device; SECURITY.md says so.
#include <sodium.h>

#include <cstdlib>
#include <cstring>

extern "C" {

int sodium_init() { return 0; }

void sodium_memzero(void* const memory, const size_t size) {
  std::memset(memory, 0, size);
  asm volatile("" : : "r"(memory) : "memory");  // somebody may look
}

int sodium_memcmp(const void* const a, const void* const b, size_t size) {
  const auto* x = static_cast<const volatile unsigned char*>(a);
  const auto* y = static_cast<const volatile unsigned char*>(b);
  unsigned char difference = 0;
  for (size_t i = 0; i < size; ++i) difference = static_cast<unsigned char>(difference | (x[i] ^ y[i]));
  return (1 & ((difference - 1) >> 8)) - 1;
}

int sodium_is_zero(const unsigned char* const bytes, const size_t size) {
  const volatile unsigned char* const x = bytes;
  unsigned char any = 0;
  for (size_t i = 0; i < size; ++i) any = static_cast<unsigned char>(any | x[i]);
  return 1 & ((any - 1) >> 8);
}

/// The size stands before the memory, for wiping it; 64 bytes, since what is behind is aligned.
void* sodium_malloc(const size_t size) {
  constexpr size_t kBefore = 64;
  if (size > SIZE_MAX - kBefore) return nullptr;
  auto* const block = static_cast<unsigned char*>(std::malloc(size + kBefore));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &size, sizeof size);
  return block + kBefore;
}

void sodium_free(void* memory) {
  if (memory == nullptr) return;
  auto* const block = static_cast<unsigned char*>(memory) - 64;
  size_t size = 0;
  std::memcpy(&size, block, sizeof size);
  sodium_memzero(memory, size);
  std::free(block);
}
}
