// Signed extrinsics, format version 4: what is signed, and the bytes that are sent.
#pragma once

#include <cstdint>

#include "brainlock/base/result.hpp"
#include "brainlock/chain/metadata.hpp"
#include "brainlock/chain/rpc.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/sr25519.hpp"
#include "brainlock/crypto/ss58.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::chain {

/// How long an extrinsic stays valid: for ever, or within one period of blocks from its birth.
struct Era {
  std::uint64_t period = 0;  ///< 0 = immortal, else a power of two from 4 to 65536
  std::uint64_t phase = 0;   ///< birth block modulo period, rounded to the period's grain

  /// An era of about `period` blocks (rounded up to a power of two, 4 to 65536) that holds `current`.
  [[nodiscard]] static Era mortal(std::uint64_t period, std::uint64_t current);
  /// The block whose hash is signed: the largest birth not after `current`.
  [[nodiscard]] std::uint64_t birth(std::uint64_t current) const;
  /// 1 or 2 bytes.
  [[nodiscard]] crypto::Bytes encode() const;
};

/// Everything that is signed besides the call.
struct SigningContext {
  std::uint32_t spec_version = 0;
  std::uint32_t transaction_version = 0;
  BlockHash genesis{};
  BlockHash mortality{};  ///< hash of the era's birth block; genesis for an immortal one
  Era era;
  std::uint32_t nonce = 0;
  std::uint64_t tip = 0;
};

/// kUnsupported when this runtime wants another extrinsic version, a signed extension that is not known here, or a known
/// one of another shape. Nothing is signed then: guessed bytes could mean something else.
[[nodiscard]] Status check_signing_rules(const Metadata& metadata);

/// call || extra || additional: what is signed as it is up to 256 bytes, and through BLAKE2b-256 above.
[[nodiscard]] crypto::Bytes signed_bytes(crypto::ByteView call, const SigningContext& context);
/// signed_bytes, or their hash.
[[nodiscard]] crypto::Bytes signing_payload(crypto::ByteView call, const SigningContext& context);

/// The extrinsic with its length prefix.
[[nodiscard]] crypto::Bytes assemble_extrinsic(crypto::ByteView call, const SigningContext& context,
                                               const crypto::AccountId& signer,
                                               const crypto::Sr25519Signature& signature);

/// check_signing_rules, sign, assemble.
[[nodiscard]] Result<crypto::Bytes> sign_extrinsic(const Metadata& metadata, crypto::ByteView call,
                                                   const SigningContext& context, const ledger::Signer& signer);

}  // namespace brainlock::chain
