// libsodium chooses its vector code in sodium_init(); everything here calls it first.
#pragma once

namespace brainlock::crypto {

/// Initialises libsodium once; aborts if it cannot. Thread safe, a load and a branch afterwards.
void sodium_ready();

}  // namespace brainlock::crypto
