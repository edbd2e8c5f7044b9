#include "ring_tables.hpp"

#include <bit>
#include <cstring>
#include <span>

namespace brainlock::device_cuda {
namespace {

using device::Scalar;
using gpu::Factor;
using gpu::Word;

Factor factor(const Scalar& s) { return {s.value, s.shoup}; }
Factor factor(Word value, const math::Modulus& m) { return factor(device::make_scalar(value, m)); }

/// Products of words below q that a sum of 64 bits holds after a fold has left it below 2^32 q.
Word fold_interval(Word q) {
  using Wide = unsigned __int128;
  return static_cast<Word>(((Wide{1} << 64) - (Wide{q} << 32)) / (Wide{q} * q));
}

/// Host image of device memory whose place is not known yet: arrays are noted by offset.
class Arena {
 public:
  template <typename T>
  std::size_t put(std::span<const T> values) {
    const std::size_t at = (bytes_.size() + 15) / 16 * 16;
    bytes_.resize(at + values.size_bytes());
    if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size_bytes());
    return at;
  }
  template <typename T>
  std::size_t put(const std::vector<T>& values) {
    return put(std::span<const T>(values));
  }
  template <typename T>
  void overwrite(std::size_t at, std::span<const T> values) {
    std::memcpy(bytes_.data() + at, values.data(), values.size_bytes());
  }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

/// A conversion's arrays by offset.
struct ConversionAt {
  std::size_t factors, neg_q_src, inv_q;
  Word sources, targets;

  ConversionAt(Arena& arena, const device::Conversion& c)
      : factors(arena.put(c.factors)), neg_q_src(arena.put(c.neg_q_src)), inv_q(arena.put(c.inv_q)),
        sources(static_cast<Word>(c.sources.size())), targets(static_cast<Word>(c.targets.size())) {}
  gpu::ConversionTable table(const char* base) const {
    return {reinterpret_cast<const Word*>(base + factors), reinterpret_cast<const Word*>(base + neg_q_src),
            reinterpret_cast<const float*>(base + inv_q), sources, targets};
  }
};

struct LevelAt {
  std::size_t packed_sources, lifted_sources, prepared_inverse, unprepare, digits;
  ConversionAt by_p;
  std::vector<ConversionAt> digit;
  struct Rescale {
    std::size_t sources, inverse;
    ConversionAt conversion;
  };
  std::vector<Rescale> rescale;
};

std::vector<Factor> factors(const std::vector<Scalar>& scalars) {
  std::vector<Factor> out;
  for (const Scalar& s : scalars) out.push_back(factor(s));
  return out;
}

/// value / N modulo prime number `index`.
Factor over_n(const device::Ring& ring, std::uint32_t index, Word value) {
  const math::Modulus& m = ring.modulus(index);
  return factor(math::mul_mod(value, ring.tables[index]->n_inv, m), m);
}

/// What makes sources of a conversion out of unscaled inverse transforms.
std::vector<Factor> source_factors(const device::Ring& ring, const device::Conversion& conversion) {
  std::vector<Factor> out;
  for (std::size_t i = 0; i < conversion.sources.size(); ++i) {
    out.push_back(over_n(ring, conversion.sources[i], conversion.prepare[i].value));
  }
  return out;
}

LevelAt lay_out(Arena& arena, const device::Ring& ring, const device::LevelConstants& constants, std::uint32_t limbs) {
  std::vector<Factor> packed, lifted;
  for (std::uint32_t l = 0; l < limbs; ++l) {
    packed.push_back(over_n(ring, l, constants.digits[l / ring.digit_limbs].prepare[l % ring.digit_limbs].value));
    lifted.push_back(over_n(ring, l, 1));
  }
  const std::vector<Factor> special = source_factors(ring, constants.by_p.conversion);
  lifted.insert(lifted.end(), special.begin(), special.end());
  LevelAt at{arena.put(packed), arena.put(lifted), arena.put(factors(constants.prepared_inverse)), arena.put(factors(constants.unprepare)),
             arena.put(std::vector<gpu::ConversionTable>(constants.digits.size())), ConversionAt(arena, constants.by_p.conversion), {}, {}};
  for (const device::Conversion& digit : constants.digits) at.digit.emplace_back(arena, digit);
  for (const device::Division& division : constants.rescale) {
    at.rescale.push_back({arena.put(source_factors(ring, division.conversion)), arena.put(factors(division.inverse)),
                          ConversionAt(arena, division.conversion)});
  }
  return at;
}

LevelTables resolve(Arena& arena, const LevelAt& at, const char* base) {
  const auto at_factor = [&](std::size_t offset) { return reinterpret_cast<const Factor*>(base + offset); };
  LevelTables level;
  level.packed_sources = at_factor(at.packed_sources);
  level.lifted_sources = at_factor(at.lifted_sources);
  level.by_p = at.by_p.table(base);
  level.prepared_inverse = at_factor(at.prepared_inverse);
  level.unprepare = at_factor(at.unprepare);
  std::vector<gpu::ConversionTable> digits;
  for (const ConversionAt& digit : at.digit) {
    digits.push_back(digit.table(base));
    level.digit_sources = std::max<unsigned>(level.digit_sources, digit.sources);
  }
  arena.overwrite(at.digits, std::span<const gpu::ConversionTable>(digits));
  level.digits = reinterpret_cast<const gpu::ConversionTable*>(base + at.digits);
  for (const LevelAt::Rescale& rescale : at.rescale) {
    level.rescale.push_back({at_factor(rescale.sources), at_factor(rescale.inverse), rescale.conversion.table(base)});
  }
  return level;
}

}  // namespace

Result<RingTables> RingTables::make(const device::Ring& ring, Driver& driver, DevicePool& pool) {
  const device::RingConstants constants(ring);
  Arena arena;
  std::vector<gpu::Modulus> moduli;
  std::vector<gpu::Prime> primes;
  std::vector<Factor> forward, inverse, p, p_times_r, r;
  for (std::uint32_t i = 0; i < ring.tables.size(); ++i) {
    const math::NttTables& t = *ring.tables[i];
    const math::Modulus& m = t.modulus;
    moduli.push_back({m.q, m.neg_inv, m.r1, fold_interval(m.q)});
    primes.push_back({m.q, 2 * m.q, 0 - m.q, 0 - 2 * m.q});
    for (std::uint32_t k = 0; k < t.ring_degree; ++k) {
      forward.push_back({t.w[k], t.w_shoup[k]});
      inverse.push_back({t.w_inv[k], t.w_inv_shoup[k]});
    }
    r.push_back(factor(m.r1, m));
    if (i >= ring.q_count) continue;
    p.push_back(factor(constants.p[i]));
    p_times_r.push_back(factor(math::mul_mod(constants.p[i].value, m.r1, m), m));
  }
  const std::size_t at_moduli = arena.put(moduli), at_primes = arena.put(primes), at_forward = arena.put(forward), at_inverse = arena.put(inverse);
  const std::size_t at_p = arena.put(p), at_p_times_r = arena.put(p_times_r), at_r = arena.put(r);
  const std::size_t at_raise_source = arena.put(source_factors(ring, constants.raise));
  const ConversionAt at_raise(arena, constants.raise);
  std::vector<LevelAt> levels;
  for (std::uint32_t limbs = 1; limbs <= ring.q_count; ++limbs) levels.push_back(lay_out(arena, ring, constants.level[limbs], limbs));

  RingTables out;
  BRAINLOCK_ASSIGN(out.memory, pool.allocate((arena.bytes().size() + sizeof(Word) - 1) / sizeof(Word)));
  const char* const base = reinterpret_cast<const char*>(out.memory.data());
  const auto at_factor = [&](std::size_t offset) { return reinterpret_cast<const Factor*>(base + offset); };
  out.level.emplace_back();
  for (const LevelAt& at : levels) out.level.push_back(resolve(arena, at, base));
  out.raise = {at_factor(at_raise_source), at_raise.table(base)};
  out.ring = {reinterpret_cast<const gpu::Modulus*>(base + at_moduli), reinterpret_cast<const gpu::Prime*>(base + at_primes), at_factor(at_forward), at_factor(at_inverse), at_factor(at_p),
              at_factor(at_p_times_r), at_factor(at_r), static_cast<Word>(std::countr_zero(ring.degree())), ring.q_count, ring.p_count,
              ring.digit_limbs, gpu::reciprocal(ring.digit_limbs)};
  driver.copy_in(out.memory.data(), arena.bytes().data(), arena.bytes().size());
  return out;
}

}  // namespace brainlock::device_cuda
