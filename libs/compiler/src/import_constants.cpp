// Evaluation of operators on constants: what exporters leave around weights and shapes (Constant, Shape, Gather,
// Concat, ...).
#include <algorithm>
#include <cmath>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Tensor = std::shared_ptr<ConstTensor>;

constexpr std::size_t kMaxRank = 8;

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

Outcome cast_to(ImportState& state, const OnnxNode& node, const ConstTensor& tensor, bool to_real) {
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

Outcome cast(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  constexpr std::int64_t kFloat = 1, kInt32 = 6, kInt64 = 7, kFloat16 = 10, kDouble = 11, kBrainFloat16 = 16;
  const std::int64_t to = attribute_int(node, "to", 0);
  const bool to_real = to == kFloat || to == kFloat16 || to == kDouble || to == kBrainFloat16;
  if (!to_real && to != kInt32 && to != kInt64) return not_evaluated(node);
  return cast_to(state, node, tensor, to_real);
}

Outcome cast_like(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  const ConstTensorPtr like = state.constant(node, 1);
  return like ? cast_to(state, node, tensor, !like->is_integer) : not_evaluated(node);
}

// The elements of a tensor at first + sum of index * steps, for every index within dims.
Outcome pick(ImportState& state, const ConstTensor& from, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& steps,
             std::int64_t first, ConstTensorPtr& out) {
  const std::size_t count = element_count(dims);
  if (dims.size() > kMaxRank || !state.budget().charge(count)) return too_large();
  auto made = std::make_shared<ConstTensor>();
  made->is_integer = from.is_integer;
  std::vector<std::int64_t> index(dims.size(), 0);
  std::int64_t at = first;
  for (std::size_t element = 0; element < count; ++element) {
    if (from.is_integer)
      made->integers.push_back(from.integers[static_cast<std::size_t>(at)]);
    else
      made->reals.push_back(from.reals[static_cast<std::size_t>(at)]);
    for (std::size_t axis = dims.size(); axis-- > 0;) {
      at += steps[axis];
      if (++index[axis] < dims[axis]) break;
      at -= steps[axis] * index[axis];
      index[axis] = 0;
    }
  }
  made->dims = std::move(dims);
  out = std::move(made);
  return {};
}

Outcome transpose(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  const std::size_t rank = tensor.dims.size();
  std::vector<std::int64_t> perm(rank), dims, steps;
  for (std::size_t k = 0; k < rank; ++k) perm[k] = static_cast<std::int64_t>(rank - 1 - k);
  if (const auto given = attribute_ints(node, "perm")) perm = *given;
  std::vector<bool> seen(rank, false);
  const std::vector<std::int64_t> strides = strides_of(tensor.dims);
  for (const std::int64_t axis : perm) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(rank) || seen[static_cast<std::size_t>(axis)] || perm.size() != rank)
      return inconsistent("perm is no permutation of its axes");
    seen[static_cast<std::size_t>(axis)] = true;
    dims.push_back(tensor.dims[static_cast<std::size_t>(axis)]);
    steps.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  ConstTensorPtr out;
  if (perm.size() != rank) return inconsistent("perm is no permutation of its axes");
  if (auto refusal = pick(state, tensor, std::move(dims), steps, 0, out)) return refusal;
  return state.finish(node, std::move(out));
}

// The tensor repeated to fill dims.
Outcome repeat(ImportState& state, const ConstTensorPtr& tensor, const std::vector<std::int64_t>& dims, ConstTensorPtr& out) {
  out = tensor;
  if (tensor->dims == dims) return {};
  const auto strides = broadcast_strides(tensor->dims, dims);
  if (!strides) return inconsistent("a constant " + dims_to_string(tensor->dims) + " does not broadcast to " + dims_to_string(dims));
  return pick(state, *tensor, dims, {strides->begin(), strides->end()}, 0, out);
}

Outcome constant_of_shape(ImportState& state, const OnnxNode& node, const ConstTensor& shape) {
  const auto given = node.attributes.find("value");
  ConstTensorPtr value = make_reals({1}, {0});
  if (given != node.attributes.end()) value = given->second.tensor;
  if (!value || value->size() != 1 || !shape.is_integer || shape.size() > kMaxRank) return not_evaluated(node);
  std::int64_t count = 1;
  for (const std::int64_t dim : shape.integers) {  // none is fine: an empty list of pads
    if (dim < 0 || dim > (std::int64_t{1} << 40) / std::max<std::int64_t>(count, 1)) return not_evaluated(node);
    count *= dim;
  }
  ConstTensorPtr out;
  if (auto refusal = pick(state, *value, shape.integers, std::vector<std::int64_t>(shape.size(), 0), 0, out)) return refusal;
  return state.finish(node, std::move(out));
}

// (q - zero point) * scale, one of each for all elements or for each place along an axis.
Outcome dequantize(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  const ConstTensorPtr scale = state.constant(node, 1), zero = state.constant(node, 2);
  const auto rank = static_cast<std::int64_t>(tensor.dims.size());
  std::int64_t axis = attribute_int(node, "axis", 1);
  if (axis < 0) axis += rank;
  const bool single = scale && scale->size() == 1;
  const bool per_axis = scale && axis >= 0 && axis < rank && scale->dims == std::vector<std::int64_t>{tensor.dims[static_cast<std::size_t>(axis)]};
  if (!tensor.is_integer || !scale || scale->is_integer || !(single || per_axis) || attribute_int(node, "block_size", 0) != 0 ||
      (zero && (!zero->is_integer || zero->size() != scale->size())) || (ImportState::has_input(node, 2) && !zero))
    return not_evaluated(node);
  if (!state.budget().charge(tensor.size())) return too_large();
  const std::int64_t inner = per_axis ? strides_of(tensor.dims)[static_cast<std::size_t>(axis)] : 1;
  auto out = std::make_shared<ConstTensor>();
  out->dims = tensor.dims;
  for (std::size_t i = 0; i < tensor.size(); ++i) {
    const std::size_t k = single ? 0 : i / static_cast<std::size_t>(inner) % scale->size();
    out->reals.push_back(static_cast<float>((tensor.at(i) - (zero ? zero->at(k) : 0)) * scale->at(k)));
    if (!std::isfinite(out->reals.back())) return inconsistent("a constant overflows");
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
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

Outcome arithmetic(ImportState& state, const OnnxNode& node) {
  ConstTensorPtr a = state.constant(node, 0), b = state.constant(node, 1);
  if (!a || !b) return inconsistent("it needs two inputs");
  const auto dims = common_dims(a->dims, b->dims);
  if (!dims || a->is_integer != b->is_integer || (a->is_integer && node.op == "Pow")) return not_evaluated(node);
  if (auto refusal = repeat(state, a, *dims, a)) return refusal;
  if (auto refusal = repeat(state, b, *dims, b)) return refusal;
  if (!state.budget().charge(a->size())) return too_large();
  auto out = std::make_shared<ConstTensor>();
  out->dims = *dims;
  out->is_integer = a->is_integer;
  for (std::size_t i = 0; i < a->size(); ++i) {
    const double x = a->at(i), y = b->at(i);
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

Outcome equal(ImportState& state, const OnnxNode& node) {
  ConstTensorPtr a = state.constant(node, 0), b = state.constant(node, 1);
  const auto dims = a && b ? common_dims(a->dims, b->dims) : std::nullopt;
  if (!dims) return not_evaluated(node);
  if (auto refusal = repeat(state, a, *dims, a)) return refusal;
  if (auto refusal = repeat(state, b, *dims, b)) return refusal;
  if (!state.budget().charge(a->size())) return too_large();
  std::vector<std::int64_t> same;
  for (std::size_t i = 0; i < a->size(); ++i) same.push_back(a->at(i) == b->at(i) ? 1 : 0);
  return state.finish(node, make_integers(*dims, std::move(same)));
}

// With Equal: the sizes that Expand shall keep (-1), as PyTorch computes them.
Outcome where(ImportState& state, const OnnxNode& node, ConstTensorPtr condition) {
  ConstTensorPtr a = state.constant(node, 1), b = state.constant(node, 2);
  auto dims = a && b ? common_dims(a->dims, b->dims) : std::nullopt;
  if (dims) dims = common_dims(*dims, condition->dims);
  if (!dims || a->is_integer != b->is_integer) return not_evaluated(node);
  for (ConstTensorPtr* each : {&condition, &a, &b})
    if (auto refusal = repeat(state, *each, *dims, *each)) return refusal;
  if (!state.budget().charge(a->size())) return too_large();
  auto out = std::make_shared<ConstTensor>(*a);
  for (std::size_t i = 0; i < a->size(); ++i) {
    if (condition->at(i) != 0) continue;
    if (a->is_integer)
      out->integers[i] = b->integers[i];
    else
      out->reals[i] = b->reals[i];
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

}  // namespace

Outcome fold_constant(ImportState& state, const OnnxNode& node) {
  const std::string& op = node.op;
  if (op == "Constant") return constant_node(state, node);
  if (op == "Concat") return import_concat(state, node);
  const ConstTensorPtr tensor = state.constant(node, 0);
  if (!tensor) return not_evaluated(node);
  if (op == "Identity" || op == "Dropout") return state.finish(node, tensor);
  if (op == "Cast") return cast(state, node, *tensor);
  if (op == "CastLike") return cast_like(state, node, *tensor);
  if (op == "Transpose") return transpose(state, node, *tensor);
  if (op == "Gather") return import_gather(state, node);
  if (op == "Slice") return slice_constant(state, node, *tensor);
  if (op == "Split") return split_constant(state, node, *tensor);
  if (op == "Expand") return import_expand(state, node);
  if (op == "Equal") return equal(state, node);
  if (op == "Where") return where(state, node, tensor);
  if (op == "ConstantOfShape") return constant_of_shape(state, node, *tensor);
  if (op == "DequantizeLinear") return dequantize(state, node, *tensor);
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
  if (const auto outcome = compute_constant(state, node)) return *outcome;
  return not_evaluated(node);
}

}  // namespace brainlock::compiler
