// Ciphertexts and public keys as data: limb-major words in the evaluation (NTT) domain.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "brainlock/ckks/parameters.hpp"
#include "brainlock/ckks/scale.hpp"
#include "brainlock/math/aligned.hpp"

namespace brainlock::ckks {

using Words = math::AlignedVector<std::uint32_t>;
/// Seed of a uniform polynomial: 32 bytes expanded by the library's XOF (see uniform.hpp).
using Seed = std::array<std::uint8_t, 32>;

/// (c0, c1) with c0 + c1 s = message * scale + noise modulo q[0..limbs). Evaluation domain, fully reduced,
/// limb-major: word t of limb l is data[l * N + t]. Move-only; clone() copies.
struct Ciphertext {
  std::uint32_t limbs = 0;
  Scale scale;
  Words c0, c1;
  /// Set on fresh symmetric ciphertexts: c1 is uniform(seed) and need not travel.
  std::optional<Seed> seed;

  Ciphertext() = default;
  Ciphertext(Ciphertext&&) = default;
  Ciphertext& operator=(Ciphertext&&) = default;
  [[nodiscard]] Ciphertext clone() const;
 private:
  Ciphertext(const Ciphertext&) = default;
  Ciphertext& operator=(const Ciphertext&) = default;
};

/// A public encryption key: b = -a s + e modulo q[0..q_count).
struct PublicKey {
  Words b, a;
  std::optional<Seed> seed;
};

/// Hybrid key-switching key from secret `from` to secret `to`, usable at any limb count <= limbs.
/// For digit d: b[d] + a[d] * to = e + P * g_d * from, where g_d = 1 modulo the primes of digit d and 0 modulo the
/// other q; over the moduli q[0..limbs) then p[0..p_count): limb l < limbs is q[l], limb limbs + j is p[j].
///
/// A Galois key for element g switches from s to phi_g^-1(s), so that the inner product with the digits of c1 comes
/// first and the automorphism phi_g last (hoisting needs no permuted digits). A relinearisation key switches from
/// s^2 to s.
///
/// `b` and `a` are digit-major, then limb-major words: word t of limb l of digit d is b[(d * (limbs + p_count) + l) * N + t].
/// Plain (not Montgomery) form here; a backend stores its own form.
struct EvaluationKey {
  std::uint32_t galois_element = 0;  ///< 0: relinearisation
  std::uint32_t limbs = 0;
  Words b, a;                        ///< `a` may be empty when `seed` is set (not expanded)
  std::optional<Seed> seed;          ///< a[d] limb l = uniform(seed, stream d * (limbs + p_count) + l)
};

/// What a program needs of evaluation keys: for each Galois element (0: relinearisation) the largest limb count used.
struct KeyRequest {
  std::uint32_t galois_element = 0;
  std::uint32_t limbs = 0;
  bool operator==(const KeyRequest&) const = default;
};

struct EvaluationKeySet {
  std::vector<EvaluationKey> keys;
  const EvaluationKey* find(std::uint32_t galois_element) const;
};

/// Galois element of the rotation that moves slot i + steps to slot i: 5^steps mod 2N (steps taken modulo N/2).
std::uint32_t rotation_element(std::uint32_t ring_degree, std::int64_t steps);
/// Galois element of complex conjugation: 2N - 1.
std::uint32_t conjugation_element(std::uint32_t ring_degree);

}  // namespace brainlock::ckks
