// Expansion of public seeds into uniform polynomials: the same bytes on every machine.
#pragma once

#include <cstdint>

#include "brainlock/ckks/objects.hpp"

namespace brainlock::ckks {

/// Writes `ring_degree` words uniform in [0, q): ChaCha20 (IETF) keystream of `seed` with the stream number as
/// little-endian 12-byte nonce, read as little-endian 32-bit words, masked to the bit length of q, rejected if >= q.
/// The result is taken as evaluation-domain values (uniform is uniform in both domains).
void uniform_limb(const Seed& seed, std::uint64_t stream, std::uint32_t q, std::uint32_t* out, std::size_t ring_degree);

/// Fills c1 from the seed if it is empty: limb l = uniform(seed, stream l).
void expand(Ciphertext& ciphertext, const Parameters& parameters);
/// Fills key.a over q[0..q_count) from the seed if it is empty: limb l = uniform(seed, stream l).
void expand(PublicKey& key, const Parameters& parameters);
/// Fills key.a from key.seed if it is empty.
void expand(EvaluationKey& key, const Parameters& parameters);

}  // namespace brainlock::ckks
