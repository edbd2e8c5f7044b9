// Arithmetic on ciphertexts in device memory: splitting, squaring, sums of rotations.
#pragma once

#include <vector>

#include "brainlock/ckks/key_switching.hpp"

namespace brainlock::ckks {

/// One rotated ciphertext of a sum.
struct RotatedTerm {
  const DeviceCiphertext* in = nullptr;    ///< lifted
  const device::Buffer* digits = nullptr;  ///< of `in`; needed where key is set
  const device::SwitchingKey* key = nullptr;  ///< null: no rotation
};

/// Operations for one request. All inputs of a batch are at one limb count; scales are the caller's affair. A missing
/// key is a bug of the caller (asserted): programs are checked against their keys before they run.
class Evaluator {
 public:
  Evaluator(const KeySwitcher& switcher, const LoadedKeys& keys) : switcher_(switcher), keys_(keys) {}

  /// Packed z -> parts == 2: lifted 2 Re z, 2 Im z; parts == 1: lifted z. Output i * parts + j is part j of in[i].
  /// Cost for each with two parts: one key switch without ModDown.
  Result<std::vector<DeviceCiphertext>> split(CiphertextRefs in, std::uint32_t parts) const;

  /// What a square is taken of: z as it is, its real part u, or both of its parts.
  enum class Squared : std::uint8_t { kWhole, kRealPart, kBothParts };
  /// Packed z = u + iv -> lifted z^2; or 4 u^2; or 4 u^2 and -4 v^2, in the order of split().
  /// Cost for each: one relinearisation an output, and where z is taken apart one conjugation with ModDown.
  Result<std::vector<DeviceCiphertext>> square(CiphertextRefs in, Squared what) const;

  /// Lifted sums of terms, each of at least one. Cost: one inner product for each rotated term.
  Result<std::vector<DeviceCiphertext>> sums(std::span<const std::vector<RotatedTerm>> all) const;

  /// Packed at one limb -> packed at `limbs`: the same polynomials over a larger modulus. What is decrypted then is the message plus q[0] times an
  /// integer polynomial whose coefficients have a standard deviation of about sqrt(N / 18); programs take it away again. Cost for each: 2 inverse
  /// and 2 (limbs - 1) forward NTTs.
  Result<std::vector<DeviceCiphertext>> raise(CiphertextRefs in, std::uint32_t limbs) const;

  /// The first `limbs` limbs of Q and all of P of a lifted ciphertext: the same message modulo a divisor. Cost: a copy.
  Result<DeviceCiphertext> drop(const DeviceCiphertext& in, std::uint32_t limbs) const;

  /// Packed sum of two terms or more, of one scale. Cost: an addition a term.
  Result<DeviceCiphertext> add(CiphertextRefs terms) const;

 private:
  const device::SwitchingKey& conjugation_key() const;
  /// Lifted conjugates.
  Result<std::vector<DeviceCiphertext>> conjugate(CiphertextRefs in) const;

  const KeySwitcher& switcher_;
  const LoadedKeys& keys_;
};

}  // namespace brainlock::ckks
