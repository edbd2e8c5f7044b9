// Whether this machine's clock can be that of the ledger.
#pragma once

#include "brainlock/ledger/ledger.hpp"

namespace brainlock::validator {

/// An error where no question should be asked: signed by a clock that is off, miners refuse all of them, which looks
/// like their failure. Miners cannot be asked about that, as in outage.hpp; the newest block tells:
///
///     it comes from the future by more than miners allow       -> the clock is behind
///     it is a minute old, and five intervals                   -> the clock is ahead, or the ledger stands still:
///     nothing that counts can be measured
///
/// kUnavailable. A clock that is ahead by less looks like a block that is late. Ledgers without a clock of their own
/// tell nothing.
Status check_clock(const ledger::BlockTime& time, std::int64_t now_ms);

}  // namespace brainlock::validator
