// Which validator asks which miner when: what those of a subnet agree on without a word. Pure.
#pragma once

#include <optional>
#include <vector>

#include "brainlock/ledger/types.hpp"

namespace brainlock::ledger {

/// The miners of a metagraph: neurons that serve an address, in uid order. (Validators serve none.)
std::vector<Uid> miners_of(const Metagraph& metagraph);

/// The validators that share the miners: those with a permit whose vote still counts, by rank, and `self` if it has a permit. (A permit
/// without votes asks nobody; its share of the miners would rest, at times that they can foretell.)
std::vector<Uid> sharing_validators(const Metagraph& metagraph, Uid self);

/// Time is cut into slots of `slot_blocks` blocks. In each slot every miner belongs to exactly one of the sharing validators,
/// ordered by *rank* (stake), and over as many slots as there are validators each validator meets each miner once:
///
///   validator rank of miner i in slot s = (i + s) mod validators
///
/// A uid would not do: two uids may collide modulo the number of validators, and some miners would then be nobody's.
/// Empty if `self` has no permit; never contains `self`. All active validators that look at the same block agree. `slot_blocks` 0: no
/// sharing, every miner is due (for a validator that is alone).
std::vector<Uid> miners_in_slot(const Metagraph& metagraph, Uid self, std::uint64_t slot_blocks);

/// The same from a miner's side: whose it is in the slot of the metagraph's block. Nothing if `miner` serves no address or no validator is active.
std::optional<Uid> validator_in_slot(const Metagraph& metagraph, Uid miner, std::uint64_t slot_blocks);

}  // namespace brainlock::ledger
