// Sealing a text until a round of the beacon "quicknet" of drand is published, as subtensor's commit-reveal version 4 takes votes: Boneh and
// Franklin's identity-based encryption (with Fujisaki and Okamoto's check) to the round's signature, and AES-256-GCM under a key so sealed.
// Whoever has the round's signature, and nobody before, can open it: the chain does, by itself.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"

namespace brainlock::chain {

inline constexpr std::int64_t kBeaconGenesisMs = 1'692'803'367'000;
inline constexpr std::int64_t kBeaconPeriodMs = 3'000;
/// A sealed text is so much longer than the text.
inline constexpr std::size_t kTimelockOverhead = 244;

/// The round that is the newest at a Unix time; 0 before the first (which is round 1, at the genesis).
[[nodiscard]] std::uint64_t beacon_round_at(std::int64_t unix_ms);

/// What of a seal lies on the curve.
struct Blinded {
  std::array<std::uint8_t, 96> point{};    ///< r * generator of G2, compressed
  std::array<std::uint8_t, 576> value{};   ///< e(H(round), r * key), as arkworks writes it
};
/// Computes that for a round's hash (32 bytes), a secret scalar r (32 bytes, big-endian, not 0) and the beacon's key (96 bytes).
using PairingFunction = std::function<Result<Blinded>(crypto::ByteView round, crypto::ByteView r, crypto::ByteView key)>;

/// What a seal is made from besides text and round; from the operating system's generator, and for known answers.
struct TimelockSecrets {
  std::array<std::uint8_t, 32> text_key{};   ///< of AES-256-GCM
  std::array<std::uint8_t, 32> seed{};
  std::array<std::uint8_t, 12> nonce{};
  static TimelockSecrets random();
  ~TimelockSecrets();
};

/// The sealed text as the chain stores it. Errors: of the pairing; kInternal from the cipher. Cost: that of the pairing, some milliseconds.
[[nodiscard]] Result<crypto::Bytes> timelock_seal(crypto::ByteView text, std::uint64_t round, const PairingFunction& pairing,
                                                  const TimelockSecrets& secrets = TimelockSecrets::random());

}  // namespace brainlock::chain
