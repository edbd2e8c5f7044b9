#include "version.hpp"

namespace brainlock::app {

const char* program_version() { return BRAINLOCK_VERSION; }

}  // namespace brainlock::app
