// Runs a program in the clear, slot by slot: exactly what the ciphertexts compute, border garbage included, without
// encryption noise unless a Noise adds it. The judge of packing, of overflow and (with the scheme's noise) of precision.
#pragma once

#include <complex>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::plan {

/// What every register held, garbage between the valid slots included.
struct SlotTrace {
  std::vector<double> largest;       ///< per register: largest |real or imaginary part|, before a mask as well as behind it
  std::vector<double> mean_square;   ///< per register: mean of |slot|^2
  std::vector<double> largest_coefficient;   ///< per register that a Raise reads: largest |coefficient| of the polynomial with these slots; else 0
  std::function<void(Register, std::span<const std::complex<double>>)> packed;   ///< if not empty: called with each packed register, in order, from the thread that runs
  std::function<void(Register, std::span<const double>)> lifted;   ///< likewise, with the real parts of each lifted register
};

/// Perturbation of a run, called with the slots where a scheme adds its errors; each may be empty. Calls come in the
/// order of the instructions, from the thread that runs.
///
/// What lifted registers mean is real, but their errors are not, and complex weights turn imaginary errors into real ones. So with `lifted` both parts
/// of these registers are kept, which makes a run a third to a half longer; without it they are real, unless the program has a Raise.
struct Noise {
  /// Each packed input, in order.
  std::function<void(std::span<std::complex<double>>)> input;
  /// The conjugate of a register that Split or Square makes, before it is added to the register and subtracted from it.
  std::function<void(const Instruction&, std::span<std::complex<double>>)> conjugate;
  /// The real and the imaginary part of each register that Split, Square or Combine makes.
  std::function<void(const Instruction&, std::span<double>, std::span<double>)> lifted;
  /// Of the integers that Raises put beside their messages, each of them others.
  std::uint64_t multiples_seed = 1;
  /// Each Linear output after its mask and its rescale, before its bias.
  std::function<void(const Instruction&, const Linear::Output&, std::span<std::complex<double>>)> after_linear;
};

/// A program made ready to run many times. Immutable; safe from many threads. Keeps a copy of the weights, not the
/// program, which must outlive it and have passed validate().
class SlotInterpreter {
 public:
  explicit SlotInterpreter(const Program& program);
  ~SlotInterpreter();
  SlotInterpreter(SlotInterpreter&&) noexcept;
  SlotInterpreter& operator=(SlotInterpreter&&) noexcept;

  /// Input: the tensor in C, H, W order (its size is the caller's promise). Output: the output tensor.
  /// Cost: two multiply-adds a slot for each plaintext MAC of the program. Memory: live registers * slots * 8 or 16 bytes.
  /// The result does not depend on `threads`, which share the outputs of each Linear.
  std::vector<double> run(std::span<const float> input, SlotTrace* trace = nullptr, const Noise* noise = nullptr, unsigned threads = 1) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// SlotInterpreter for one run.
std::vector<double> run_slots(const Program& program, std::span<const float> input, SlotTrace* trace = nullptr,
                              const Noise* noise = nullptr);

/// Places a tensor into slots (one vector of N/2 complex numbers per input ciphertext).
std::vector<std::vector<std::complex<double>>> pack(const TensorMap& map, std::uint32_t slots, std::span<const float> tensor);
/// Reads a tensor out of slots.
std::vector<double> unpack(const TensorMap& map, const std::vector<std::vector<std::complex<double>>>& slots);

}  // namespace brainlock::plan
