// Operators that move or rename elements without computing: they change a value's dims and view only.
#include <algorithm>
#include <limits>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

// A value of new dims with as many elements.
Outcome redimension(ImportState& state, const OnnxNode& node, const Value& value, std::vector<std::int64_t> dims) {
  Value out = value;
  out.dims = std::move(dims);
  return state.finish(node, std::move(out), true);
}

Outcome input_value(const ImportState& state, const OnnxNode& node, const Value*& value) {
  value = state.value(node, 0);
  return value != nullptr ? Outcome{} : Outcome{inconsistent("it has no input")};
}

}  // namespace

Outcome read_axis(const OnnxNode& node, std::size_t rank, std::int64_t otherwise, int& axis) {
  const auto extent = static_cast<std::int64_t>(rank);
  const std::int64_t given = attribute_int(node, "axis", otherwise);
  if (given < -extent || given >= extent)
    return inconsistent("axis " + std::to_string(given) + " of a tensor of rank " + std::to_string(rank));
  axis = static_cast<int>(given < 0 ? given + extent : given);
  return {};
}

Outcome read_axes(const ImportState& state, const OnnxNode& node, std::size_t k, int rank,
                  std::optional<std::vector<int>>& axes) {
  axes.reset();
  std::optional<std::vector<std::int64_t>> raw = attribute_ints(node, "axes");
  if (ImportState::has_input(node, k)) {
    const ConstTensorPtr tensor = state.constant(node, k);
    if (!tensor || !tensor->is_integer) return Refusal{"axes that are no constant", "export with fixed axes", false};
    raw = tensor->integers;
  }
  if (!raw) return {};
  std::vector<int> out;
  for (std::int64_t axis : *raw) {
    if (axis < -rank || axis >= rank)
      return inconsistent("axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank));
    out.push_back(static_cast<int>(axis < 0 ? axis + rank : axis));
  }
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end()) return inconsistent("an axis is named twice");
  axes = std::move(out);
  return {};
}

Outcome resolve_reshape(const std::vector<std::int64_t>& from, const ConstTensor& target, bool allow_zero,
                        std::vector<std::int64_t>& to) {
  if (!target.is_integer || target.dims.size() != 1 || target.size() > 8)
    return inconsistent("its shape is not a short list of integers");
  const auto count = static_cast<std::int64_t>(element_count(from));
  std::int64_t known = 1;
  int open = -1;
  to = target.integers;
  for (std::size_t k = 0; k < to.size(); ++k) {
    if (to[k] == 0 && !allow_zero) {
      if (k >= from.size()) return inconsistent("its shape copies a dimension that is not there");
      to[k] = from[k];
    }
    if (to[k] == -1) {
      if (open >= 0) return inconsistent("its shape leaves two dimensions open");
      open = static_cast<int>(k);
      continue;
    }
    if (to[k] < 1 || to[k] > std::numeric_limits<std::int32_t>::max() || known > (std::int64_t{1} << 31) / to[k]) {
      return inconsistent("its shape has the dimension " + std::to_string(to[k]));
    }
    known *= to[k];
  }
  if (open >= 0) to[open] = count / known;
  if ((open >= 0 ? known * to[open] : known) != count || count == 0) {
    return inconsistent("cannot reshape " + dims_to_string(from) + " to " + dims_to_string(target.integers));
  }
  return {};
}

Outcome import_identity(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  return state.finish(node, *value, true);
}

Outcome import_cast(ImportState& state, const OnnxNode& node) {
  constexpr std::int64_t kFloat = 1, kFloat16 = 10, kDouble = 11, kBrainFloat16 = 16;
  const std::int64_t to = attribute_int(node, "to", 0);
  if (to != kFloat && to != kFloat16 && to != kDouble && to != kBrainFloat16) {
    return Refusal{"a cast to integers, which rounds and is no polynomial", "keep the tensors in floating point", false};
  }
  return import_identity(state, node);
}

Outcome import_cast_like(ImportState& state, const OnnxNode& node) {
  const ConstTensorPtr constant = state.constant(node, 0), like = state.constant(node, 1);
  if (constant && constant->is_integer) {  // as the input, which is real
    auto reals = std::make_shared<ConstTensor>();
    reals->dims = constant->dims;
    for (std::size_t i = 0; i < constant->size(); ++i) reals->reals.push_back(static_cast<float>(constant->at(i)));
    return state.finish(node, ConstTensorPtr(std::move(reals)));
  }
  if (constant) return state.finish(node, constant);
  if (like && like->is_integer) {
    return Refusal{"a cast to integers, which rounds and is no polynomial", "keep the tensors in floating point", false};
  }
  return import_identity(state, node);
}

Outcome import_dropout(ImportState& state, const OnnxNode& node) {
  if (ImportState::has_input(node, 2)) {
    const ConstTensorPtr training = state.constant(node, 2);
    if (!training || training->size() != 1 || training->at(0) != 0) {
      return Refusal{"dropout in training mode", "export the model in evaluation mode (model.eval())", false};
    }
  }
  return import_identity(state, node);
}

Outcome import_flatten(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  const auto rank = static_cast<std::int64_t>(value->dims.size());
  std::int64_t axis = attribute_int(node, "axis", 1);
  if (axis < -rank || axis > rank) return inconsistent("axis " + std::to_string(axis) + " is out of range");
  if (axis < 0) axis += rank;
  std::int64_t before = 1, after = 1;
  for (std::int64_t k = 0; k < rank; ++k) (k < axis ? before : after) *= value->dims[k];
  return redimension(state, node, *value, {before, after});
}

Outcome import_reshape(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  const ConstTensorPtr target = state.constant(node, 1);
  if (!target) return Refusal{"a shape that is no constant", "export with a fixed image size", false};
  std::vector<std::int64_t> dims;
  if (auto refusal = resolve_reshape(value->dims, *target, attribute_int(node, "allowzero", 0) != 0, dims))
    return refusal;
  return redimension(state, node, *value, std::move(dims));
}

Outcome import_squeeze(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  std::optional<std::vector<int>> axes;
  if (auto refusal = read_axes(state, node, 1, static_cast<int>(value->dims.size()), axes)) return refusal;
  if (!axes)
    return Refusal{"Squeeze without axes, which would drop the batch too", "name the axes (2 and 3), or use Flatten",
                   false};
  std::vector<std::int64_t> dims;
  for (std::size_t k = 0; k < value->dims.size(); ++k) {
    const bool dropped = std::binary_search(axes->begin(), axes->end(), static_cast<int>(k));
    if (dropped && value->dims[k] != 1)
      return inconsistent("it squeezes a dimension of " + std::to_string(value->dims[k]));
    if (!dropped) dims.push_back(value->dims[k]);
  }
  return redimension(state, node, *value, std::move(dims));
}

Outcome import_unsqueeze(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  const std::size_t given = ImportState::has_input(node, 1) && state.constant(node, 1)
                                ? state.constant(node, 1)->size()
                                : attribute_ints(node, "axes").value_or(std::vector<std::int64_t>{}).size();
  const std::size_t rank = value->dims.size() + given;
  if (given == 0 || rank > 8) return inconsistent("its axes are missing or too many");
  std::optional<std::vector<int>> axes;
  if (auto refusal = read_axes(state, node, 1, static_cast<int>(rank), axes)) return refusal;
  std::vector<std::int64_t> dims;
  for (std::size_t k = 0, from = 0; k < rank; ++k) {
    dims.push_back(std::binary_search(axes->begin(), axes->end(), static_cast<int>(k)) ? 1 : value->dims[from++]);
  }
  return redimension(state, node, *value, std::move(dims));
}

Outcome import_transpose(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  const std::size_t rank = value->dims.size();
  std::vector<std::int64_t> perm(rank);
  for (std::size_t k = 0; k < rank; ++k) perm[k] = static_cast<std::int64_t>(rank - 1 - k);
  if (const auto given = attribute_ints(node, "perm")) perm = *given;
  std::vector<std::int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    if (sorted.size() != rank || sorted[k] != static_cast<std::int64_t>(k))
      return inconsistent("perm is no permutation of its axes");
  }
  Value out = *value;
  std::vector<std::size_t> strides(rank, 1), moved(rank);
  for (std::size_t k = rank; k-- > 1;) strides[k - 1] = strides[k] * static_cast<std::size_t>(value->dims[k]);
  for (std::size_t k = 0; k < rank; ++k) {
    out.dims[k] = value->dims[perm[k]];
    moved[k] = strides[perm[k]];
  }
  const std::size_t count = element_count(out.dims);
  if (!state.budget().charge(count)) return too_large();
  auto view = std::make_shared<std::vector<int>>(count);
  bool moves = false;
  std::vector<std::int64_t> index(rank, 0);
  std::size_t from = 0;
  for (std::size_t element = 0; element < count; ++element) {
    (*view)[element] = static_cast<int>(value->base_element(from));
    moves = moves || (*view)[element] != static_cast<int>(element);
    for (std::size_t axis = rank; axis-- > 0;) {
      from += moved[axis];
      if (++index[axis] < out.dims[axis]) break;
      from -= moved[axis] * static_cast<std::size_t>(index[axis]);
      index[axis] = 0;
    }
  }
  out.view = moves ? std::move(view) : nullptr;
  return state.finish(node, std::move(out), true);
}

Outcome import_shape(ImportState& state, const OnnxNode& node) {
  const Value* value = nullptr;
  if (auto refusal = input_value(state, node, value)) return refusal;
  const auto rank = static_cast<std::int64_t>(value->dims.size());
  const auto clip = [&](std::int64_t k) { return std::clamp<std::int64_t>(k < 0 ? k + rank : k, 0, rank); };
  const std::int64_t start = clip(attribute_int(node, "start", 0)), end = clip(attribute_int(node, "end", rank));
  auto tensor = std::make_shared<ConstTensor>();
  tensor->is_integer = true;
  for (std::int64_t k = start; k < end; ++k) tensor->integers.push_back(value->dims[k]);
  tensor->dims = {static_cast<std::int64_t>(tensor->integers.size())};
  return state.finish(node, ConstTensorPtr(std::move(tensor)));
}

}  // namespace brainlock::compiler
