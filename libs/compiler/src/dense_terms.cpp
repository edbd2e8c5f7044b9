#include "dense_terms.hpp"

#include <algorithm>
#include <map>
#include <span>

namespace brainlock::compiler {
namespace {

// Maps that products and rearrangements leave behind are nearly all zeros: so many neighbours are looked at in one go.
constexpr int kRun = 64;

bool all_zero(std::span<const float> values) {
  int others = 0;
  for (const float v : values) others |= v != 0 ? 1 : 0;
  return others == 0;
}

}  // namespace

std::complex<double> DenseTerms::weight(std::int64_t o, std::size_t e, double divisor) const {
  const auto in = static_cast<std::size_t>(dense.in_features);
  const auto value = [&](std::int64_t row) {
    return row < out.size ? static_cast<double>(dense.weights[static_cast<std::size_t>(row) * in + e]) / divisor : 0.0;
  };
  const double real = value(o), imaginary = out.parts == 2 ? value(o + out.half) : 0.0;
  return turned ? std::complex<double>(-imaginary, real) : std::complex<double>(real, imaginary);
}

// Output o reads element s at shift (s - o) mod `shifts`, a power of two.
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
    const auto first = static_cast<std::size_t>(part) * static_cast<std::size_t>(in.half),
               last = std::min(columns, first + static_cast<std::size_t>(in.half));
    for (std::size_t row = 0; row < static_cast<std::size_t>(out.size) && left > 0; ++row)
      for (std::size_t run = first; run < last; run += kRun) {
        const std::size_t end = std::min<std::size_t>(last, run + kRun);
        if (all_zero(std::span(dense.weights).subspan(row * columns + run, end - run))) continue;
        for (std::size_t e = run; e < end; ++e)
          if (dense.weights[row * columns + e] != 0) see((e - first - row % half) & (count - 1));
      }
  }
}

void DenseTerms::add_vector(const VectorLayout& in, LinearBuilder& builder) const {
  const std::int64_t m = out.period, period = std::max(m, in.period), shifts = std::min(m, in.period);
  if (structure_only) return expect_vector(in, shifts, builder);
  for (int part = 0; part < in.parts; ++part) {
    const std::uint32_t from = input(0, part);
    builder.add(0, from, 0, 0, 0.0);  // the lowest giant step is 0 whatever weights are zero
    // Shifts that lie side by side read neighbours of one row.
    for (std::int64_t run = 0; run < shifts; run += kRun) {
      const std::int64_t end = std::min<std::int64_t>(shifts, run + kRun);
      for (std::int64_t t = 0; t < period; ++t) {
        const std::int64_t o = t & (m - 1);
        if (o >= out.half) continue;
        for (std::int64_t r = run; r < end; ++r) {
          const std::int64_t s = (t + r) & (in.period - 1), e = part * in.half + s;
          if (s >= in.half || e >= in.size) continue;
          const std::complex<double> value = weight(o, static_cast<std::size_t>(e), factor[part]);
          if (value != 0.0) builder.add(0, from, r, t, value);
        }
      }
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
  struct Element {
    std::int64_t slot;
    std::uint32_t from;
    int part;
    Seen* seen;
  };
  std::vector<Element> elements;
  for (int c = 0; c < in.shape.channels; ++c)
    for (int y = 0; y < in.shape.height; ++y)
      for (int x = 0; x < in.shape.width; ++x) {
        const Where w = in.where(c, y, x);
        const std::uint32_t from = input(w.ciphertext, w.part);
        Seen& seen = of_input[from];
        if (seen.shifts.empty()) seen = {std::vector<bool>(static_cast<std::size_t>(m), false), m};
        elements.push_back({w.slot, from, w.part, &seen});
      }
  const auto see = [&](const Element& element, std::int64_t o, std::size_t e) {
    const std::int64_t r = (element.slot - o) & (m - 1);   // modulo m, a power of two
    Seen& seen = *element.seen;
    if (structure_only && (seen.left == 0 || seen.shifts[static_cast<std::size_t>(r)])) return;
    const std::complex<double> value = weight(o, e, factor[element.part]);
    if (value == 0.0) return;
    if (!structure_only) {
      builder.add(0, element.from, r, element.slot - r, value);
      return;
    }
    builder.expect(0, element.from, r, r);
    seen.shifts[static_cast<std::size_t>(r)] = true;
    --seen.left;
  };
  // Neighbours of one row of the weights together, as they lie in memory.
  for (std::size_t run = 0; run < elements.size(); run += kRun) {
    const std::size_t end = std::min<std::size_t>(elements.size(), run + kRun);
    for (std::int64_t o = 0; o < out.half; ++o)
      for (std::size_t e = run; e < end; ++e) see(elements[e], o, e);
  }
}

}  // namespace brainlock::compiler
