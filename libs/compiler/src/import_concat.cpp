// Joining tensors: maps stay maps, with zeros where the others lie; anything else becomes a dense layer that only moves
// numbers, and constants go into its bias.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Dims = std::vector<std::int64_t>;

/// Parts one behind the other along an axis.
struct Join {
  std::size_t axis = 0;
  Dims dims;  ///< of the result
  std::vector<Dims> parts;
};

Outcome read_join(const ImportState& state, const OnnxNode& node, Join& join) {
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Value* value = state.value(node, k);
    const ConstTensorPtr constant = state.constant(node, k);
    if (value == nullptr && !constant) return inconsistent("an input is missing");
    join.parts.push_back(value != nullptr ? value->dims : constant->dims);
  }
  if (join.parts.empty()) return inconsistent("it has no input");
  join.dims = join.parts[0];
  int axis = 0;
  if (!node.attributes.contains("axis")) return inconsistent("its axis is missing");
  if (auto refusal = read_axis(node, join.dims.size(), 0, axis)) return refusal;
  join.axis = static_cast<std::size_t>(axis);
  join.dims[join.axis] = 0;
  for (const Dims& part : join.parts) {
    for (std::size_t k = 0; k < std::max(part.size(), join.dims.size()); ++k) {
      if (part.size() != join.dims.size() || (k != join.axis && part[k] != join.dims[k]))
        return inconsistent("it joins tensors of " + dims_to_string(join.parts[0]) + " and " + dims_to_string(part));
    }
    join.dims[join.axis] += part[join.axis];
  }
  return {};
}

// Calls move(element of the part, element of the result) for all of a part's. `before` is moved on to the next part.
template <typename Move>
void each_element(const Join& join, std::size_t part, std::size_t& before, Move&& move) {
  const auto axis = static_cast<std::ptrdiff_t>(join.axis);
  const std::size_t inner = element_count({join.dims.begin() + axis + 1, join.dims.end()});
  const std::size_t own = inner * static_cast<std::size_t>(join.parts[part][join.axis]),
                    all = inner * static_cast<std::size_t>(join.dims[join.axis]);
  const std::size_t count = element_count(join.parts[part]);
  for (std::size_t e = 0; e < count; ++e) move(e, e / own * all + before + e % own);
  before += own;
}

Outcome join_constants(ImportState& state, const OnnxNode& node, const Join& join) {
  const auto count = count_within(join.dims, std::size_t{1} << 40);
  if (!count || !state.budget().charge(*count)) return too_large();
  auto out = std::make_shared<ConstTensor>();
  out->dims = join.dims;
  out->is_integer = state.constant(node, 0)->is_integer;
  if (out->is_integer)
    out->integers.resize(*count);
  else
    out->reals.resize(*count);
  std::size_t before = 0;
  for (std::size_t k = 0; k < join.parts.size(); ++k) {
    const ConstTensorPtr part = state.constant(node, k);
    if (part->is_integer != out->is_integer) return inconsistent("it joins integers and reals");
    each_element(join, k, before, [&](std::size_t from, std::size_t to) {
      if (out->is_integer)
        out->integers[to] = part->integers[from];
      else
        out->reals[to] = part->reals[from];
    });
  }
  return state.finish(node, ConstTensorPtr(std::move(out)));
}

// Parts cut out of one map that make it up again, with every second pixel of each kind as a channel: nothing moves, and
// a convolution reads the map itself.
std::optional<Value> rejoined(ImportState& state, const OnnxNode& node, const Join& join) {
  const Value* first = state.value(node, 0);
  const ImportState::Chosen* origin = first != nullptr ? state.chosen(first->base) : nullptr;
  const auto count = count_within(join.dims, std::size_t{1} << 24);
  if (origin == nullptr || !count || *count != state.shape(origin->base).size() || !state.budget().charge(2 * *count))
    return std::nullopt;
  auto view = std::make_shared<std::vector<int>>(*count);
  std::vector<bool> seen(*count, false);
  std::size_t before = 0, distinct = 0;
  for (std::size_t k = 0; k < join.parts.size(); ++k) {
    const Value* part = state.value(node, k);
    const ImportState::Chosen* chosen = part != nullptr ? state.chosen(part->base) : nullptr;
    if (chosen == nullptr || chosen->base != origin->base || !part->poly.is_identity()) return std::nullopt;
    each_element(join, k, before, [&](std::size_t from, std::size_t to) {
      const auto element = static_cast<std::size_t>(chosen->elements[part->base_element(from)]);
      (*view)[to] = static_cast<int>(element);
      distinct += seen[element] ? 0 : 1;
      seen[element] = true;
    });
  }
  Value out = node_value(origin->base, join.dims);
  out.view = std::move(view);
  if (distinct != *count || !blocks_of_map(state, out)) return std::nullopt;
  return out;
}

// Whether all parts are maps, joined along channels (or, of images, rows or columns).
bool joins_maps(ImportState& state, const OnnxNode& node, const Join& join) {
  const auto shape = image_shape(join.dims);
  if (!shape || join.axis == 0 || (join.axis > 1 && (join.dims.size() < 4 || join.dims[join.axis] > kMaxBorder)))
    return false;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    if (state.value(node, k) == nullptr) return false;
  }
  bool planes = false;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Value* part = state.value(node, k);
    if (require_image(state, *part)) return false;
    planes = planes || state.shape(part->base).height * state.shape(part->base).width > 1;
  }
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {  // a later part may have given the input another order
    if (!state.image_like(*state.value(node, k))) return false;
  }
  return planes;
}

// Each part is put among zeros, and they are added up.
Outcome join_maps(ImportState& state, const OnnxNode& node, const Join& join) {
  int sum = -1, first = 0;
  const auto total = static_cast<int>(join.dims[join.axis]);
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    int base = 0, made = 0;
    if (auto refusal = state.materialise(*state.value(node, k), base)) return refusal;
    const auto own = static_cast<int>(join.parts[k][join.axis]);
    Border border;
    if (join.axis == 2) border = {first, 0, total - first - own, 0};
    if (join.axis == 3) border = {0, first, 0, total - first - own};
    const bool channels = join.axis == 1;
    if (auto refusal = embed(state, node.name + "/part", base, channels ? first : 0, join.dims[1], border, made))
      return refusal;
    first += own;
    sum = sum < 0 ? made : state.add_node(OpKind::kAdd, node.name, {sum, made}, state.shape(made), std::monostate{});
  }
  return state.finish(node, node_value(sum, join.dims));
}

// One layer for each node that is read.
Outcome join_elements(ImportState& state, const OnnxNode& node, const Join& join) {
  const auto total = count_within(join.dims, std::size_t{1} << 24);
  if (!total || !extents_ok(static_cast<std::int64_t>(*total), 1, 1) || !state.budget().charge(*total))
    return too_large();
  std::vector<double> bias(*total, 0.0);
  std::map<int, DenseParams> layers;  // by what they read
  std::size_t before = 0;
  for (std::size_t k = 0; k < join.parts.size(); ++k) {
    if (const ConstTensorPtr constant = state.constant(node, k)) {
      each_element(join, k, before, [&](std::size_t from, std::size_t to) { bias[to] = constant->at(from); });
      continue;
    }
    Value part = *state.value(node, k);
    if (part.poly.degree() > 1) {
      if (part.poly.width() > static_cast<std::size_t>(state.shape(part.base).channels)) {  // fits a vector, no map
        Choice all{std::vector<int>(element_count(part.dims)), part.dims};
        std::iota(all.elements.begin(), all.elements.end(), 0);
        if (auto refusal = move_elements(state, node.name + "/moved", Value(part), all, part)) return refusal;
      }
      if (auto refusal = state.rebase(part)) return refusal;
    }
    const TensorShape shape = state.shape(part.base);
    const std::size_t in = shape.size();
    DenseParams& layer = layers[part.base];
    if (layer.weights.empty()) {
      if (!state.budget().charge(*total * in)) return too_large();
      layer = {static_cast<int>(*total), static_cast<int>(in), std::vector<float>(*total * in, 0.0F),
               std::vector<float>(*total, 0.0F)};
    }
    each_element(join, k, before, [&](std::size_t from, std::size_t to) {
      const std::size_t element = part.base_element(from);
      layer.weights[to * in + element] = static_cast<float>(part.poly.at(1, element, shape));
      bias[to] = part.poly.at(0, element, shape);
    });
  }
  const auto finite = [](const std::vector<float>& v) {
    return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
  };
  int sum = -1;
  for (auto& [base, layer] : layers) {
    if (sum < 0)
      std::transform(bias.begin(), bias.end(), layer.bias.begin(), [](double b) { return static_cast<float>(b); });
    if (!finite(layer.weights) || !finite(layer.bias)) return inconsistent("its weights overflow");
    const TensorShape shape{static_cast<int>(*total), 1, 1};
    const std::string name = layers.size() == 1 ? node.name : node.name + "/part";
    const int made = state.add_node(OpKind::kDense, name, {base}, shape, std::move(layer));
    sum = sum < 0 ? made : state.add_node(OpKind::kAdd, node.name, {sum, made}, shape, std::monostate{});
  }
  return state.finish(node, node_value(sum, join.dims));
}

}  // namespace

Outcome import_concat(ImportState& state, const OnnxNode& node) {
  Join join;
  if (auto refusal = read_join(state, node, join)) return refusal;
  if (std::none_of(join.parts.begin(), join.parts.end(),
                   [&, k = std::size_t{0}](const Dims&) mutable { return state.value(node, k++) != nullptr; }))
    return join_constants(state, node, join);
  if (node.inputs.size() == 1) return import_identity(state, node);
  if (auto whole = rejoined(state, node, join)) return state.finish(node, std::move(*whole), true);
  return joins_maps(state, node, join) ? join_maps(state, node, join) : join_elements(state, node, join);
}

}  // namespace brainlock::compiler
