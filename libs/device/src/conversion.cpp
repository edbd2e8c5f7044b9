#include "brainlock/device/conversion.hpp"

#include <numeric>

namespace brainlock::device {
namespace {

constexpr std::size_t kMaxSources = 15;  // the conversion kernel's limit

/// Product of the primes `indices` (leaving out `skip`) modulo m.
Word product(const Ring& ring, const std::vector<std::uint32_t>& indices, std::size_t skip, const math::Modulus& m) {
  Word result = 1 % m.q;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (i != skip) result = math::mul_mod(result, math::reduce_u64(ring.modulus(indices[i]).q, m), m);
  }
  return result;
}

std::vector<std::uint32_t> range(std::uint32_t begin, std::uint32_t end) {
  std::vector<std::uint32_t> indices(end - begin);
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

}  // namespace

Scalar make_scalar(Word value, const math::Modulus& m) {
  return {value, static_cast<Word>((std::uint64_t{value} << 32) / m.q)};
}

Conversion make_conversion(const Ring& ring, std::vector<std::uint32_t> sources, std::vector<std::uint32_t> targets) {
  Conversion c;
  c.sources = std::move(sources);
  c.targets = std::move(targets);
  for (std::size_t i = 0; i < c.sources.size(); ++i) {
    const math::Modulus& m = ring.modulus(c.sources[i]);
    c.prepare.push_back(make_scalar(math::inv_mod(product(ring, c.sources, i, m), m), m));
    c.inv_q.push_back(static_cast<float>(1.0 / m.q));
  }
  for (const std::uint32_t target : c.targets) {
    const math::Modulus& m = ring.modulus(target);
    for (std::size_t i = 0; i < c.sources.size(); ++i) {
      c.factors.push_back(math::to_montgomery(product(ring, c.sources, i, m), m));
    }
    c.neg_q_src.push_back(math::to_montgomery(math::sub_mod(0, product(ring, c.sources, c.sources.size(), m), m), m));
  }
  return c;
}

Division make_division(const Ring& ring, std::vector<std::uint32_t> divisors, std::vector<std::uint32_t> targets) {
  Division d;
  for (const std::uint32_t target : targets) {
    const math::Modulus& m = ring.modulus(target);
    d.inverse.push_back(make_scalar(math::inv_mod(product(ring, divisors, divisors.size(), m), m), m));
  }
  d.conversion = make_conversion(ring, std::move(divisors), std::move(targets));
  return d;
}

RingConstants::RingConstants(const Ring& ring) {
  const std::uint32_t all = ring.q_count + ring.p_count;
  const auto special = range(ring.q_count, all);
  for (std::uint32_t i = 0; i < ring.q_count; ++i) {
    p.push_back(make_scalar(product(ring, special, special.size(), ring.modulus(i)), ring.modulus(i)));
  }
  raise = make_conversion(ring, {0}, range(1, ring.q_count));
  level.resize(ring.q_count + 1);
  for (std::uint32_t limbs = 1; limbs <= ring.q_count; ++limbs) {
    LevelConstants& constants = level[limbs];
    constants.by_p = make_division(ring, special, range(0, limbs));
    for (std::uint32_t begin = 0; begin < limbs; begin += ring.digit_limbs) {
      const std::uint32_t end = std::min(begin + ring.digit_limbs, limbs);
      std::vector<std::uint32_t> targets = range(0, begin);
      for (std::uint32_t i = end; i < limbs; ++i) targets.push_back(i);
      targets.insert(targets.end(), special.begin(), special.end());
      constants.digits.push_back(make_conversion(ring, range(begin, end), std::move(targets)));
    }
    for (std::uint32_t l = 0; l < limbs; ++l) {
      const math::Modulus& m = ring.modulus(l);
      const Word prepare = constants.digits[l / ring.digit_limbs].prepare[l % ring.digit_limbs].value;
      constants.prepared_inverse.push_back(make_scalar(math::mul_mod(constants.by_p.inverse[l].value, prepare, m), m));
      constants.unprepare.push_back(make_scalar(math::inv_mod(prepare, m), m));
    }
    for (std::uint32_t drop = 0; drop < limbs && drop + ring.p_count <= kMaxSources; ++drop) {
      std::vector<std::uint32_t> divisors = range(limbs - drop, limbs);
      divisors.insert(divisors.end(), special.begin(), special.end());
      constants.rescale.push_back(make_division(ring, std::move(divisors), range(0, limbs - drop)));
    }
  }
}

}  // namespace brainlock::device
