#include "dense_terms.hpp"

#include <algorithm>
#include <map>

namespace brainlock::compiler {

std::complex<double> DenseTerms::weight(std::int64_t o, std::size_t e, double divisor) const {
  const auto in = static_cast<std::size_t>(dense.in_features);
  const auto value = [&](std::int64_t row) {
    return row < out.size ? static_cast<double>(dense.weights[static_cast<std::size_t>(row) * in + e]) / divisor : 0.0;
  };
  const double real = value(o), imaginary = out.parts == 2 ? value(o + out.half) : 0.0;
  return turned ? std::complex<double>(-imaginary, real) : std::complex<double>(real, imaginary);
}

// Output o reads element s at shift (s - o) mod `shifts`.
void DenseTerms::expect_vector(const VectorLayout& in, std::int64_t shifts, LinearBuilder& builder) const {
  const auto count = static_cast<std::size_t>(shifts), columns = static_cast<std::size_t>(dense.in_features),
             half = static_cast<std::size_t>(out.half);
  for (int part = 0; part < in.parts; ++part) {
    const std::uint32_t from = input(0, part);
    std::vector<bool> seen(count, false);
    std::size_t left = count;
    const auto see = [&](std::size_t shift) {
      if (seen[shift]) return;
      seen[shift] = true;
      --left;
      builder.expect(0, from, static_cast<std::int64_t>(shift), static_cast<std::int64_t>(shift));
    };
    see(0);
    const auto first = static_cast<std::size_t>(part * in.half),
               last = std::min(columns, first + static_cast<std::size_t>(in.half));
    for (std::size_t row = 0; row < static_cast<std::size_t>(out.size) && left > 0; ++row)
      for (std::size_t e = first; e < last; ++e)
        if (dense.weights[row * columns + e] != 0) see((e - first + count - row % half % count) % count);
  }
}

void DenseTerms::add_vector(const VectorLayout& in, LinearBuilder& builder) const {
  const std::int64_t m = out.period, period = std::max(m, in.period), shifts = std::min(m, in.period);
  if (structure_only) return expect_vector(in, shifts, builder);
  for (int part = 0; part < in.parts; ++part) {
    const std::uint32_t from = input(0, part);
    builder.add(0, from, 0, 0, 0.0);  // the lowest giant step is 0 whatever weights are zero
    for (std::int64_t r = 0; r < shifts; ++r)
      for (std::int64_t t = 0; t < period; ++t) {
        const std::int64_t s = floor_mod(t + r, in.period), o = t % m;
        const std::int64_t e = part * in.half + s;
        if (s >= in.half || e >= in.size || o >= out.half) continue;
        const std::complex<double> value = weight(o, static_cast<std::size_t>(e), factor[part]);
        if (value != 0.0) builder.add(0, from, r, t, value);
      }
  }
}

void DenseTerms::add_grid(const GridLayout& in, LinearBuilder& builder) const {
  const std::int64_t m = out.period;
  struct Seen {  // shifts of one input, where only the structure is asked for
    std::vector<bool> shifts;
    std::int64_t left = 0;
  };
  std::map<std::uint32_t, Seen> of_input;
  const Where first = in.where(0, 0, 0);
  builder.add(0, input(first.ciphertext, first.part), 0, first.slot, 0.0);  // as above
  std::size_t e = 0;
  for (int c = 0; c < in.shape.channels; ++c)
    for (int y = 0; y < in.shape.height; ++y)
      for (int x = 0; x < in.shape.width; ++x, ++e) {
        const Where w = in.where(c, y, x);
        const std::uint32_t from = input(w.ciphertext, w.part);
        Seen& seen = of_input[from];
        if (seen.shifts.empty()) seen = {std::vector<bool>(static_cast<std::size_t>(m), false), m};
        for (std::int64_t o = 0; o < out.half && (!structure_only || seen.left > 0); ++o) {
          const std::int64_t r = floor_mod(w.slot - o, m);
          if (structure_only && seen.shifts[static_cast<std::size_t>(r)]) continue;
          const std::complex<double> value = weight(o, e, factor[w.part]);
          if (value == 0.0) continue;
          if (!structure_only) {
            builder.add(0, from, r, w.slot - r, value);
            continue;
          }
          builder.expect(0, from, r, r);
          seen.shifts[static_cast<std::size_t>(r)] = true;
          --seen.left;
        }
      }
}

}  // namespace brainlock::compiler
