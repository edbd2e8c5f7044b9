#include "brainlock/crypto/hash.hpp"

#include <sodium.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sodium_ready.hpp"

namespace brainlock::crypto {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> blake2b(ByteView data) {
  sodium_ready();
  std::array<std::uint8_t, N> out{};
  crypto_generichash_blake2b(out.data(), N, data.data(), data.size(), nullptr, 0);
  return out;
}

template <std::size_t N>
std::array<std::uint8_t, N> twox(ByteView data) {
  std::array<std::uint8_t, N> out{};
  for (std::size_t word = 0; word < N / 8; ++word) {
    const std::uint64_t hash = xxh64(data, word);
    for (std::size_t i = 0; i < 8; ++i) out[word * 8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  }
  return out;
}

}  // namespace

Hash128 blake2b_128(ByteView data) { return blake2b<16>(data); }
Hash256 blake2b_256(ByteView data) { return blake2b<32>(data); }
Hash512 blake2b_512(ByteView data) { return blake2b<64>(data); }

Hash256 sha256(ByteView data) {
  Hash256 out{};
  crypto_hash_sha256(out.data(), data.data(), data.size());
  return out;
}

Hash512 sha512(ByteView data) {
  Hash512 out{};
  crypto_hash_sha512(out.data(), data.data(), data.size());
  return out;
}

std::uint64_t xxh64(ByteView data, std::uint64_t seed) { return XXH64(data.data(), data.size(), seed); }
std::array<std::uint8_t, 8> twox_64(ByteView data) { return twox<8>(data); }
Hash128 twox_128(ByteView data) { return twox<16>(data); }
Hash256 twox_256(ByteView data) { return twox<32>(data); }

Hash256 hmac_sha256(ByteView key, ByteView data) {
  Hash256 out{};
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, data.data(), data.size());
  crypto_auth_hmacsha256_final(&state, out.data());
  sodium_memzero(&state, sizeof state);
  return out;
}

}  // namespace brainlock::crypto
