#include "brainlock/ckks/objects.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace brainlock::ckks {

Ciphertext Ciphertext::clone() const { return Ciphertext(*this); }

const EvaluationKey* EvaluationKeySet::find(std::uint32_t galois_element) const {
  const auto it = std::find_if(keys.begin(), keys.end(),
                               [&](const EvaluationKey& key) { return key.galois_element == galois_element; });
  return it == keys.end() ? nullptr : &*it;
}

std::uint32_t rotation_element(std::uint32_t ring_degree, std::int64_t steps) {
  assert(std::has_single_bit(ring_degree));
  // N and 2N are powers of two: reduction is a mask, for negative steps too.
  auto exponent = static_cast<std::uint64_t>(steps) & (ring_degree / 2 - 1);
  const std::uint64_t mask = 2 * std::uint64_t{ring_degree} - 1;
  std::uint64_t element = 1, power = 5;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) element = element * power & mask;
    power = power * power & mask;
  }
  return static_cast<std::uint32_t>(element);
}

std::uint32_t conjugation_element(std::uint32_t ring_degree) { return 2 * ring_degree - 1; }

}  // namespace brainlock::ckks
