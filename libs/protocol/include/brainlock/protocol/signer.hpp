// Who speaks: a 32-byte account and a way to sign for it.
#pragma once

#include <functional>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/sr25519.hpp"
#include "brainlock/crypto/ss58.hpp"

namespace brainlock::protocol {

using crypto::AccountId;

/// Signs for one account; the secret stays behind `sign`. Copyable, safe from many threads if `sign` is.
struct Signer {
  AccountId account{};
  std::function<Result<crypto::Sr25519Signature>(crypto::ByteView message)> sign;
};

/// A signer that owns a key pair.
Signer make_signer(crypto::Sr25519KeyPair key);

}  // namespace brainlock::protocol
