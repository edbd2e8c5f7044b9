// Who says that a manifest is theirs: ed25519 over its exact bytes, and how many of the operator's pinned keys must.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/ed25519.hpp"

namespace brainlock::update {

inline constexpr std::size_t kMaxSignatureBytes = 16 * 1024;
inline constexpr std::size_t kMaxSignatures = 32;

struct ManifestSignature {
  crypto::Ed25519PublicKey key{};
  crypto::Ed25519Signature signature{};
};

/// Of kDomain || bytes: a signature for a release is none for anything else that the key might ever sign.
ManifestSignature sign_manifest(const crypto::Ed25519KeyPair& key, std::string_view manifest);
/// Whether it is one.
bool is_signed(const ManifestSignature& signature, std::string_view manifest);

/// release.json.sig: a line for each signature, "brainlock-release-signature-1 KEY SIGNATURE" in hexadecimal; empty
/// lines and those that begin with '#' say nothing. kTooLarge, kMalformed.
Result<std::vector<ManifestSignature>> parse_signatures(std::string_view text);
std::string signature_line(const ManifestSignature& signature);

/// Ok if at least `threshold` of `pinned`, each counted once, have signed `manifest`. kDenied says how many did, and
/// names no key that is not pinned. kInvalidArgument where nothing could ever be enough, or where nothing would be
/// asked (a threshold of 0, more than there are keys, a key twice).
Status check_signatures(std::string_view manifest, const std::vector<ManifestSignature>& signatures,
                        const std::vector<crypto::Ed25519PublicKey>& pinned, std::size_t threshold);

}  // namespace brainlock::update
