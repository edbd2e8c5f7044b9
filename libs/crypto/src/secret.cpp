#include "brainlock/crypto/secret.hpp"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>

#include "sodium_ready.hpp"

namespace brainlock::crypto {

void sodium_ready() {
  static const bool ready = [] {
    if (sodium_init() < 0) {
      std::fputs("brainlock: libsodium could not be initialised\n", stderr);
      std::abort();
    }
    return true;
  }();
  (void)ready;
}

SecretBuffer::SecretBuffer(std::size_t size) : size_(size) {
  if (size == 0) return;
  sodium_ready();
  // Locking fails quietly where RLIMIT_MEMLOCK is small; the guard pages and the wiping hold all the same.
  data_ = static_cast<std::uint8_t*>(sodium_malloc(size));
  if (data_ == nullptr) {
    std::fprintf(stderr, "brainlock: no memory for a secret of %zu bytes\n", size);
    std::abort();
  }
  sodium_memzero(data_, size);
}

SecretBuffer::~SecretBuffer() {
  if (data_ != nullptr) sodium_free(data_);
}

}  // namespace brainlock::crypto
