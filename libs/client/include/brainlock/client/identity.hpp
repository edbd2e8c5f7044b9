// Who an asker is to a miner, where it has no wallet: a key of its own in a file.
#pragma once

#include <filesystem>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/sr25519.hpp"

namespace brainlock::client {

/// The key pair of a 32-byte seed in `seed_file` (0600), which is made if absent. Errors: of the file; kInvalidArgument
/// for another size.
Result<crypto::Sr25519KeyPair> user_key(const std::filesystem::path& seed_file);

}  // namespace brainlock::client
