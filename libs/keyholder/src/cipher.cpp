#include "brainlock/keyholder/cipher.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/wire/ciphertext.hpp"

namespace brainlock::keyholder {
namespace {

/// Count, level and scale are the package's, and nothing is a ciphertext in form only.
Status check_answer_form(const package::ClientHalf& client, std::span<const ckks::Ciphertext> ciphertexts) {
  const plan::TensorMap& map = client.output();
  for (const ckks::Ciphertext& ciphertext : ciphertexts) {
    if (ciphertexts.size() != map.ciphertexts || ciphertext.limbs != map.limbs ||
        !ciphertext.scale.matches(ckks::Scale::from_value(map.scale))) {
      char text[200];
      std::snprintf(text, sizeof text,
                    "no answer of this package: %zu ciphertext(s) at %u limbs, scale 2^%.2f; expected %u at %u limbs, "
                    "scale 2^%.2f",
                    ciphertexts.size(), ciphertext.limbs, ciphertext.scale.log2(), map.ciphertexts, map.limbs,
                    std::log2(map.scale));
      return {ErrorCode::kMismatch, text};
    }
    // c0 + c1 s with c1 = 0 in any limb reads the same under every key there.
    const std::size_t n = client.parameters()->ring_degree();
    for (std::size_t limb = 0; limb < ciphertext.limbs; ++limb) {
      const auto begin = ciphertext.c1.begin() + static_cast<std::ptrdiff_t>(limb * n);
      if (std::all_of(begin, begin + static_cast<std::ptrdiff_t>(n), [](std::uint32_t word) { return word == 0; })) {
        return {ErrorCode::kInsecure, "the answer is not encrypted: its second half is zero"};
      }
    }
  }
  return {};
}

}  // namespace

std::size_t size_of(const plan::TensorMap& map) { return std::size_t{map.channels} * map.height * map.width; }

Result<std::vector<ckks::Ciphertext>> encrypt_tensor(const package::ClientHalf& client,
                                                     const ckks_client::SecretKey& key, const ckks::Encoder& encoder,
                                                     std::span<const float> values) {
  const plan::TensorMap& map = client.input();
  std::vector<ckks::Ciphertext> out;
  for (const auto& slots : plan::pack(map, client.parameters()->slots(), values)) {
    BRAINLOCK_ASSIGN(ckks::Ciphertext ciphertext,
                     ckks_client::encrypt(key, encoder, slots, ckks::Scale::from_value(map.scale), map.limbs));
    out.push_back(std::move(ciphertext));
  }
  return out;
}

Result<std::vector<double>> decrypt_tensor(const package::ClientHalf& client, const ckks_client::SecretKey& key,
                                           const ckks::Encoder& encoder, std::span<const ckks::Ciphertext> outputs) {
  const plan::TensorMap& map = client.output();
  if (outputs.size() != map.ciphertexts) {
    return Error{ErrorCode::kMismatch, "expected " + std::to_string(map.ciphertexts) + " output ciphertexts, got " +
                                           std::to_string(outputs.size())};
  }
  ckks_client::DecryptedSlots decrypted;
  for (const ckks::Ciphertext& ciphertext : outputs) {
    BRAINLOCK_ASSIGN(auto values, ckks_client::decrypt(key, encoder, ciphertext));
    decrypted.add(std::move(values));
  }
  return plan::unpack(map, decrypted.slots());
}

Cipher::Cipher(std::shared_ptr<const package::ClientHalf> client, ckks_client::SecretKey secret)
    : client_(std::move(client)), secret_(std::move(secret)), encoder_(client_->parameters()) {}

std::uint64_t Cipher::question_bytes() const {
  const auto& input = client_->input();
  return wire::ciphertexts_bytes(*client_->parameters(), input.ciphertexts, input.limbs, /*seeded=*/true);
}

std::uint64_t Cipher::answer_bytes() const {
  const auto& output = client_->output();
  return wire::ciphertexts_bytes(*client_->parameters(), output.ciphertexts, output.limbs, /*seeded=*/false);
}

Result<std::vector<std::uint8_t>> Cipher::encrypt(std::span<const float> tensor) const {
  const std::size_t takes = size_of(client_->input());
  if (tensor.size() != takes) {
    return {ErrorCode::kInvalidArgument,
            "the model takes " + std::to_string(takes) + " values, got " + std::to_string(tensor.size())};
  }
  for (const float value : tensor) {
    if (!std::isfinite(value)) return {ErrorCode::kInvalidArgument, "an input value is not finite"};
  }
  BRAINLOCK_ASSIGN(const auto ciphertexts, encrypt_tensor(*client_, secret_, encoder_, tensor));
  return wire::serialize_ciphertexts(ciphertexts, *client_->parameters());
}

Result<std::vector<double>> Cipher::decrypt(std::span<const std::uint8_t> answer) const {
  BRAINLOCK_ASSIGN(const auto ciphertexts,
                   wire::parse_ciphertexts(answer, *client_->parameters(), client_->output().ciphertexts));
  BRAINLOCK_TRY(check_answer_form(*client_, ciphertexts));
  return decrypt_tensor(*client_, secret_, encoder_, ciphertexts);
}

}  // namespace brainlock::keyholder
