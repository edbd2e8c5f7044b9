// What decoders ask for: program_codec_test.cpp has the operator new of these tests.
#pragma once

#include <cstddef>

namespace brainlock::package::test {

extern std::size_t largest_allocation;  ///< since it was last set to zero

}  // namespace brainlock::package::test
