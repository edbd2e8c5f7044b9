// Who asks whom, when. Pure.
#pragma once

#include <vector>

#include "brainlock/ledger/types.hpp"

namespace brainlock::validator {

/// The miners of a metagraph: neurons that serve an address, in uid order. (Validators serve none.)
std::vector<ledger::Uid> miners_of(const ledger::Metagraph& metagraph);

/// The validators that share the miners: those with a permit whose vote still counts, by rank, and `self` if it has a permit. (A permit
/// without votes asks nobody; its share of the miners would rest, at times that they can foretell.)
std::vector<ledger::Uid> sharing_validators(const ledger::Metagraph& metagraph, ledger::Uid self);

/// Time is cut into slots of `slot_blocks` blocks. In each slot every miner belongs to exactly one of the sharing validators,
/// ordered by *rank* (stake), and over as many slots as there are validators each validator meets each miner once:
///
///   validator rank of miner i in slot s = (i + s) mod validators
///
/// A uid would not do: two uids may collide modulo the number of validators, and some miners would then be nobody's.
/// Empty if `self` has no permit; never contains `self`. All active validators that look at the same block agree. `slot_blocks` 0: no
/// sharing, every miner is due (for a validator that is alone).
std::vector<ledger::Uid> miners_in_slot(const ledger::Metagraph& metagraph, ledger::Uid self, std::uint64_t slot_blocks);

}  // namespace brainlock::validator
