// Arithmetic that works on each element by itself: gathered into the polynomial of a value.
#include <algorithm>
#include <cmath>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Poly = ElementPolynomial;

const char* const kOneCoefficient = "use constants of one number or one per channel";

// The constant as a coefficient on the value's base.
Outcome read_coefficient(ImportState& state, const Value& value, const ConstTensor& tensor, Coefficient& out) {
  if (tensor.size() == 0) return inconsistent("a constant of no elements");
  const auto strides = broadcast_strides(tensor.dims, value.dims);
  if (!strides) {
    return Refusal{
        "its constant " + dims_to_string(tensor.dims) + " does not broadcast to " + dims_to_string(value.dims),
        kOneCoefficient, false};
  }
  if (tensor.size() == 1) {
    out = {tensor.at(0)};
    return {};
  }
  const std::size_t count = element_count(value.dims);
  if (!state.budget().charge(count)) return too_large();
  Coefficient wide(count);
  std::vector<std::int64_t> index(value.dims.size(), 0);
  std::size_t from = 0;
  for (std::size_t element = 0; element < count; ++element) {
    wide[value.base_element(element)] = tensor.at(from);
    for (std::size_t axis = index.size(); axis-- > 0;) {  // count up the index, moving `from` along
      from += (*strides)[axis];
      if (++index[axis] < value.dims[axis]) break;
      from -= (*strides)[axis] * static_cast<std::size_t>(index[axis]);
      index[axis] = 0;
    }
  }
  out = narrowest(std::move(wide), state.shape(value.base));
  return {};
}

Outcome check_cost(ImportState& state, const Poly& a, const Poly& b) {
  const std::size_t terms = a.coefficients().size() * b.coefficients().size();
  return state.budget().charge(terms * std::max(a.width(), b.width())) ? Outcome{} : Outcome{too_large()};
}

bool same_view(ImportState& state, const Value& a, const Value& b) {
  if (a.dims != b.dims || a.view == b.view) return a.dims == b.dims;
  return a.view && b.view && state.budget().charge(a.view->size()) && *a.view == *b.view;
}

// Brings two values to one base by undoing activations that were put between them. False if they have none in common.
bool unify(ImportState& state, Value& a, Value& b) {
  Value left = a, right = b;
  while (left.base != right.base) {
    if (!state.substitute(left.base > right.base ? left : right)) return false;
  }
  a = std::move(left);
  b = std::move(right);
  return true;
}

// A sequence of tokens, or a vector, which is a row of numbers whatever comes next; maps stay maps.
bool tokens(const ImportState& state, const Value& value) {
  const TensorShape& shape = state.shape(value.base);
  return value.dims.size() <= 3 || shape.height * shape.width == 1;
}

// The most weights of the layers that bring two maps to one order.
constexpr std::size_t kMostMoves = std::size_t{1} << 25;

// Maps in different orders, or one of them repeated over the other (a gate of one number a channel), become rows of
// numbers, too, where that is no large matrix. Of the image itself one convolution alone can be made.
bool rows_of_numbers(const ImportState& state, const Value& a, const Value& b) {
  const auto dims = common_dims(a.dims, b.dims);
  if (!dims || a.base == 0 || b.base == 0) return false;
  const std::size_t count = element_count(*dims), read = state.shape(a.base).size() + state.shape(b.base).size();
  return count <= kMostMoves / read;
}

// Coefficients that differ from position to position fit no activation on a map, but an affine map of them goes into
// the dense layer behind it: what is there already becomes an activation before them.
Outcome settle_before(ImportState& state, const Coefficient& wide, Value& value) {
  const auto channels = static_cast<std::size_t>(state.shape(value.base).channels);
  if (wide.size() <= channels || value.poly.degree() < 2 || value.poly.width() > channels) return {};
  return state.rebase(value);
}

Value scaled(const ImportState& state, Value value, double factor) {
  value.poly = value.poly.times(Poly::constant({factor}), state.shape(value.base));
  return value;
}

// a + sign b, both values.
Outcome add_values(ImportState& state, const OnnxNode& node, const Value& a, Value b, double sign) {
  if (sign != 1) b = scaled(state, std::move(b), sign);
  Value one_base_a = a, one_base_b = b;
  const bool aligned = same_view(state, a, b);
  if (aligned && unify(state, one_base_a, one_base_b)) {
    const TensorShape shape = state.shape(one_base_a.base);
    Poly sum = one_base_a.poly.plus(one_base_b.poly, shape);
    // A sum across an earlier activation is left alone where that would make a polynomial out of a residual branch.
    if (a.base == b.base || sum.degree() <= 2) {
      one_base_a.poly = std::move(sum);
      return state.finish(node, std::move(one_base_a));
    }
  }
  int left = 0, right = 0;
  Value sum;
  if (aligned && state.shape(a.base) == state.shape(b.base)) {
    if (auto refusal = state.materialise(a, left)) return refusal;
    if (auto refusal = state.materialise(b, right)) return refusal;
    sum.dims = a.dims;
    sum.view = a.view;
  } else if ((tokens(state, a) && tokens(state, b)) || rows_of_numbers(state, a, b)) {
    if (auto refusal = common_order(state, node, a, b, left, right, sum.dims)) return refusal;
  } else {
    return Refusal{"the two tensors added, " + dims_to_string(a.dims) + " and " + dims_to_string(b.dims) +
                       ", are not of one shape and order",
                   "add tensors of equal shape, before Flatten", false};
  }
  sum.base = state.add_node(OpKind::kAdd, node.name, {left, right}, state.shape(left), std::monostate{});
  return state.finish(node, std::move(sum));
}

// sign_a inputs[k] + sign_b inputs[l], of which at least one is a value.
Outcome add_inputs(ImportState& state, const OnnxNode& node, double sign_a, double sign_b) {
  const Value* a = state.value(node, 0);
  const Value* b = state.value(node, 1);
  if (a != nullptr && b != nullptr) return add_values(state, node, *a, *b, sign_b);
  const ConstTensorPtr tensor = state.constant(node, a != nullptr ? 1 : 0);
  if (!tensor || (a == nullptr && b == nullptr)) return inconsistent("it needs two inputs");
  Value value = scaled(state, a != nullptr ? *a : *b, a != nullptr ? sign_a : sign_b);
  Coefficient shift;
  if (auto refusal = read_coefficient(state, value, *tensor, shift)) return refusal;
  const double sign = a != nullptr ? sign_b : sign_a;
  for (double& v : shift) v *= sign;
  if (auto refusal = settle_before(state, shift, value)) return refusal;
  value.poly = value.poly.plus(Poly::constant(std::move(shift)), state.shape(value.base));
  return state.finish(node, std::move(value));
}

// Puts an affine map with a coefficient per channel into a node of its own, so that powers taken of it later have the
// same coefficients on every channel. Where it is not needed after all, unify() undoes it, and normalise() folds it.
Outcome settle_affine(ImportState& state, const OnnxNode& node, Value& value) {
  const auto channels = static_cast<std::size_t>(state.shape(value.base).channels);
  if (value.poly.degree() != 1 || value.poly.width() == 1 || value.poly.width() > channels) return {};
  value.origin = node.name;
  return state.rebase(value);
}

// value * (1 / constant) or value * constant.
Outcome scale_by_constant(ImportState& state, const OnnxNode& node, Value value, const ConstTensor& tensor,
                          bool invert) {
  Coefficient factor;
  if (auto refusal = read_coefficient(state, value, tensor, factor)) return refusal;
  for (double& v : factor) {
    if (invert) v = 1 / v;
    if (!std::isfinite(v)) return inconsistent("it divides by zero");
  }
  if (auto refusal = settle_before(state, factor, value)) return refusal;
  const Poly by = Poly::constant(std::move(factor));
  if (auto refusal = check_cost(state, value.poly, by)) return refusal;
  value.poly = value.poly.times(by, state.shape(value.base));
  if (auto refusal = settle_affine(state, node, value)) return refusal;
  return state.finish(node, std::move(value));
}

// Before a power is taken: a polynomial whose power would pass the limit stays behind in an activation of its own.
Outcome prepare_power(ImportState& state, Value& value, int exponent) {
  if (value.poly.degree() == 0 || value.poly.degree() * exponent <= state.max_degree()) return {};
  return state.rebase(value);
}

Outcome power(ImportState& state, const OnnxNode& node, Value value, int exponent) {
  if (auto refusal = prepare_power(state, value, exponent)) return refusal;
  if (value.poly.degree() * exponent > state.max_degree()) {
    return Refusal{"a polynomial of degree " + std::to_string(value.poly.degree() * exponent),
                   "use a polynomial of degree " + std::to_string(state.max_degree()) + " or less", false};
  }
  Poly result = Poly::constant({1.0});
  for (int k = 0; k < exponent; ++k) {
    if (auto refusal = check_cost(state, result, value.poly)) return refusal;
    result = result.times(value.poly, state.shape(value.base));
  }
  value.poly = std::move(result);
  return state.finish(node, std::move(value));
}

Outcome multiply_values(ImportState& state, const OnnxNode& node, Value a, Value b) {
  const bool aligned = same_view(state, a, b);
  if (!aligned || !unify(state, a, b)) {
    if ((aligned && state.shape(a.base) == state.shape(b.base)) || (tokens(state, a) && tokens(state, b)) ||
        rows_of_numbers(state, a, b))
      return multiply_elements(state, node, a, b, aligned);
    return Refusal{"a product of two different tensors, " + dims_to_string(a.dims) + " and " + dims_to_string(b.dims) + ", that are not of one shape and order",
                   "multiply maps of equal shape, or tokens [1, tokens, features]", false};
  }
  if (a.poly == b.poly) return power(state, node, std::move(a), 2);
  if (a.poly.degree() + b.poly.degree() > state.max_degree()) {
    return Refusal{"a polynomial of degree " + std::to_string(a.poly.degree() + b.poly.degree()),
                   "use a polynomial of degree " + std::to_string(state.max_degree()) + " or less", false};
  }
  if (auto refusal = check_cost(state, a.poly, b.poly)) return refusal;
  a.poly = a.poly.times(b.poly, state.shape(a.base));
  return state.finish(node, std::move(a));
}

}  // namespace

std::optional<std::vector<std::size_t>> broadcast_strides(const std::vector<std::int64_t>& from,
                                                          const std::vector<std::int64_t>& to) {
  if (from.size() > to.size()) return std::nullopt;
  std::vector<std::size_t> strides(to.size(), 0);
  std::size_t step = 1;
  for (std::size_t k = 1; k <= from.size(); ++k) {
    const std::int64_t extent = from[from.size() - k];
    if (extent != 1 && extent != to[to.size() - k]) return std::nullopt;
    if (extent != 1) strides[to.size() - k] = step;
    step *= static_cast<std::size_t>(extent);
  }
  return strides;
}

std::optional<std::vector<std::int64_t>> common_dims(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> out(std::max(a.size(), b.size()), 1);
  std::int64_t count = 1;
  for (std::size_t k = 1; k <= out.size(); ++k) {
    const std::int64_t x = k <= a.size() ? a[a.size() - k] : 1, y = k <= b.size() ? b[b.size() - k] : 1;
    if (x < 1 || y < 1 || (x != y && x != 1 && y != 1)) return std::nullopt;
    out[out.size() - k] = std::max(x, y);
    if (count > (std::int64_t{1} << 40) / std::max(x, y)) return std::nullopt;
    count *= std::max(x, y);
  }
  return out;
}

Outcome import_add(ImportState& state, const OnnxNode& node) { return add_inputs(state, node, 1, 1); }
Outcome import_sub(ImportState& state, const OnnxNode& node) { return add_inputs(state, node, 1, -1); }

Outcome import_sum(ImportState& state, const OnnxNode& node) {
  if (node.inputs.size() == 1) return import_identity(state, node);
  // Sum of many is a chain of sums of two; only the last one is named by the node.
  std::string left = node.inputs[0];
  for (std::size_t k = 1; k < node.inputs.size(); ++k) {
    const bool last = k + 1 == node.inputs.size();
    const std::string out = last ? node.outputs.at(0) : node.outputs.at(0) + "/partial_sum_" + std::to_string(k);
    if (auto refusal = import_add(state, {node.name, "Add", {left, node.inputs[k]}, {out}, {}})) return refusal;
    left = out;
  }
  return {};
}

Outcome import_mul(ImportState& state, const OnnxNode& node) {
  const Value* a = state.value(node, 0);
  const Value* b = state.value(node, 1);
  if (a != nullptr && b != nullptr) return multiply_values(state, node, *a, *b);
  const ConstTensorPtr tensor = state.constant(node, a != nullptr ? 1 : 0);
  if (!tensor || (a == nullptr && b == nullptr)) return inconsistent("it needs two inputs");
  return scale_by_constant(state, node, a != nullptr ? *a : *b, *tensor, false);
}

Outcome import_div(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  const ConstTensorPtr tensor = state.constant(node, 1);
  if (value == nullptr || !tensor) {
    return Refusal{"a division by a tensor that depends on the input",
                   "put a polynomial in its place (brainlock approximate), or divide by constants only", false};
  }
  return scale_by_constant(state, node, *value, *tensor, true);
}

Outcome import_pow(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  const ConstTensorPtr tensor = state.constant(node, 1);
  if (value == nullptr || !tensor || tensor->size() != 1 || tensor->dims.size() > value->dims.size()) {
    return Refusal{"an exponent that is no single constant", "use Pow with a whole constant, or Mul(x, x)", false};
  }
  const double exponent = tensor->at(0);
  if (exponent != std::floor(exponent) || exponent < 1 || exponent > state.max_degree()) {
    return Refusal{"exponent " + std::to_string(exponent),
                   "use a whole exponent between 1 and " + std::to_string(state.max_degree()), false};
  }
  return power(state, node, *value, static_cast<int>(exponent));
}

Outcome import_neg(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return inconsistent("it has no input");
  return state.finish(node, scaled(state, *value, -1));
}

// A function of every element, with one polynomial a channel to come where the model's tensor has a channel's axis.
Outcome import_scalar(ImportState& state, const OnnxNode& node) {
  const Value* input = state.value(node, 0);
  if (input == nullptr) return inconsistent("it has no input");
  Value value = *input;
  if (auto refusal = state.rebase(value)) return refusal;
  FunctionParams params{node.scalar, {}};
  if (value.dims.size() != 3 && state.image_like(value)) {   // the second of three axes is that of tokens
    params.channel_dims.assign(value.dims.size() - 1, 1);
    params.channel_dims[0] = value.dims[1];
  }
  value.base = state.add_node(OpKind::kFunction, node.name, {value.base}, state.shape(value.base), std::move(params));
  return state.finish(node, std::move(value));
}

Outcome import_batch_normalization(ImportState& state, const OnnxNode& node) {
  const Value* input = state.value(node, 0);
  if (input == nullptr) return inconsistent("it has no input");
  // Before opset 14 it is the outputs for statistics that tell training from evaluation.
  const bool statistics = std::any_of(node.outputs.begin() + 1, node.outputs.end(), [](const std::string& name) { return !name.empty(); });
  if (statistics || attribute_int(node, "training_mode", 0) != 0 || attribute_int(node, "spatial", 1) != 1) {
    return Refusal{"batch normalisation in training mode", "export the model in evaluation mode (model.eval())", false};
  }
  if (input->dims.size() < 2) return inconsistent("its input has no channels");
  const auto channels = static_cast<std::size_t>(input->dims[1]);
  ConstTensorPtr parts[4];  // scale, shift, mean, variance
  for (std::size_t k = 0; k < 4; ++k) {
    parts[k] = state.constant(node, k + 1);
    if (!parts[k])
      return Refusal{"statistics that are no constants", "export the model in evaluation mode (model.eval())", false};
    if (parts[k]->is_integer || parts[k]->size() != channels) {
      return inconsistent("its statistics do not have one real for each of " + std::to_string(channels) + " channels");
    }
  }
  // Both maps have the form [C, 1, ..] of the model's axis 1, wherever that axis lies in the base.
  const double epsilon = attribute_float(node, "epsilon", 1e-5);
  ConstTensor scale, shift;
  scale.dims.assign(input->dims.size() - 1, 1);
  scale.dims[0] = input->dims[1];
  shift.dims = scale.dims;
  Coefficient exact_scale(channels), exact_shift(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const double deviation = std::sqrt(parts[3]->at(c) + epsilon);
    exact_scale[c] = parts[0]->at(c) / deviation;
    exact_shift[c] = parts[1]->at(c) - parts[2]->at(c) * exact_scale[c];
    if (!std::isfinite(exact_scale[c]) || !std::isfinite(exact_shift[c]))
      return inconsistent("a variance is not positive");
    scale.reals.push_back(static_cast<float>(c));  // positions first: the coefficient below is then exact in double
  }
  Coefficient position;
  if (auto refusal = read_coefficient(state, *input, scale, position)) return refusal;
  Coefficient a(position.size()), b(position.size());
  for (std::size_t i = 0; i < position.size(); ++i) {
    a[i] = exact_scale[static_cast<std::size_t>(position[i])];
    b[i] = exact_shift[static_cast<std::size_t>(position[i])];
  }
  Value value = *input;
  const TensorShape shape = state.shape(value.base);
  if (auto refusal = settle_before(state, position, value)) return refusal;
  const Poly by = Poly::constant(narrowest(std::move(a), shape));
  if (auto refusal = check_cost(state, value.poly, by)) return refusal;
  value.poly = value.poly.times(by, shape).plus(Poly::constant(narrowest(std::move(b), shape)), shape);
  if (auto refusal = settle_affine(state, node, value)) return refusal;
  return state.finish(node, std::move(value));
}

}  // namespace brainlock::compiler
