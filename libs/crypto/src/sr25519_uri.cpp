// Secret URIs, as Substrate's tools write them.
#include <algorithm>
#include <string>

#include "brainlock/crypto/bip39.hpp"
#include "brainlock/crypto/sr25519.hpp"

namespace brainlock::crypto {
namespace {

constexpr std::string_view kDevelopmentPhrase =
    "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

}  // namespace

Result<Sr25519KeyPair> Sr25519KeyPair::from_uri(std::string_view uri) {
  if (uri.size() > 4096) return Error{ErrorCode::kTooLarge, "a secret URI has at most 4096 characters"};
  std::string_view password;
  if (const auto at = uri.find("///"); at != std::string_view::npos) {
    password = uri.substr(at + 3);
    uri = uri.substr(0, at);
  }
  const auto path_at = std::min(uri.find('/'), uri.size());
  std::string_view path = uri.substr(path_at);
  const std::string_view phrase = path_at == 0 ? kDevelopmentPhrase : uri.substr(0, path_at);
  MiniSecret seed;
  if (phrase.starts_with("0x")) {
    BRAINLOCK_ASSIGN(auto raw, hex_decode_array<32>(phrase));
    seed = MiniSecret(raw);
    wipe(raw);
  } else {
    BRAINLOCK_ASSIGN(seed, mnemonic_to_mini_secret(phrase, password));
  }
  BRAINLOCK_ASSIGN(auto pair, from_mini_secret(seed.view()));
  while (!path.empty()) {
    if (!path.starts_with("//")) {
      return Error{ErrorCode::kUnsupported, "only hard junctions (//name) are supported in a secret URI"};
    }
    path.remove_prefix(2);
    const auto end = std::min(path.find('/'), path.size());
    const std::string_view junction = path.substr(0, end);
    if (junction.empty()) return Error{ErrorCode::kMalformed, "a secret URI has an empty junction"};
    path = path.substr(end);
    const MiniSecret child = pair.derive_hard(junction);
    BRAINLOCK_ASSIGN(pair, from_mini_secret(child.view()));
  }
  return pair;
}

}  // namespace brainlock::crypto
