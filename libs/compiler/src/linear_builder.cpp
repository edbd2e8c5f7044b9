#include "linear_builder.hpp"

#include <algorithm>

#include "brainlock/base/parallel.hpp"
#include "layout.hpp"

namespace brainlock::compiler {

std::uint32_t LinearBuilder::input(plan::Register r) {
  const auto [it, fresh] = input_index_.try_emplace(r, static_cast<std::uint32_t>(inputs_.size()));
  if (fresh) inputs_.push_back(r);
  return it->second;
}

LinearBuilder::Vector& LinearBuilder::Shifts::at(std::int64_t shift) {
  auto& side = shift >= 0 ? from_zero : below_zero;
  const auto index = static_cast<std::size_t>(shift >= 0 ? shift : -1 - shift);
  if (index >= side.size()) side.resize(index + 1);
  return side[index];
}

LinearBuilder::Vector& LinearBuilder::term(int output, std::uint32_t input, std::int64_t shift) {
  auto& inputs = terms_[static_cast<std::size_t>(output)];
  if (inputs.size() <= input) inputs.resize(input + 1);
  Vector& vector = inputs[input].at(shift);
  vector.used = true;
  return vector;
}

std::int64_t LinearBuilder::before_giant(std::int64_t slot, std::int64_t shift) const {
  return slot + floor_div(shift, babies_) * babies_;
}

void LinearBuilder::add(int output, std::uint32_t input, std::int64_t shift, std::int64_t slot, std::complex<double> value) {
  const std::int64_t own = before_giant(slot, shift);
  Vector& vector = term(output, input, shift);
  if (period_ == slots_) {
    vector.sparse.push_back({kNoPattern, static_cast<std::uint32_t>(own & (slots_ - 1)), value});
  } else {
    if (vector.dense.empty()) vector.dense.resize(static_cast<std::size_t>(period_));
    vector.dense[static_cast<std::size_t>(own & (period_ - 1))] += value;
  }
}

LinearBuilder::Pattern LinearBuilder::pattern(std::span<const std::int64_t> slots) {
  std::vector<std::uint32_t>& reduced = patterns_.emplace_back();
  reduced.reserve(slots.size());
  for (const std::int64_t slot : slots) reduced.push_back(static_cast<std::uint32_t>(slot & (slots_ - 1)));
  return {static_cast<std::uint32_t>(patterns_.size() - 1)};
}

void LinearBuilder::add(int output, std::uint32_t input, std::int64_t shift, std::int64_t slot, Pattern pattern, std::complex<double> value) {
  term(output, input, shift).sparse.push_back({pattern.index, static_cast<std::uint32_t>(before_giant(slot, shift) & (slots_ - 1)), value});
}

void LinearBuilder::expect(int output, std::uint32_t input, std::int64_t first, std::int64_t last) {
  for (std::int64_t shift = first; shift <= last; ++shift) term(output, input, shift);
}

std::int64_t LinearBuilder::lowest_giant() const {
  std::int64_t lowest = 0;
  bool first = true;
  for (const auto& inputs : terms_)
    for (const Shifts& shifts : inputs)
      shifts.visit([&](std::int64_t shift, const Vector&) {
        const std::int64_t giant = floor_div(shift, babies_);
        if (first || giant < lowest) lowest = giant;
        first = false;
      });
  return lowest;
}

std::size_t LinearBuilder::place(std::size_t input, std::int64_t shift) const {
  return input * static_cast<std::size_t>(babies_) + static_cast<std::size_t>(floor_mod(shift, babies_));
}

plan::Linear LinearBuilder::build(const std::vector<plan::Register>& outputs, unsigned threads) const {
  plan::Linear linear;
  linear.inputs = inputs_;
  linear.giant_step = static_cast<std::int32_t>(babies_);
  linear.period = static_cast<std::uint32_t>(period_);
  const std::int64_t lowest = lowest_giant();
  std::vector<std::int64_t> column_of(inputs_.size() * static_cast<std::size_t>(babies_), -1);
  for (const auto& terms : terms_)
    for (std::size_t i = 0; i < terms.size(); ++i)
      terms[i].visit([&](std::int64_t shift, const Vector&) { column_of[place(i, shift)] = 0; });
  for (std::size_t at = 0; at < column_of.size(); ++at) {
    if (column_of[at] < 0) continue;
    column_of[at] = static_cast<std::int64_t>(linear.columns.size());
    linear.columns.push_back({static_cast<std::uint32_t>(at / static_cast<std::size_t>(babies_)),
                              static_cast<std::int32_t>(at % static_cast<std::size_t>(babies_))});
  }
  std::vector<const Vector*> vectors;
  for (std::size_t j = 0; j < terms_.size(); ++j) {
    linear.outputs.push_back(build_output(j, lowest, column_of, linear, vectors));
    linear.outputs.back().out = outputs[j];
  }
  linear.vectors.resize(vectors.size());
  // Short vectors are made faster than threads begin.
  const bool sparse = std::any_of(vectors.begin(), vectors.end(), [](const Vector* vector) { return !vector->sparse.empty(); });
  parallel_for(
      vectors.size(), sparse ? threads : 1, [&] { return SlotSums(sparse ? slots_ : 0); },
      [&](std::size_t i, SlotSums& sums) { linear.vectors[i] = to_slot_vector(*vectors[i], sums); });
  return linear;
}

plan::Linear::Output LinearBuilder::build_output(std::size_t j, std::int64_t lowest, const std::vector<std::int64_t>& column_of,
                                                 const plan::Linear& linear, std::vector<const Vector*>& vectors) const {
  struct Term {
    std::int64_t giant;
    std::int64_t column;
    const Vector* vector;
  };
  std::vector<Term> ordered;
  std::vector<std::int64_t> row_of(linear.columns.size(), -1);
  std::int64_t highest = lowest;
  for (std::size_t i = 0; i < terms_[j].size(); ++i)
    terms_[j][i].visit([&](std::int64_t shift, const Vector& vector) {
      ordered.push_back({floor_div(shift, babies_), column_of[place(i, shift)], &vector});
      row_of[static_cast<std::size_t>(ordered.back().column)] = 0;
      highest = std::max(highest, ordered.back().giant);
    });
  std::sort(ordered.begin(), ordered.end(),
            [](const Term& a, const Term& b) { return a.giant != b.giant ? a.giant < b.giant : a.column < b.column; });
  plan::Linear::Output output;
  for (std::size_t column = 0; column < row_of.size(); ++column) {
    if (row_of[column] < 0) continue;
    row_of[column] = static_cast<std::int64_t>(output.columns.size());
    output.columns.push_back(static_cast<std::uint32_t>(column));
  }
  output.giants = static_cast<std::uint32_t>(highest - lowest + 1);
  output.weights.assign(output.columns.size() * output.giants, -1);
  for (const Term& term : ordered) {
    const auto row = static_cast<std::size_t>(row_of[static_cast<std::size_t>(term.column)]);
    output.weights[row * output.giants + static_cast<std::size_t>(term.giant - lowest)] =
        static_cast<std::int32_t>(vectors.size());
    vectors.push_back(term.vector);
  }
  return output;
}

plan::SlotVector LinearBuilder::to_slot_vector(const Vector& vector, SlotSums& sums) const {
  if (!vector.sparse.empty()) {
    const auto mask = static_cast<std::uint32_t>(slots_ - 1);
    for (const Entry& entry : vector.sparse) {
      if (entry.pattern == kNoPattern) {
        sums.add(entry.slot, entry.value);
      } else {
        for (const std::uint32_t slot : patterns_[entry.pattern]) sums.add((slot + entry.slot) & mask, entry.value);
      }
    }
    return sums.take_sparse();
  }
  plan::SlotVector out;
  out.period = static_cast<std::uint32_t>(period_);
  out.values.reserve(vector.dense.size());
  for (const auto& v : vector.dense) out.values.emplace_back(static_cast<float>(v.real()), static_cast<float>(v.imag()));
  return out;
}

}  // namespace brainlock::compiler
