#include "brainlock/crypto/chacha20.hpp"

#include <sodium.h>

#include <cassert>
#include <cstring>

#include "sodium_ready.hpp"

namespace brainlock::crypto {

void chacha20_keystream(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t, 12> nonce,
                        std::uint32_t block, std::span<std::uint8_t> out) {
  assert(std::uint64_t{block} * 64 + out.size() <= (std::uint64_t{1} << 38));
  sodium_ready();
  if (block == 0) {
    crypto_stream_chacha20_ietf(out.data(), out.size(), nonce.data(), key.data());
    return;
  }
  std::memset(out.data(), 0, out.size());
  crypto_stream_chacha20_ietf_xor_ic(out.data(), out.data(), out.size(), nonce.data(), block, key.data());
}

}  // namespace brainlock::crypto
