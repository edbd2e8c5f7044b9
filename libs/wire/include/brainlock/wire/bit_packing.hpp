// Residues in as many bits as their prime needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace brainlock::wire {

/// Bytes of n words (n a multiple of 8) in `bits` bits each.
constexpr std::size_t packed_bytes(std::size_t n, int bits) { return n / 8 * static_cast<std::size_t>(bits); }
/// Bit length of the residues of q: 30 for 2^29 < q < 2^30.
int residue_bits(std::uint32_t q);

/// Word i takes bits [i * bits, (i + 1) * bits) of `out`, bit k of the stream being bit k % 8 of byte k / 8.
/// Every word must be below 2^bits; 1 <= bits <= 30; words.size() a multiple of 8; out.size() == packed_bytes().
void pack_words(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> out);

/// The inverse. Returns false if a word is not below q (bits = residue_bits(q)); the output is then unspecified.
bool unpack_words(std::span<const std::uint8_t> packed, std::uint32_t q, std::span<std::uint32_t> out);

}  // namespace brainlock::wire
