// The polynomial behind a vector of slots: what a modulus has to hold, and what bootstrapping works on.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace brainlock::plan {

/// Slots z_j = m(zeta^(5^j)), zeta = exp(2 pi i / 4n), of a real polynomial m of 2n coefficients (n = slots.size(), a power of two) -> entry k is
/// m_k + i m_(n + k). Cost: a complex FFT of n points.
std::vector<std::complex<double>> slot_coefficients(std::span<const std::complex<double>> slots);

/// The inverse.
std::vector<std::complex<double>> coefficient_slots(std::span<const std::complex<double>> coefficients);

/// One stage of that FFT, before its numbers are put in order: pairs (u, v) at distance `half` within blocks of 2 half slots. From coefficients to slots
/// (u + w v, u - w v), back ((u + v) / 2, (u - v) / 2w), with w of place j in [0, half) as below. Stages go from half = 1 to n / 2 towards the slots,
/// and begin (end) with coefficients at bit-reversed places.
std::complex<double> stage_root(std::uint32_t half, std::uint32_t j);

}  // namespace brainlock::plan
