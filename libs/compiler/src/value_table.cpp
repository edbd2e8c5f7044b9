#include "value_table.hpp"

#include <utility>

namespace brainlock::compiler {
namespace {

Error unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

template <typename A, typename B>
bool same_place(const A& a, const B& b) {
  if (a.grid.has_value() != b.grid.has_value() || a.registers.size() != b.registers.size()) return false;
  return a.grid ? *a.grid == *b.grid : a.vector->size == b.vector->size;
}

}  // namespace

template <typename Op>
LiftedTensor ValueTable::lift(const PackedTensor& value) {
  LiftedTensor out{value.grid, value.vector, {}, {1, 1}};
  for (plan::Register r : value.registers) {
    Op op;
    op.in = r;
    for (int part = 0; part < value.parts(); ++part) op.out.push_back(out_.fresh());
    out.registers.insert(out.registers.end(), op.out.begin(), op.out.end());
    out_.emit(std::move(op));
  }
  return out;
}

void ValueTable::set_image(PackedTensor image) {
  image_ = lift<plan::Split>(image);
  image_.factor[0] = image_.factor[1] = image.parts() == 2 ? 2.0 : 1.0;
}

void ValueTable::push(PackedTensor value) {
  const std::size_t i = values_.size();
  values_.push_back(std::move(value));
  if (plan_.is_addend(i)) return;
  const int stage = static_cast<int>(i);
  if (plan_.is_read(i, /*as_square=*/true)) {
    LiftedTensor squares = lift<plan::Square>(values_[i]);
    squares.factor[0] = squares.parts() == 2 ? 4.0 : 1.0;
    squares.factor[1] = -4.0;
    squares_[stage] = std::move(squares);
  }
  if (plan_.is_read(i, /*as_square=*/false)) {
    LiftedTensor parts = lift<plan::Split>(values_[i]);
    parts.factor[0] = parts.factor[1] = parts.parts() == 2 ? 2.0 : 1.0;
    plain_[stage] = std::move(parts);
  }
}

// A negated value is kept as i (u + iv) = -v + iu, whose parts give 4 v^2 and -4 u^2: added to the other part of a square
// they are subtracted from it. A value of one part is kept as iu, and its square is -u^2 already.
Result<LiftedTensor> ValueTable::sum_squares(const std::vector<int>& reads) {
  if (const auto known = sums_.find(reads); known != sums_.end()) return known->second;
  LiftedTensor sum = squares_.at(reads.front());
  for (std::size_t at = 0; at < sum.registers.size(); ++at) {
    plan::Combine combine;
    for (const int read : reads) {
      const LiftedTensor& term = squares_.at(read);
      if (!same_place(sum, term)) return unsupported("the squares of a polynomial come to different places in this layout");
      const bool turned = plan_.stages[static_cast<std::size_t>(read)].negated && sum.parts() == 2;
      combine.terms.push_back({term.registers[turned ? at ^ 1 : at], 0});
    }
    if (reads.size() == 1) {
      sum.registers[at] = combine.terms[0].in;
      continue;
    }
    combine.out = sum.registers[at] = out_.fresh();
    out_.emit(std::move(combine));
  }
  sums_[reads] = sum;
  return sum;
}

Result<LiftedTensor> ValueTable::read(const Stage& stage) {
  LiftedTensor out;
  if (stage.reads.empty()) {
    out = image_;
  } else if (!stage.reads_squares) {
    out = plain_.at(stage.reads.front());
  } else {
    BRAINLOCK_ASSIGN(out, sum_squares(stage.reads));
  }
  if (!stage.carried) return out;
  for (plan::Register& r : out.registers) {
    plan::Drop drop{r, out_.fresh()};
    r = drop.out;
    out_.emit(drop);
  }
  return out;
}

Result<PackedTensor> ValueTable::sum(const PackedTensor& a, const PackedTensor& b) {
  if (!same_place(a, b))
    return unsupported("the branches of a sum come to different places in this layout; give both the same strides and pools");
  PackedTensor out = b;
  for (std::size_t j = 0; j < out.registers.size(); ++j) {
    plan::Add add{{a.registers[j], b.registers[j]}, out_.fresh()};
    out.registers[j] = add.out;
    out_.emit(std::move(add));
  }
  return out;
}

}  // namespace brainlock::compiler
