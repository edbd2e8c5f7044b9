// Commit-reveal weights, version 4: a vote goes out sealed, and the chain opens it in the epoch of its reveal.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "brainlock/chain/client.hpp"
#include "brainlock/chain/timelock.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::chain {

/// Why sealed votes would not be taken, or taken and never opened, at a block: empty if they are. The runtime must have the call, ask for
/// version 4 and count its epochs, and the beacon's rounds must arrive on the chain (on a node of one's own usually none do).
[[nodiscard]] Result<std::string> why_not_timelocked(ChainClient& client, const BlockView& view);

/// Seals a vote until the first block of its reveal epoch, as estimated, and commits it. Nothing is left to do, or to keep, after that. The
/// outcome's revealed_at_block is that block. Errors: of the chain and the pairing.
[[nodiscard]] Result<ledger::Outcome> commit_timelocked(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                                                        std::span<const ledger::Weight> weights, std::uint64_t version_key,
                                                        const PairingFunction& pairing);

/// A vote's text under the seal: SCALE (hotkey as bytes, uids, values, version key).
[[nodiscard]] crypto::Bytes timelocked_text(const crypto::AccountId& hotkey, std::span<const ledger::Weight> weights, std::uint64_t version_key);

}  // namespace brainlock::chain
