#include "brainlock/protocol/tls_proof.hpp"

#include <algorithm>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::protocol {
namespace {

std::string signed_text(const std::array<std::uint8_t, 32>& key_hash) { return "brainlock-tls-v1\n" + crypto::hex_encode(key_hash); }

}  // namespace

Result<std::vector<std::uint8_t>> make_tls_proof(const Signer& signer, const std::array<std::uint8_t, 32>& key_hash) {
  BRAINLOCK_ASSIGN(const auto signature, signer.sign(crypto::as_bytes(signed_text(key_hash))));
  std::vector<std::uint8_t> out(signer.account.begin(), signer.account.end());
  out.insert(out.end(), signature.begin(), signature.end());
  return out;
}

bool check_tls_proof(const AccountId& account, const std::array<std::uint8_t, 32>& key_hash, std::span<const std::uint8_t> proof) {
  return proof.size() == 96 && std::equal(account.begin(), account.end(), proof.begin()) &&
         crypto::sr25519_verify(account, signed_text(key_hash), proof.subspan(32));
}

}  // namespace brainlock::protocol
