// Runs a program in the clear, slot by slot: exactly what the ciphertexts compute, border garbage included, without
// encryption noise. The judge of packing and of overflow.
#pragma once

#include <complex>
#include <functional>
#include <span>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::plan {

/// What every register held, garbage between the valid slots included.
struct SlotTrace {
  std::vector<double> largest;       ///< per register: largest |real or imaginary part|
  std::vector<double> mean_square;   ///< per register: mean of |slot|^2
};

/// Optional perturbation of a run: relative-free absolute noise added to each packed Linear output, and to weights.
struct Noise {
  std::function<void(const Instruction&, std::span<std::complex<double>>)> after_linear;  ///< may be empty
};

/// Input: the tensor in C, H, W order. Output: the output tensor. Memory: registers * slots * 16 bytes.
std::vector<double> run_slots(const Program& program, std::span<const float> input, SlotTrace* trace = nullptr,
                              const Noise* noise = nullptr);

/// Places a tensor into slots (one vector of N/2 complex numbers per input ciphertext).
std::vector<std::vector<std::complex<double>>> pack(const TensorMap& map, std::uint32_t slots, std::span<const float> tensor);
/// Reads a tensor out of slots.
std::vector<double> unpack(const TensorMap& map, const std::vector<std::vector<std::complex<double>>>& slots);

}  // namespace brainlock::plan
