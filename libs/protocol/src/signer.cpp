#include "brainlock/protocol/signer.hpp"

#include <memory>

namespace brainlock::protocol {

Signer make_signer(crypto::Sr25519KeyPair key) {
  auto shared = std::make_shared<const crypto::Sr25519KeyPair>(std::move(key));
  return {shared->public_key(), [shared](crypto::ByteView message) { return shared->sign(message); }};
}

}  // namespace brainlock::protocol
