// Public encryption keys on the wire, seeded.
#pragma once

#include "brainlock/ckks/objects.hpp"
#include "brainlock/wire/header.hpp"

namespace brainlock::wire {

/// Size of the one form there is, header included.
std::uint64_t public_key_bytes(const ckks::Parameters& parameters);

/// kInvalidArgument: no seed, wrong sizes, a word that is not reduced.
Result<Bytes> serialize_public_key(const ckks::PublicKey& key, const ckks::Parameters& parameters);
/// Reads a key and expands its uniform half. kTooLarge, kTruncated, kMalformed, kUnsupported, kCorrupted, kMismatch.
Result<ckks::PublicKey> parse_public_key(ByteView bytes, const ckks::Parameters& parameters);

}  // namespace brainlock::wire
