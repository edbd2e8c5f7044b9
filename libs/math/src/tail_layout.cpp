#include "kernels/tail_layout.hpp"

namespace brainlock::math::detail {

void fill_tails(NttTables&) {}

}  // namespace brainlock::math::detail
