#include "brainlock/crypto/sr25519.hpp"

#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/crypto/merlin.hpp"
#include "brainlock/crypto/random.hpp"
#include "sodium_ready.hpp"

namespace brainlock::crypto {
namespace {

constexpr std::uint8_t kMarkerBit = 0x80;  // Set in the last byte so that the signature cannot pass for ed25519.

bool is_zero(const std::uint8_t* bytes, std::size_t size) { return sodium_is_zero(bytes, size) == 1; }

// Whether 32 little-endian bytes are below the group order.
bool is_canonical_scalar(const std::uint8_t* scalar) {
  WipedArray<64> wide;
  WipedArray<32> reduced;
  std::memcpy(wide.data(), scalar, 32);
  crypto_core_ristretto255_scalar_reduce(reduced.data(), wide.data());
  return sodium_memcmp(reduced.data(), scalar, 32) == 0;
}

void divide_by_8(std::uint8_t* scalar) {
  std::uint8_t carry = 0;
  for (std::size_t i = 32; i-- > 0;) {
    const std::uint8_t low = scalar[i] & 7;
    scalar[i] = static_cast<std::uint8_t>(scalar[i] >> 3 | carry << 5);
    carry = low;
  }
}

MerlinTranscript signing_transcript(ByteView message, ByteView public_key) {
  MerlinTranscript t("SigningContext");
  t.append("", "substrate");
  t.append("sign-bytes", message);
  t.append("proto-name", "Schnorr-sig");
  t.append("sign:pk", public_key);
  return t;
}

void challenge_scalar_into(std::uint8_t* out, MerlinTranscript& t) {
  std::array<std::uint8_t, 64> wide{};
  t.challenge_into(wide, "sign:c");
  crypto_core_ristretto255_scalar_reduce(out, wide.data());
}

// 32-byte chain code of a junction: SCALE of the number or text, zero-padded, hashed when longer.
Hash256 chain_code(std::string_view junction) {
  Hash256 code{};
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(junction.data(), junction.data() + junction.size(), number);
  if (error == std::errc{} && end == junction.data() + junction.size()) {
    for (std::size_t i = 0; i < 8; ++i) code[i] = static_cast<std::uint8_t>(number >> (8 * i));
    return code;
  }
  Bytes scale;
  const std::size_t size = junction.size();
  if (size < 64) {
    scale.push_back(static_cast<std::uint8_t>(size << 2));
  } else {  // A junction longer than 16383 bytes is refused by from_uri.
    scale.push_back(static_cast<std::uint8_t>(size << 2 | 1));
    scale.push_back(static_cast<std::uint8_t>(size >> 6));
  }
  scale.insert(scale.end(), junction.begin(), junction.end());
  if (scale.size() > code.size()) return blake2b_256(scale);
  std::copy(scale.begin(), scale.end(), code.begin());
  return code;
}

}  // namespace

Result<Sr25519KeyPair> Sr25519KeyPair::from_mini_secret(ByteView mini_secret) {
  if (mini_secret.size() != 32) {
    return Error{ErrorCode::kInvalidArgument, "a seed has 32 bytes, got " + std::to_string(mini_secret.size())};
  }
  sodium_ready();
  WipedArray<64> hash;
  crypto_hash_sha512(hash.data(), mini_secret.data(), mini_secret.size());
  hash[0] &= 248;
  hash[31] &= 63;
  hash[31] |= 64;
  Sr25519KeyPair pair;
  pair.scalar_ = WipedArray<32>(hash.view().first<32>());
  divide_by_8(pair.scalar_.data());
  pair.nonce_seed_ = WipedArray<32>(hash.view().last<32>());
  if (crypto_scalarmult_ristretto255_base(pair.public_key_.data(), pair.scalar_.data()) != 0) {
    return Error{ErrorCode::kInternal, "seed gives the identity key"};
  }
  return pair;
}

Result<Sr25519KeyPair> Sr25519KeyPair::from_secret_key(ByteView secret_key,
                                                       const std::optional<Sr25519PublicKey>& expected) {
  if (secret_key.size() != 64) {
    return Error{ErrorCode::kInvalidArgument, "an expanded key has 64 bytes, got " + std::to_string(secret_key.size())};
  }
  sodium_ready();
  const bool divisible = (secret_key[0] & 7) == 0;
  for (const bool divide : {false, true}) {
    if (divide && !divisible) break;
    Sr25519KeyPair pair;
    std::memcpy(pair.scalar_.data(), secret_key.data(), 32);
    std::memcpy(pair.nonce_seed_.data(), secret_key.data() + 32, 32);
    if (divide) divide_by_8(pair.scalar_.data());
    if (!is_canonical_scalar(pair.scalar_.data()) || is_zero(pair.scalar_.data(), 32)) continue;
    if (crypto_scalarmult_ristretto255_base(pair.public_key_.data(), pair.scalar_.data()) != 0) continue;
    if (expected && *expected != pair.public_key_) continue;
    return pair;
  }
  if (expected) return Error{ErrorCode::kMismatch, "the expanded key does not belong to the stated public key"};
  return Error{ErrorCode::kMalformed, "the expanded key's scalar is not below the group order"};
}

Result<Sr25519Signature> Sr25519KeyPair::sign(ByteView message) const {
  sodium_ready();
  auto t = signing_transcript(message, public_key_);

  // Hedged nonce: a broken randomness source still leaves a secret value bound to key and message, and a repeated
  // message still gets a fresh one.
  WipedArray<32> random;
  random_bytes({random.data(), random.size()});
  WipedArray<64> wide;
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, nullptr, 0, wide.size());
  for (ByteView part : {ByteView(nonce_seed_.view()), ByteView(random.view()), ByteView(public_key_), message}) {
    crypto_generichash_blake2b_update(&state, part.data(), part.size());
  }
  crypto_generichash_blake2b_final(&state, wide.data(), wide.size());
  sodium_memzero(&state, sizeof state);
  WipedArray<32> r;
  crypto_core_ristretto255_scalar_reduce(r.data(), wide.data());

  Sr25519Signature signature{};
  if (crypto_scalarmult_ristretto255_base(signature.data(), r.data()) != 0) {
    return Error{ErrorCode::kInternal, "the nonce was zero"};
  }
  t.append("sign:R", ByteView(signature).first(32));
  std::array<std::uint8_t, 32> k{};
  challenge_scalar_into(k.data(), t);
  WipedArray<32> product;
  crypto_core_ristretto255_scalar_mul(product.data(), k.data(), scalar_.data());
  crypto_core_ristretto255_scalar_add(signature.data() + 32, product.data(), r.data());
  signature[63] |= kMarkerBit;
  return signature;
}

MiniSecret Sr25519KeyPair::derive_hard(std::string_view junction) const {
  MerlinTranscript t("SchnorrRistrettoHDKD");
  t.append("sign-bytes", ByteView{});
  t.append("chain-code", chain_code(junction));
  t.append("secret-key", scalar_.view());
  MiniSecret seed;
  t.challenge_into({seed.data(), seed.size()}, "HDKD-hard");
  return seed;
}

WipedArray<64> Sr25519KeyPair::secret_key() const {
  WipedArray<64> out;
  std::memcpy(out.data(), scalar_.data(), 32);
  std::memcpy(out.data() + 32, nonce_seed_.data(), 32);
  return out;
}

Sr25519KeyPair Sr25519KeyPair::clone() const {
  Sr25519KeyPair copy;
  copy.scalar_ = scalar_.clone();
  copy.nonce_seed_ = nonce_seed_.clone();
  copy.public_key_ = public_key_;
  return copy;
}

bool sr25519_verify(ByteView public_key, ByteView message, ByteView signature) {
  if (public_key.size() != 32 || signature.size() != 64) return false;
  sodium_ready();
  if ((signature[63] & kMarkerBit) == 0) return false;
  // libsodium takes 32 zero bytes for a valid point; as a public key it would verify a forged signature of anything.
  if (is_zero(public_key.data(), 32)) return false;
  std::array<std::uint8_t, 32> s{};
  std::copy_n(signature.begin() + 32, 32, s.begin());
  s[31] &= static_cast<std::uint8_t>(~kMarkerBit);
  if (is_zero(s.data(), 32) || !is_canonical_scalar(s.data())) return false;
  if (crypto_core_ristretto255_is_valid_point(public_key.data()) != 1) return false;

  auto t = signing_transcript(message, public_key);
  t.append("sign:R", signature.first(32));
  std::array<std::uint8_t, 32> k{}, s_base{}, k_key{}, difference{};
  challenge_scalar_into(k.data(), t);
  if (crypto_scalarmult_ristretto255_base(s_base.data(), s.data()) != 0) return false;
  if (crypto_scalarmult_ristretto255(k_key.data(), k.data(), public_key.data()) != 0) return false;
  if (crypto_core_ristretto255_sub(difference.data(), s_base.data(), k_key.data()) != 0) return false;
  return std::equal(difference.begin(), difference.end(), signature.begin());
}

MiniSecret generate_mini_secret() {
  MiniSecret seed;
  random_bytes({seed.data(), seed.size()});
  return seed;
}

}  // namespace brainlock::crypto
