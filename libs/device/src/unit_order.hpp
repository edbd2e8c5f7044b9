// The order in which units of 64 words are kept and visited, so that neighbouring rotations read neighbouring memory.
#pragma once

#include <bit>
#include <cassert>
#include <cstdint>
#include <vector>

#include "brainlock/math/kernels.hpp"

namespace brainlock::device {

using math::kUnitWords;

/// Word i of a limb is the value at psi^e, e = 2 brv(i) + 1, so a unit of 64 words is a residue class of e modulo 2B,
/// B = N / 64 units, and the odd residues are +-5^k, k < B / 2. Rank: k for the sign +, B / 2 + k for -. A rotation by r
/// takes the unit (sign, k) from the unit (sign, k + r).
class UnitOrder {
 public:
  explicit UnitOrder(std::size_t degree) : unit_(degree / kUnitWords), rank_(unit_.size()) {
    const auto count = static_cast<std::uint32_t>(unit_.size());
    const int bits = std::countr_zero(count);
    const std::uint32_t mask = 2 * count - 1;
    cycle_ = count > 1 ? count / 2 : 1;
    shift_.resize(2 * std::size_t{count});
    for (std::uint32_t k = 0, e = 1; k < cycle_; ++k, e = e * 5 & mask) {
      shift_[e] = k;
      set(k, e, bits);
      if (count > 1) set(cycle_ + k, 2 * count - e, bits);
    }
  }

  [[nodiscard]] std::size_t units() const { return unit_.size(); }
  /// Length of a cycle: ranks [0, cycle) and [cycle, 2 cycle).
  [[nodiscard]] std::uint32_t cycle() const { return cycle_; }
  /// The rank of every unit, by index.
  [[nodiscard]] const std::uint32_t* ranks() const { return rank_.data(); }
  /// Index of the unit of rank r: its words are [64 unit, 64 unit + 64).
  [[nodiscard]] std::size_t unit(std::size_t rank) const { return unit_[rank]; }
  [[nodiscard]] std::size_t rank(std::size_t unit) const { return rank_[unit]; }
  /// Rank of the unit that the unit with this index takes its words from.
  [[nodiscard]] std::size_t source_rank(const math::AutomorphismTable& table, std::size_t unit) const {
    return rank_[table.source[unit * kUnitWords / 8] / kUnitWords];
  }
  /// By how much a rotation (element 5^r) moves along a cycle.
  [[nodiscard]] std::uint32_t shift(std::uint32_t galois_element) const { return shift_[galois_element & (shift_.size() - 1)]; }

 private:
  void set(std::uint32_t rank, std::uint32_t e, int bits) {
    const std::uint32_t unit = bits == 0 ? 0 : math::reverse_bits((e - 1) / 2, bits);
    unit_[rank] = unit;
    rank_[unit] = rank;
  }
  std::vector<std::uint32_t> unit_, rank_, shift_;
  std::uint32_t cycle_ = 1;
};

}  // namespace brainlock::device
