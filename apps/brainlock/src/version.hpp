// Which version this program is. In a file of its own, so that the same program can be linked as another one for tests.
#pragma once

namespace brainlock::app {

/// "0.1.0".
const char* program_version();

}  // namespace brainlock::app
