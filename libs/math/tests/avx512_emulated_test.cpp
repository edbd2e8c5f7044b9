#include "tables_under_test.hpp"

namespace brainlock::math {

std::vector<const Kernels*> tables_under_test() { return available_kernels(); }

}  // namespace brainlock::math
