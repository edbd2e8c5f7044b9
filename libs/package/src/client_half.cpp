#include "brainlock/package/client_half.hpp"

#include <algorithm>
#include <map>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/package/client_codec.hpp"

namespace brainlock::package {

Result<std::shared_ptr<const ckks::Parameters>> make_parameters(const plan::ParameterChoice& choice) {
  return ckks::Parameters::create({choice.ring_degree, choice.q, choice.p, choice.digit_limbs});
}

ClientHalf::ClientHalf(plan::ClientFields fields, std::shared_ptr<const ckks::Parameters> parameters,
                       const std::array<std::uint8_t, 32>& hash)
    : fields_(std::move(fields)), parameters_(std::move(parameters)), hash_(hash) {}

Result<std::shared_ptr<const ClientHalf>> ClientHalf::from_bytes(std::span<const std::uint8_t> bytes) {
  BRAINLOCK_ASSIGN(NamedClient client, decode_client(bytes));
  auto parameters = make_parameters(client.fields.parameters);
  if (!parameters.ok()) return parameters.error().in("client half");
  return std::shared_ptr<const ClientHalf>(
      new ClientHalf(std::move(client.fields), std::move(*parameters), client.hash));
}

Result<std::vector<std::uint8_t>> ClientHalf::client_bytes() const { return encode_client(hash_, fields_); }

std::string ClientHalf::hash_hex() const { return crypto::hex_encode(hash_); }

std::vector<ckks::KeyRequest> ClientHalf::key_requests() const {
  std::vector<ckks::KeyRequest> requests;
  std::map<std::uint32_t, std::size_t> found;  // a foreign list may be as long as a ring has rotations
  const std::uint32_t n = fields_.parameters.ring_degree;
  for (const plan::KeyUse& key : fields_.keys) {
    std::uint32_t element = 0;
    if (key.kind == plan::KeyUse::Kind::kRotation) element = ckks::rotation_element(n, key.rotation);
    if (key.kind == plan::KeyUse::Kind::kConjugation) element = ckks::conjugation_element(n);
    // Two rotations may be one element (modulo N/2).
    if (const auto [at, is_new] = found.emplace(element, requests.size()); is_new)
      requests.push_back({element, key.limbs});
    else
      requests[at->second].limbs = std::max(requests[at->second].limbs, key.limbs);
  }
  return requests;
}

}  // namespace brainlock::package
