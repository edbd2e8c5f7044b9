// The file with a publisher's secret key.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/ed25519.hpp"
#include "brainlock/crypto/password_box.hpp"

namespace brainlock::update {

/// Asked for when the file is encrypted. The asker of load_publisher_key() wipes what it gives.
using PasswordSource = std::function<Result<std::string>(const std::filesystem::path& file)>;

/// Writes a new file of mode 0600: two lines of text, what it is and its public key, then the seed in hexadecimal or,
/// with a password, a box of it. kDenied if there is such a file (keys are never overwritten).
Status store_publisher_key(const std::filesystem::path& file, const crypto::Ed25519KeyPair& key,
                           const std::optional<std::string>& password,
                           crypto::PasswordCost cost = crypto::PasswordCost::kModerate);

/// Reads it into locked memory. kDenied for a file that others than its owner can read or write, or a wrong password;
/// kMalformed; kMismatch if the key is not the one that the file names.
Result<crypto::Ed25519KeyPair> load_publisher_key(const std::filesystem::path& file, const PasswordSource& password);

}  // namespace brainlock::update
