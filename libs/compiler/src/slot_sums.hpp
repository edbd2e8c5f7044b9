// Sums of values by slot, and the vector that they make.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Gathers numbers slot by slot: what comes to one slot adds up, in the order in which it comes. Meant to be used again
/// and again: what a vector costs is its numbers, whatever the ring.
class SlotSums {
 public:
  explicit SlotSums(std::int64_t slots) : sums_(static_cast<std::size_t>(slots)), seen_((sums_.size() + 63) / 64) {}

  /// `slot` below the count of slots.
  void add(std::size_t slot, std::complex<double> value) {
    std::uint64_t& word = seen_[slot / 64];
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    if ((word & bit) == 0) {
      word |= bit;
      sums_[slot] = {};
      ++count_;
    }
    sums_[slot] += value;
  }

  /// A vector that names its slots, in ascending order; nothing remains here.
  plan::SlotVector take_sparse();
  /// The first `period` slots as a vector that repeats; zero where nothing came. Nothing remains here.
  plan::SlotVector take_dense(std::size_t period);

 private:
  std::vector<std::complex<double>> sums_;
  std::vector<std::uint64_t> seen_;  // a bit a slot
  std::size_t count_ = 0;            // of them
};

}  // namespace brainlock::compiler
