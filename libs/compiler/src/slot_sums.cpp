#include "slot_sums.hpp"

#include <algorithm>
#include <bit>

namespace brainlock::compiler {
namespace {

std::complex<float> narrow(std::complex<double> v) {
  return {static_cast<float>(v.real()), static_cast<float>(v.imag())};
}

}  // namespace

plan::SlotVector SlotSums::take_sparse() {
  plan::SlotVector out;
  out.period = static_cast<std::uint32_t>(sums_.size());
  out.slots.reserve(count_);
  out.values.reserve(count_);
  for (std::size_t w = 0; w < seen_.size(); ++w) {
    for (std::uint64_t bits = seen_[w]; bits != 0; bits &= bits - 1) {
      const std::size_t slot = w * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      out.slots.push_back(static_cast<std::uint32_t>(slot));
      out.values.push_back(narrow(sums_[slot]));
    }
    seen_[w] = 0;
  }
  count_ = 0;
  return out;
}

plan::SlotVector SlotSums::take_dense(std::size_t period) {
  plan::SlotVector out;
  out.period = static_cast<std::uint32_t>(period);
  out.values.resize(period);
  for (std::size_t slot = 0; slot < period; ++slot)
    if ((seen_[slot / 64] >> (slot % 64) & 1) != 0) out.values[slot] = narrow(sums_[slot]);
  std::fill(seen_.begin(), seen_.end(), 0);
  count_ = 0;
  return out;
}

}  // namespace brainlock::compiler
