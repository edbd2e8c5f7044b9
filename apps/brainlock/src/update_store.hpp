// The store of a validator as its set-up names it, looked at and left alone.
#pragma once

#include "brainlock/base/result.hpp"
#include "brainlock/update/settings.hpp"

namespace brainlock::app {

/// Schema of the store that the service's environment file leads to; 0 where there is none yet. Errors of that file and
/// of the database.
Result<int> store_schema_of(const update::Service& service);

}  // namespace brainlock::app
