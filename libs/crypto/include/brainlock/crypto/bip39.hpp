// BIP39 English mnemonics and Substrate's way from a mnemonic to a seed (which is not BIP39's own).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/mini_secret.hpp"

namespace brainlock::crypto {

/// The 2048 words, sorted.
[[nodiscard]] std::span<const std::string_view> bip39_english_words();

/// Entropy of 16, 20, 24, 28 or 32 bytes as 12 to 24 words with the checksum. The caller wipes the text.
[[nodiscard]] Result<std::string> mnemonic_from_entropy(ByteView entropy);

/// Reads words (any case, any white space) and verifies the checksum. kMalformed for an unknown word or count (the
/// word itself is never quoted), kCorrupted for the checksum. The caller wipes the bytes.
[[nodiscard]] Result<Bytes> mnemonic_to_entropy(std::string_view mnemonic);

/// Fresh mnemonic of 12, 15, 18, 21 or 24 words from the operating system's randomness. The caller wipes the text.
[[nodiscard]] Result<std::string> generate_mnemonic(int word_count = 12);

/// Seed of a mnemonic: the first half of PBKDF2-HMAC-SHA512(entropy, "mnemonic" || passphrase, 2048).
/// The passphrase is taken as the UTF-8 bytes given (no Unicode normalisation).
[[nodiscard]] Result<MiniSecret> mnemonic_to_mini_secret(std::string_view mnemonic, std::string_view passphrase = {});

}  // namespace brainlock::crypto
