// Who asks whom, when. Pure.
#pragma once

#include <vector>

#include "brainlock/ledger/types.hpp"

namespace brainlock::validator {

/// The miners of a metagraph: neurons that serve an address, in uid order. (Validators serve none.)
std::vector<ledger::Uid> miners_of(const ledger::Metagraph& metagraph);

/// Time is cut into slots of `slot_blocks` blocks. In each slot every miner belongs to exactly one of the validators with a
/// permit, ordered by *rank* (stake), and over as many slots as there are validators each validator meets each miner once:
///
///   validator rank of miner i in slot s = (i + s) mod validators
///
/// A uid would not do: two uids may collide modulo the number of validators, and some miners would then be nobody's.
/// Empty if `self` has no permit; never contains `self`. All validators that look at the same block agree. `slot_blocks` 0: no
/// sharing, every miner is due (for a validator that is alone).
std::vector<ledger::Uid> miners_in_slot(const ledger::Metagraph& metagraph, ledger::Uid self, std::uint64_t slot_blocks);

}  // namespace brainlock::validator
