#include "brainlock/device/backend.hpp"

namespace brainlock::device {

Status check_ring(const Ring& ring) {
  const std::uint32_t all = ring.q_count + ring.p_count;
  if (ring.q_count == 0 || ring.p_count == 0 || ring.tables.size() != all || all > kMaxLimbs || ring.p_count > 15 ||
      ring.digit_limbs == 0 || ring.digit_limbs > 15 || ring.digits(ring.q_count) > kMaxDigits) {
    return Error{ErrorCode::kInvalidArgument,
                 "backend: expected 1.." + std::to_string(kMaxLimbs) + " primes with tables, 1..15 special primes and 1..15 limbs a digit; came " +
                     std::to_string(ring.q_count) + " + " + std::to_string(ring.p_count) + " primes, " +
                     std::to_string(ring.tables.size()) + " tables, " + std::to_string(ring.digit_limbs) + " limbs a digit"};
  }
  for (const math::NttTables* table : ring.tables) {
    if (table == nullptr || table->ring_degree != ring.tables[0]->ring_degree || table->ring_degree < 64) {
      return Error{ErrorCode::kInvalidArgument, "backend: tables of one ring degree of at least 64 expected"};
    }
  }
  return {};
}

}  // namespace brainlock::device
