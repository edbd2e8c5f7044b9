#include "brainlock/crypto/ss58.hpp"

#include <algorithm>
#include <vector>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/hash.hpp"

namespace brainlock::crypto {
namespace {

constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::size_t kPayloadBytes = 1 + 32 + 2;
constexpr std::size_t kMaxCharacters = 64;  // 35 bytes need at most 48; more is refused before any arithmetic.

std::array<std::uint8_t, 2> checksum(ByteView prefixed) {
  Bytes data(as_bytes("SS58PRE").begin(), as_bytes("SS58PRE").end());
  data.insert(data.end(), prefixed.begin(), prefixed.end());
  const Hash512 hash = blake2b_512(data);
  return {hash[0], hash[1]};
}

std::string base58_encode(ByteView bytes) {
  std::vector<std::uint8_t> digits;  // Little-endian base 58.
  for (std::uint8_t byte : bytes) {
    unsigned carry = byte;
    for (auto& digit : digits) {
      carry += static_cast<unsigned>(digit) << 8;
      digit = static_cast<std::uint8_t>(carry % 58);
      carry /= 58;
    }
    for (; carry > 0; carry /= 58) digits.push_back(static_cast<std::uint8_t>(carry % 58));
  }
  std::string out;
  for (std::uint8_t byte : bytes) {
    if (byte != 0) break;
    out.push_back('1');
  }
  std::for_each(digits.rbegin(), digits.rend(), [&](std::uint8_t d) { out.push_back(kAlphabet[d]); });
  return out;
}

Result<Bytes> base58_decode(std::string_view text) {
  if (text.empty() || text.size() > kMaxCharacters) {
    return Error{ErrorCode::kMalformed, "an address has 1 to 64 characters, got " + std::to_string(text.size())};
  }
  Bytes bytes;  // Little-endian base 256.
  for (char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return Error{ErrorCode::kMalformed, "address has a character outside base58"};
    unsigned carry = static_cast<unsigned>(digit);
    for (auto& byte : bytes) {
      carry += static_cast<unsigned>(byte) * 58;
      byte = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
    for (; carry > 0; carry >>= 8) bytes.push_back(static_cast<std::uint8_t>(carry));
  }
  for (char c : text) {
    if (c != '1') break;
    bytes.push_back(0);
  }
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

}  // namespace

std::string ss58_encode(const AccountId& account, std::uint8_t prefix) {
  Bytes payload;
  payload.reserve(kPayloadBytes);
  payload.push_back(prefix & 63);
  payload.insert(payload.end(), account.begin(), account.end());
  const auto sum = checksum(payload);
  payload.insert(payload.end(), sum.begin(), sum.end());
  return base58_encode(payload);
}

Result<AccountId> ss58_decode(std::string_view address, std::uint8_t prefix) {
  BRAINLOCK_ASSIGN(Bytes bytes, base58_decode(address));
  if (bytes.size() != kPayloadBytes) {
    return Error{ErrorCode::kMalformed, "an address holds 35 bytes, got " + std::to_string(bytes.size())};
  }
  const auto sum = checksum(ByteView(bytes).first(33));
  if (sum[0] != bytes[33] || sum[1] != bytes[34]) {
    return Error{ErrorCode::kCorrupted, "address checksum does not match: a character was mistyped"};
  }
  if (bytes[0] != prefix) {
    return Error{ErrorCode::kMismatch, "address is of network prefix " + std::to_string(bytes[0]) + ", expected " +
                                           std::to_string(prefix)};
  }
  AccountId account{};
  std::copy_n(bytes.begin() + 1, 32, account.begin());
  return account;
}

}  // namespace brainlock::crypto
