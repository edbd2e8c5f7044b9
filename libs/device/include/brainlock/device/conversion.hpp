// Constants of base conversions: every limb count and every rescale of a ring, computed once. For backends.
#pragma once

#include <vector>

#include "brainlock/device/backend.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::device {

/// A factor with its Shoup quotient.
struct Scalar {
  Word value = 0;
  Word shoup = 0;
};
Scalar make_scalar(Word value, const math::Modulus& m);

/// Centred conversion from the source primes to the target primes.
struct Conversion {
  std::vector<std::uint32_t> sources, targets;   ///< modulus indices
  std::vector<Scalar> prepare;                   ///< per source: (Q_src / q_i)^-1 mod q_i, to be applied first
  std::vector<float> inv_q;                      ///< per source: 1 / q_i
  std::vector<Word> factors;                     ///< [target][source]: (Q_src / q_i) mod p, Montgomery form
  std::vector<Word> neg_q_src;                   ///< per target: -Q_src mod p, Montgomery form

  /// The kernel's description of target t, writing to `out`.
  [[nodiscard]] math::ConversionTarget target(const Ring& ring, std::size_t t, Word* out) const {
    return {&ring.modulus(targets[t]), factors.data() + t * sources.size(), neg_q_src[t], out};
  }
};
Conversion make_conversion(const Ring& ring, std::vector<std::uint32_t> sources, std::vector<std::uint32_t> targets);

/// Division by a set of primes: conversion of the remainder, then the inverse of their product.
struct Division {
  Conversion conversion;
  std::vector<Scalar> inverse;   ///< per target
};
Division make_division(const Ring& ring, std::vector<std::uint32_t> divisors, std::vector<std::uint32_t> targets);

/// All constants at one limb count.
struct LevelConstants {
  Division by_p;                      ///< P off q[0..limbs)
  std::vector<Conversion> digits;     ///< digit d to the other limbs of Q*P, in limb order
  std::vector<Scalar> prepared_inverse;   ///< per limb: 1 / P, times the preparation as a source of its digit
  std::vector<Scalar> unprepare;          ///< per limb: takes that preparation back
  std::vector<Division> rescale;      ///< [drop]: P and the last `drop` primes off q[0..limbs-drop)
};

struct RingConstants {
  explicit RingConstants(const Ring& ring);
  std::vector<LevelConstants> level;  ///< by limb count; [0] empty
  std::vector<Scalar> p;              ///< per q: P mod q
  Conversion raise;                   ///< q[0] to all other limbs of Q, in limb order
};

}  // namespace brainlock::device
