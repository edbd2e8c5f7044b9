// Evaluation of operators on constants: what exporters leave around weights and shapes (Constant, Shape, Gather,
// Concat, ...).
#include <algorithm>
#include <cmath>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Tensor = std::shared_ptr<ConstTensor>;

Tensor make_integers(std::vector<std::int64_t> dims, std::vector<std::int64_t> values) {
  auto tensor = std::make_shared<ConstTensor>();
  tensor->dims = std::move(dims);
  tensor->is_integer = true;
  tensor->integers = std::move(values);
  return tensor;
}

Tensor make_reals(std::vector<std::int64_t> dims, std::vector<float> values) {
  auto tensor = std::make_shared<ConstTensor>();
  tensor->dims = std::move(dims);
  tensor->reals = std::move(values);
  return tensor;
}

Refusal not_evaluated(const OnnxNode& node) {
  return {"constants computed in a way that is not followed (" + node.op + ")",
          "simplify the model (onnxsim) before compiling", false};
}

Outcome constant_node(ImportState& state, const OnnxNode& node) {
  for (const auto& [name, attribute] : node.attributes) {
    using Kind = OnnxAttribute::Kind;
    if (name == "value" && attribute.kind == Kind::kTensor) return state.finish(node, attribute.tensor);
    if (name == "value_int" && attribute.kind == Kind::kInt)
      return state.finish(node, make_integers({}, {attribute.i}));
    if (name == "value_ints" && attribute.kind == Kind::kInts) {
      return state.finish(node, make_integers({static_cast<std::int64_t>(attribute.ints.size())}, attribute.ints));
    }
    const bool floats = name == "value_floats" && attribute.kind == Kind::kFloats;
    if (floats || (name == "value_float" && attribute.kind == Kind::kFloat)) {
      std::vector<float> values = floats ? attribute.floats : std::vector<float>{attribute.f};
      if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
        return inconsistent("a constant is not finite");
      std::vector<std::int64_t> dims;
      if (floats) dims.push_back(static_cast<std::int64_t>(values.size()));
      return state.finish(node, make_reals(std::move(dims), std::move(values)));
    }
  }
  return Refusal{"a constant that is neither a tensor nor numbers", "store it as a float or int64 tensor", false};
}

// The same elements under other dims.
Outcome with_dims(ImportState& state, const OnnxNode& node, const ConstTensor& tensor, std::vector<std::int64_t> dims) {
  if (!state.budget().charge(tensor.size())) return too_large();
  auto out = std::make_shared<ConstTensor>(tensor);
  out->dims = std::move(dims);
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

Outcome cast(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  constexpr std::int64_t kFloat = 1, kInt32 = 6, kInt64 = 7, kFloat16 = 10, kDouble = 11;
  const std::int64_t to = attribute_int(node, "to", 0);
  const bool to_real = to == kFloat || to == kFloat16 || to == kDouble;
  if (!to_real && to != kInt32 && to != kInt64) return not_evaluated(node);
  if (!state.budget().charge(tensor.size())) return too_large();
  auto out = std::make_shared<ConstTensor>();
  out->dims = tensor.dims;
  out->is_integer = !to_real;
  for (std::size_t i = 0; i < tensor.size(); ++i) {
    const double value = tensor.at(i);
    if (to_real)
      out->reals.push_back(static_cast<float>(value));
    else if (tensor.is_integer)
      out->integers.push_back(tensor.integers[i]);
    else if (std::abs(value) < 9e15)
      out->integers.push_back(static_cast<std::int64_t>(value));
    else
      return inconsistent("it casts " + std::to_string(value) + " to an integer");
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

Outcome transpose_matrix(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  const auto perm = attribute_ints(node, "perm");
  if (tensor.dims.size() != 2 || (perm && *perm != std::vector<std::int64_t>{1, 0})) return not_evaluated(node);
  if (!state.budget().charge(tensor.size())) return too_large();
  auto out = std::make_shared<ConstTensor>(tensor);
  const auto rows = static_cast<std::size_t>(tensor.dims[0]), columns = static_cast<std::size_t>(tensor.dims[1]);
  std::swap(out->dims[0], out->dims[1]);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      if (tensor.is_integer)
        out->integers[c * rows + r] = tensor.integers[r * columns + c];
      else
        out->reals[c * rows + r] = tensor.reals[r * columns + c];
    }
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

// Lists of integers (shapes) put one behind the other.
Outcome concat_lists(ImportState& state, const OnnxNode& node) {
  std::vector<std::int64_t> all;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const ConstTensorPtr part = state.constant(node, k);
    if (!part || !part->is_integer || part->dims.size() != 1 || all.size() + part->size() > 64)
      return not_evaluated(node);
    all.insert(all.end(), part->integers.begin(), part->integers.end());
  }
  return state.finish(node, make_integers({static_cast<std::int64_t>(all.size())}, std::move(all)));
}

Outcome gather_list(ImportState& state, const OnnxNode& node, const ConstTensor& list) {
  const ConstTensorPtr at = state.constant(node, 1);
  if (!list.is_integer || list.dims.size() != 1 || !at || !at->is_integer || at->dims.size() > 1 || at->size() > 64)
    return not_evaluated(node);
  std::vector<std::int64_t> picked;
  const auto size = static_cast<std::int64_t>(list.size());
  for (std::int64_t index : at->integers) {
    if (index < -size || index >= size)
      return inconsistent("it gathers element " + std::to_string(index) + " of " + std::to_string(size));
    picked.push_back(list.integers[index < 0 ? index + size : index]);
  }
  return state.finish(node, make_integers(at->dims, std::move(picked)));
}

// data[start:end] of a list, by attributes (before opset 10) or inputs; step 1.
Outcome slice_list(ImportState& state, const OnnxNode& node, const ConstTensor& list) {
  const auto bound = [&](std::size_t k, const char* name) -> std::optional<std::int64_t> {
    if (const ConstTensorPtr tensor = state.constant(node, k)) {
      if (!tensor->is_integer || tensor->size() != 1) return std::nullopt;
      return tensor->integers[0];
    }
    const auto given = attribute_ints(node, name);
    return given && given->size() == 1 ? std::optional(given->front()) : std::nullopt;
  };
  const auto start = bound(1, "starts"), end = bound(2, "ends");
  const bool other_axis = ImportState::has_input(node, 3) && bound(3, "axes").value_or(1) != 0;
  const bool steps = ImportState::has_input(node, 4) && bound(4, "steps").value_or(0) != 1;
  if (!list.is_integer || list.dims.size() != 1 || !start || !end || other_axis || steps) return not_evaluated(node);
  const auto size = static_cast<std::int64_t>(list.size());
  const auto clip = [&](std::int64_t k) { return k < -size ? 0 : std::min(k < 0 ? k + size : k, size); };
  const std::int64_t first = clip(*start), last = std::max(first, clip(*end));
  return state.finish(node,
                      make_integers({last - first}, {list.integers.begin() + first, list.integers.begin() + last}));
}

Outcome change_axes(ImportState& state, const OnnxNode& node, const ConstTensor& tensor, bool add) {
  std::optional<std::vector<int>> axes;
  std::size_t given = attribute_ints(node, "axes").value_or(std::vector<std::int64_t>{}).size();
  if (const ConstTensorPtr list = state.constant(node, 1)) given = list->size();
  const std::size_t rank = tensor.dims.size() + (add ? given : 0);
  if (rank > 8 || given > 8) return inconsistent("too many axes");
  if (auto refusal = read_axes(state, node, 1, static_cast<int>(rank), axes)) return refusal;
  if (!axes) return not_evaluated(node);
  const auto named = [&](std::size_t k) { return std::binary_search(axes->begin(), axes->end(), static_cast<int>(k)); };
  std::vector<std::int64_t> dims;
  for (std::size_t k = 0, from = 0; k < rank; ++k) {
    if (add)
      dims.push_back(named(k) ? 1 : tensor.dims[from++]);
    else if (!named(k))
      dims.push_back(tensor.dims[k]);
    else if (tensor.dims[k] != 1)
      return inconsistent("it squeezes a dimension of " + std::to_string(tensor.dims[k]));
  }
  return with_dims(state, node, tensor, std::move(dims));
}

// a op b where the shapes are equal or one side is a single number.
Outcome arithmetic(ImportState& state, const OnnxNode& node) {
  const ConstTensorPtr a = state.constant(node, 0), b = state.constant(node, 1);
  if (!a || !b) return inconsistent("it needs two inputs");
  const bool fits = a->dims == b->dims || a->size() == 1 || b->size() == 1;
  if (!fits || a->size() == 0 || b->size() == 0 || a->is_integer != b->is_integer ||
      (a->is_integer && node.op == "Pow"))
    return not_evaluated(node);
  const ConstTensor& wide = a->size() >= b->size() ? *a : *b;
  if (!state.budget().charge(wide.size())) return too_large();
  auto out = std::make_shared<ConstTensor>();
  out->dims = a->dims.size() >= b->dims.size() && a->size() >= b->size() ? a->dims
              : b->size() >= a->size()                                   ? b->dims
                                                                         : a->dims;
  out->is_integer = a->is_integer;
  for (std::size_t i = 0; i < wide.size(); ++i) {
    const double x = a->at(a->size() == 1 ? 0 : i), y = b->at(b->size() == 1 ? 0 : i);
    double z = node.op == "Add"   ? x + y
               : node.op == "Sub" ? x - y
               : node.op == "Mul" ? x * y
               : node.op == "Div" ? x / y
                                  : std::pow(x, y);
    if (a->is_integer) z = std::trunc(z);  // ONNX divides integers towards zero
    if (!std::isfinite(z) || std::abs(z) > (a->is_integer ? 9e15 : 3.4e38)) return inconsistent("a constant overflows");
    if (a->is_integer)
      out->integers.push_back(static_cast<std::int64_t>(z));
    else
      out->reals.push_back(static_cast<float>(z));
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

Outcome unary(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  if (tensor.is_integer || !state.budget().charge(tensor.size())) return not_evaluated(node);
  auto out = std::make_shared<ConstTensor>(tensor);
  for (float& v : out->reals) {
    v = node.op == "Sqrt" ? std::sqrt(v) : node.op == "Neg" ? -v : 1 / v;
    if (!std::isfinite(v)) return inconsistent("a constant is not finite");
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

}  // namespace

Outcome fold_constant(ImportState& state, const OnnxNode& node) {
  const std::string& op = node.op;
  if (op == "Constant") return constant_node(state, node);
  if (op == "Concat") return concat_lists(state, node);
  const ConstTensorPtr tensor = state.constant(node, 0);
  if (!tensor) return not_evaluated(node);
  if (op == "Identity" || op == "Dropout") return state.finish(node, tensor);
  if (op == "Cast") return cast(state, node, *tensor);
  if (op == "Transpose") return transpose_matrix(state, node, *tensor);
  if (op == "Gather") return gather_list(state, node, *tensor);
  if (op == "Slice") return slice_list(state, node, *tensor);
  if (op == "Unsqueeze" || op == "Squeeze") return change_axes(state, node, *tensor, op == "Unsqueeze");
  if (op == "Shape")
    return state.finish(node, make_integers({static_cast<std::int64_t>(tensor->dims.size())}, tensor->dims));
  if (op == "Reshape") {
    const ConstTensorPtr target = state.constant(node, 1);
    std::vector<std::int64_t> dims;
    if (!target) return not_evaluated(node);
    if (auto refusal = resolve_reshape(tensor->dims, *target, attribute_int(node, "allowzero", 0) != 0, dims))
      return refusal;
    return with_dims(state, node, *tensor, std::move(dims));
  }
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Pow") return arithmetic(state, node);
  if (op == "Sqrt" || op == "Neg" || op == "Reciprocal") return unary(state, node, *tensor);
  return not_evaluated(node);
}

}  // namespace brainlock::compiler
