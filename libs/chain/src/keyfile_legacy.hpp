// The two older encryptions of key files, read-only.
#pragma once

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/secret.hpp"

namespace brainlock::chain {

/// Ansible vault 1.1 text. The HMAC is checked before anything is decrypted.
Result<crypto::SecretBuffer> decrypt_ansible_vault(crypto::ByteView file, std::string_view password);

/// Fernet token under a key of PBKDF2-HMAC-SHA256 with 10 million rounds and the format's fixed salt.
Result<crypto::SecretBuffer> decrypt_fernet_file(crypto::ByteView file, std::string_view password);

}  // namespace brainlock::chain
