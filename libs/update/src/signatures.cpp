#include "brainlock/update/signatures.hpp"

#include <algorithm>
#include <set>

namespace brainlock::update {
namespace {

constexpr std::string_view kDomain{"brainlock release manifest, version 1\0", 38};
constexpr std::string_view kLineWord = "brainlock-release-signature-1";

crypto::Bytes signed_bytes(std::string_view manifest) {
  crypto::Bytes out(kDomain.size() + manifest.size());
  std::copy(kDomain.begin(), kDomain.end(), out.begin());
  std::copy(manifest.begin(), manifest.end(), out.begin() + static_cast<std::ptrdiff_t>(kDomain.size()));
  return out;
}

}  // namespace

ManifestSignature sign_manifest(const crypto::Ed25519KeyPair& key, std::string_view manifest) {
  return {key.public_key(), key.sign(signed_bytes(manifest))};
}

bool is_signed(const ManifestSignature& signature, std::string_view manifest) {
  return crypto::ed25519_verify(signature.key, signed_bytes(manifest), signature.signature);
}

std::string signature_line(const ManifestSignature& signature) {
  return std::string(kLineWord) + " " + crypto::hex_encode(signature.key) + " " +
         crypto::hex_encode(signature.signature) + "\n";
}

Result<std::vector<ManifestSignature>> parse_signatures(std::string_view text) {
  if (text.size() > kMaxSignatureBytes) {
    return Error{ErrorCode::kTooLarge, "release.json.sig: " + std::to_string(text.size()) + " bytes, limit 16 KiB"};
  }
  std::vector<ManifestSignature> out;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const auto wrong = Error{ErrorCode::kMalformed, "release.json.sig, line " + std::to_string(number) +
                                                        ": expected '" + std::string(kLineWord) + " KEY SIGNATURE'"};
    constexpr std::size_t kKey = kLineWord.size() + 1, kSignature = kKey + 65, kAll = kSignature + 128;
    if (line.size() != kAll || !line.starts_with(kLineWord) || line[kKey - 1] != ' ' || line[kSignature - 1] != ' ') {
      return wrong;
    }
    const auto key = crypto::hex_decode_array<32>(line.substr(kKey, 64));
    const auto signature = crypto::hex_decode_array<64>(line.substr(kSignature));
    if (!key.ok() || !signature.ok()) return wrong;
    if (out.size() == kMaxSignatures) return Error{ErrorCode::kTooLarge, "release.json.sig: more than 32 signatures"};
    out.push_back({key.value(), signature.value()});
  }
  return out;
}

Status check_signatures(std::string_view manifest, const std::vector<ManifestSignature>& signatures,
                        const std::vector<crypto::Ed25519PublicKey>& pinned, std::size_t threshold) {
  const std::set<crypto::Ed25519PublicKey> keys(pinned.begin(), pinned.end());
  if (threshold == 0 || threshold > keys.size() || keys.size() != pinned.size()) {
    return {ErrorCode::kInvalidArgument, "a threshold of " + std::to_string(threshold) + " with " +
                                             std::to_string(keys.size()) +
                                             " different keys asks for nothing that can be"};
  }
  std::set<crypto::Ed25519PublicKey> signers;
  for (const auto& signature : signatures) {
    if (!keys.contains(signature.key) || signers.contains(signature.key)) continue;
    if (is_signed(signature, manifest)) signers.insert(signature.key);
  }
  if (signers.size() >= threshold) return {};
  return {ErrorCode::kDenied, "the manifest is signed by " + std::to_string(signers.size()) + " of the " +
                                  std::to_string(keys.size()) + " keys that are pinned here, " +
                                  std::to_string(threshold) +
                                  " must: it is not taken; if it stays so, ask the publisher over another way"};
}

}  // namespace brainlock::update
