// The store's schema, step by step. Released steps are never edited.
#pragma once

#include <span>

#include "brainlock/store/database.hpp"

namespace brainlock::store {

std::span<const Migration> store_migrations();

}  // namespace brainlock::store
