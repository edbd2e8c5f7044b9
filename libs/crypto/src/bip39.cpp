#include "brainlock/crypto/bip39.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/crypto/random.hpp"

namespace brainlock::crypto {
namespace {

constexpr std::size_t kMaxMnemonicCharacters = 512;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Wipes a byte buffer at the end of a scope.
struct WipeGuard {
  Bytes& bytes;
  ~WipeGuard() { wipe(bytes); }
};

}  // namespace

Result<std::string> mnemonic_from_entropy(ByteView entropy) {
  if (entropy.size() < 16 || entropy.size() > 32 || entropy.size() % 4 != 0) {
    return Error{ErrorCode::kInvalidArgument, "entropy must have 16, 20, 24, 28 or 32 bytes"};
  }
  Bytes bits(entropy.begin(), entropy.end());
  WipeGuard guard{bits};
  bits.push_back(sha256(entropy)[0]);  // Checksum: entropy bits / 32, at most 8.
  const std::size_t word_count = entropy.size() * 3 / 4;
  const auto words = bip39_english_words();
  std::string out;
  out.reserve(word_count * 9);  // The longest word has 8 letters: no reallocation leaves a copy behind.
  for (std::size_t w = 0; w < word_count; ++w) {
    unsigned index = 0;
    for (std::size_t bit = w * 11; bit < w * 11 + 11; ++bit) {
      index = index << 1 | (bits[bit / 8] >> (7 - bit % 8) & 1u);
    }
    if (w > 0) out.push_back(' ');
    out.append(words[index]);
  }
  return out;
}

Result<Bytes> mnemonic_to_entropy(std::string_view mnemonic) {
  if (mnemonic.size() > kMaxMnemonicCharacters) {
    return Error{ErrorCode::kTooLarge, "a mnemonic has at most 512 characters"};
  }
  const auto words = bip39_english_words();
  Bytes bits(33, 0);
  WipeGuard guard{bits};
  std::size_t word_count = 0;
  for (std::size_t at = 0; at < mnemonic.size();) {
    if (is_space(mnemonic[at])) {
      ++at;
      continue;
    }
    std::array<char, 8> word{};
    std::size_t length = 0;
    for (; at < mnemonic.size() && !is_space(mnemonic[at]); ++at) {
      const char c = mnemonic[at];
      if (length < word.size()) word[length] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      ++length;
    }
    const std::string_view text(word.data(), std::min(length, word.size()));
    const auto found = std::lower_bound(words.begin(), words.end(), text);
    if (length > word.size() || found == words.end() || *found != text) {
      return Error{ErrorCode::kMalformed,
                   "word " + std::to_string(word_count + 1) + " of the mnemonic is not in the English list"};
    }
    if (word_count == 24) return Error{ErrorCode::kMalformed, "a mnemonic has at most 24 words"};
    const auto index = static_cast<unsigned>(found - words.begin());
    for (std::size_t i = 0; i < 11; ++i) {
      const std::size_t bit = word_count * 11 + i;
      bits[bit / 8] = static_cast<std::uint8_t>(bits[bit / 8] | (index >> (10 - i) & 1u) << (7 - bit % 8));
    }
    wipe(word.data(), word.size());
    ++word_count;
  }
  if (word_count < 12 || word_count % 3 != 0) {
    return Error{ErrorCode::kMalformed,
                 "a mnemonic has 12, 15, 18, 21 or 24 words, got " + std::to_string(word_count)};
  }
  const std::size_t entropy_bytes = word_count * 4 / 3;
  const std::size_t checksum_bits = word_count / 3;
  Bytes entropy(bits.begin(), bits.begin() + static_cast<std::ptrdiff_t>(entropy_bytes));
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - checksum_bits));
  if ((sha256(entropy)[0] & mask) != (bits[entropy_bytes] & mask)) {
    wipe(entropy);
    return Error{ErrorCode::kCorrupted, "mnemonic checksum does not match: a word is wrong or out of order"};
  }
  return entropy;
}

Result<std::string> generate_mnemonic(int word_count) {
  if (word_count < 12 || word_count > 24 || word_count % 3 != 0) {
    return Error{ErrorCode::kInvalidArgument, "a mnemonic has 12, 15, 18, 21 or 24 words"};
  }
  Bytes entropy(static_cast<std::size_t>(word_count) * 4 / 3);
  WipeGuard guard{entropy};
  random_bytes(entropy);
  return mnemonic_from_entropy(entropy);
}

Result<MiniSecret> mnemonic_to_mini_secret(std::string_view mnemonic, std::string_view passphrase) {
  BRAINLOCK_ASSIGN(Bytes entropy, mnemonic_to_entropy(mnemonic));
  WipeGuard entropy_guard{entropy};
  Bytes salt(as_bytes("mnemonic").begin(), as_bytes("mnemonic").end());
  salt.insert(salt.end(), passphrase.begin(), passphrase.end());
  WipeGuard salt_guard{salt};
  WipedArray<64> seed;
  BRAINLOCK_TRY(pbkdf2_sha512_into({seed.data(), seed.size()}, entropy, salt, 2048));
  return MiniSecret(seed.view().first<32>());
}

}  // namespace brainlock::crypto
