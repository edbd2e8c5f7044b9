#include "kernels/tail_layout.hpp"

namespace brainlock::math::detail {
namespace {

AlignedVector<std::uint32_t> lay_out(std::uint32_t n, const AlignedVector<std::uint32_t>& w,
                                     const AlignedVector<std::uint32_t>& w_shoup) {
  AlignedVector<std::uint32_t> tail(n / (2 * kTailBlock) * kTailPair + 16);
  for (std::size_t block = 0; block < n / kTailBlock; ++block) {
    std::uint32_t* base = tail.data() + tail_offset(block);
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const std::size_t vector = 8 * block + lane;
      const auto put = [&](std::size_t i, std::size_t index) {
        base[i * kTailVector + lane] = w[index];
        base[i * kTailVector + kTailShoup + lane] = w_shoup[index];
      };
      put(0, n / 8 + vector);
      for (std::size_t h = 0; h < 2; ++h) put(1 + h, n / 4 + 2 * vector + h);
      for (std::size_t g = 0; g < 4; ++g) put(3 + g, n / 2 + 4 * vector + g);
    }
  }
  return tail;
}

}  // namespace

void fill_tails(NttTables& t) {
  if (t.ring_degree < kMinVectorDegree) return;
  t.tail = lay_out(t.ring_degree, t.w, t.w_shoup);
  t.tail_inv = lay_out(t.ring_degree, t.w_inv, t.w_inv_shoup);
}

}  // namespace brainlock::math::detail
