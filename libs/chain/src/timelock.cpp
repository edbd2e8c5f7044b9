#include "brainlock/chain/timelock.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/crypto/random.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::chain {
namespace {

using crypto::Bytes;
using crypto::ByteView;
using Block = std::array<std::uint8_t, 32>;

// "quicknet", chain hash 52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971.
constexpr std::string_view kBeaconKey =
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
    "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
// Of the scalars: the order of G1 and G2.
constexpr Block kOrder{0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8, 0x08, 0x09, 0xa1, 0xd8, 0x05,
                       0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01};
constexpr std::size_t kTagBytes = 16;

Block exclusive_or(Block a, const Block& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
  return a;
}

// A big-endian number modulo the order. 2^256 is less than three times the order: two subtractions, each done and then kept or not.
Block modulo_order(Block number) {
  for (int i = 0; i < 2; ++i) {
    Block less{};
    unsigned borrow = 0;
    for (std::size_t k = number.size(); k-- > 0;) {
      const unsigned difference = 256U + number[k] - kOrder[k] - borrow;
      less[k] = static_cast<std::uint8_t>(difference);
      borrow = 1U - (difference >> 8);
    }
    const auto keep = static_cast<std::uint8_t>(0U - borrow);
    for (std::size_t k = 0; k < number.size(); ++k) number[k] = static_cast<std::uint8_t>((number[k] & keep) | (less[k] & ~keep));
  }
  return number;
}

Block hash_of_pair(const Block& a, const Block& b) {
  std::array<std::uint8_t, 64> both{};
  std::copy(a.begin(), a.end(), both.begin());
  std::copy(b.begin(), b.end(), both.begin() + 32);
  const Block out = crypto::sha256(both);
  crypto::wipe(both);
  return out;
}

// AES-256-GCM, the tag behind the text.
Result<Bytes> seal_text(ByteView text, const TimelockSecrets& secrets) {
  Bytes out(text.size() + kTagBytes);
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int size = 0, rest = 0;
  const bool sealed = context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, secrets.text_key.data(), secrets.nonce.data()) == 1 &&
                      EVP_EncryptUpdate(context.get(), out.data(), &size, text.data(), static_cast<int>(text.size())) == 1 &&
                      EVP_EncryptFinal_ex(context.get(), out.data() + size, &rest) == 1 &&
                      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out.data() + text.size()) == 1;
  if (!sealed) return Error{ErrorCode::kInternal, "AES-256-GCM failed"};
  return out;
}

}  // namespace

std::uint64_t beacon_round_at(std::int64_t unix_ms) {
  return unix_ms < kBeaconGenesisMs ? 0 : static_cast<std::uint64_t>((unix_ms - kBeaconGenesisMs) / kBeaconPeriodMs) + 1;
}

TimelockSecrets TimelockSecrets::random() {
  TimelockSecrets out;
  crypto::random_bytes(out.text_key);
  crypto::random_bytes(out.seed);
  crypto::random_bytes(out.nonce);
  return out;
}

TimelockSecrets::~TimelockSecrets() {
  crypto::wipe(text_key);
  crypto::wipe(seed);
}

Result<Bytes> timelock_seal(ByteView text, std::uint64_t round, const PairingFunction& pairing, const TimelockSecrets& secrets) {
  std::array<std::uint8_t, 8> number{};
  for (std::size_t i = 0; i < number.size(); ++i) number[i] = static_cast<std::uint8_t>(round >> (56 - 8 * i));
  const Block identity = crypto::sha256(number);
  Block sigma = crypto::sha256(secrets.seed);
  Block r = modulo_order(hash_of_pair(sigma, secrets.text_key));
  auto blinded = pairing(identity, r, *crypto::hex_decode(kBeaconKey));
  crypto::wipe(r);
  if (!blinded.ok()) return blinded.error();
  const Block masked_sigma = exclusive_or(sigma, crypto::sha256(blinded->value));
  const Block masked_key = exclusive_or(secrets.text_key, crypto::sha256(sigma));
  crypto::wipe(sigma);
  crypto::wipe(blinded->value);
  BRAINLOCK_ASSIGN(const Bytes sealed, seal_text(text, secrets));

  scale_codec::Encoder body;
  body.u64(sealed.size()).raw(sealed).u64(secrets.nonce.size()).raw(secrets.nonce);
  scale_codec::Encoder out;
  const auto part = [&](ByteView bytes) { out.u64(bytes.size()).raw(bytes); };
  out.raw(blinded->point);
  part(masked_sigma);
  part(masked_key);
  part(body.data());
  part(crypto::as_bytes("AES_GCM_"));
  return out.take();
}

}  // namespace brainlock::chain
