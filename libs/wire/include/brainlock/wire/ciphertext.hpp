// Ciphertexts on the wire: a list of them, seeded where they are fresh.
#pragma once

#include <vector>

#include "brainlock/ckks/objects.hpp"
#include "brainlock/wire/header.hpp"

namespace brainlock::wire {

/// Largest number of ciphertexts in one object.
inline constexpr std::uint32_t kMaxCiphertexts = 1024;

/// Size of a list of `count` ciphertexts of `limbs` limbs each, header included.
std::uint64_t ciphertexts_bytes(const ckks::Parameters& parameters, std::uint32_t count, std::uint32_t limbs, bool seeded);

/// Ciphertexts with a seed are written without c1. kInvalidArgument: none or too many, sizes that do not fit the
/// parameters, a word that is not reduced.
Result<Bytes> serialize_ciphertexts(std::span<const ckks::Ciphertext> ciphertexts, const ckks::Parameters& parameters);
Result<Bytes> serialize_ciphertext(const ckks::Ciphertext& ciphertext, const ckks::Parameters& parameters);

/// Reads a list; c1 of seeded ciphertexts is expanded. Refuses more than `max_count` (kTooLarge) before it allocates;
/// every word below its prime, 1 <= limbs <= q_count, 1 <= scale < the modulus.
/// kTooLarge, kTruncated, kMalformed, kUnsupported, kCorrupted, kMismatch (other parameters).
Result<std::vector<ckks::Ciphertext>> parse_ciphertexts(ByteView bytes, const ckks::Parameters& parameters,
                                                        std::uint32_t max_count = kMaxCiphertexts);
/// Exactly one ciphertext.
Result<ckks::Ciphertext> parse_ciphertext(ByteView bytes, const ckks::Parameters& parameters);

}  // namespace brainlock::wire
