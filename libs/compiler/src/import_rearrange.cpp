// Padding, strided selection and joining of maps. What a neighbouring layer cannot take becomes a linear layer of its own.
#include <algorithm>
#include <limits>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

constexpr int kMaxBorder = 4096;

// A node of `total` channels: those of `base` from channel `first` on, zeros in the others, with zeros around all.
Outcome embed(ImportState& state, const std::string& name, int base, int first, std::int64_t total, const Border& border, int& node) {
  const TensorShape in = state.shape(base);
  const TensorShape out{static_cast<int>(total), in.height + border.top + border.bottom, in.width + border.left + border.right};
  const auto rows = static_cast<std::size_t>(total), columns = static_cast<std::size_t>(in.channels);
  if (!extents_ok(total, out.height, out.width)) return inconsistent("its output is too large");
  if (!state.budget().charge(rows * columns)) return too_large();
  ConvParams params;
  params.out_channels = out.channels;
  params.in_channels = in.channels;
  params.pad_top = border.top;
  params.pad_left = border.left;
  params.pad_bottom = border.bottom;
  params.pad_right = border.right;
  params.weights.assign(rows * columns, 0.0f);
  params.bias.assign(rows, 0.0f);
  for (std::size_t c = 0; c < columns; ++c) params.weights[(static_cast<std::size_t>(first) + c) * columns + c] = 1.0f;
  node = state.add_node(OpKind::kConv, name, {base}, out, std::move(params));
  return {};
}

// A list of integers from input `k`, or from an attribute where there is no such input.
Outcome read_list(const ImportState& state, const OnnxNode& node, std::size_t k, const char* name, std::optional<std::vector<std::int64_t>>& list) {
  list = attribute_ints(node, name);
  if (!ImportState::has_input(node, k)) return {};
  const ConstTensorPtr tensor = state.constant(node, k);
  if (!tensor || !tensor->is_integer) return Refusal{std::string("its ") + name + " are no constant", "export with a fixed image size", false};
  list = tensor->integers;
  return {};
}

}  // namespace

Outcome add_border(ImportState& state, const std::string& name, const Value& value, const Border& border, int& node) {
  int base = 0;
  if (auto refusal = state.materialise(value, base)) return refusal;
  return embed(state, name, base, 0, state.shape(base).channels, border, node);
}

Outcome import_pad(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return Refusal{"its pads are computed from the input", "export with a fixed image size", false};
  if (const std::string mode = attribute_string(node, "mode", "constant"); mode != "constant") {
    return Refusal{"padding of mode '" + mode + "'", "pad with zeros", false};
  }
  const ConstTensorPtr fill = state.constant(node, 2);
  if ((ImportState::has_input(node, 2) && (!fill || fill->size() != 1 || fill->at(0) != 0)) || attribute_float(node, "value", 0) != 0) {
    return Refusal{"padding with other than zeros", "pad with zeros", false};
  }
  const auto rank = value->dims.size();
  std::optional<std::vector<std::int64_t>> pads;
  std::optional<std::vector<int>> axes;
  if (auto refusal = read_list(state, node, 1, "pads", pads)) return refusal;
  if (auto refusal = read_axes(state, node, 3, static_cast<int>(rank), axes)) return refusal;
  if (axes && ImportState::has_input(node, 3)) {
    // read_axes sorts, and pads follow the order in which axes were named.
    const ConstTensorPtr named = state.constant(node, 3);
    std::vector<std::int64_t> all(2 * rank, 0);
    if (!pads || pads->size() != 2 * named->size()) return inconsistent("its pads do not fit its axes");
    for (std::size_t k = 0; k < named->size(); ++k) {
      const std::int64_t axis = named->integers[k];
      const auto at = static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
      all[at] = (*pads)[k];
      all[rank + at] = (*pads)[named->size() + k];
    }
    pads = std::move(all);
  }
  if (!pads || pads->size() != 2 * rank) return inconsistent("its pads do not fit its input " + dims_to_string(value->dims));
  if (std::all_of(pads->begin(), pads->end(), [](std::int64_t p) { return p == 0; })) return import_identity(state, node);
  if (std::any_of(pads->begin(), pads->end(), [](std::int64_t p) { return p < 0; })) {
    return Refusal{"padding that cuts off", "leave the border in, or use a convolution without padding before", false};
  }
  if (std::any_of(pads->begin(), pads->end(), [](std::int64_t p) { return p > kMaxBorder; })) return inconsistent("its pads are out of range");
  if ((*pads)[0] != 0 || (*pads)[rank] != 0) return Refusal{"padding of the batch", "pad height, width or channels", false};
  if (auto refusal = require_image(state, *value)) return refusal;
  const auto at = [&](std::size_t axis, bool behind) { return axis < rank ? static_cast<int>((*pads)[behind ? rank + axis : axis]) : 0; };
  const std::size_t w = rank >= 3 ? rank - 1 : rank, h = rank == 4 ? 2 : rank;
  const Border border{at(h, false), at(w, false), at(h, true), at(w, true)};
  int base = 0, made = 0;
  if (auto refusal = state.materialise(*value, base)) return refusal;
  const int before = at(1, false), behind = at(1, true);
  if (auto refusal = embed(state, node.name, base, before, std::int64_t{before} + state.shape(base).channels + behind, border, made)) return refusal;
  if (before + behind == 0) state.set_border(made, border);
  std::vector<std::int64_t> dims = value->dims;
  for (std::size_t k = 0; k < rank; ++k) dims[k] += (*pads)[k] + (*pads)[rank + k];
  return state.finish(node, node_value(made, std::move(dims)));
}

Outcome read_cuts(const ImportState& state, const OnnxNode& node, const std::vector<std::int64_t>& dims, std::vector<Cut>& cuts) {
  std::optional<std::vector<std::int64_t>> starts, ends, axes, steps;
  if (auto refusal = read_list(state, node, 1, "starts", starts)) return refusal;
  if (auto refusal = read_list(state, node, 2, "ends", ends)) return refusal;
  if (auto refusal = read_list(state, node, 3, "axes", axes)) return refusal;
  if (auto refusal = read_list(state, node, 4, "steps", steps)) return refusal;
  const auto rank = static_cast<std::int64_t>(dims.size());
  if (!starts || !ends || starts->size() != ends->size() || (axes ? axes->size() : dims.size()) < starts->size() || (steps && steps->size() != starts->size()))
    return inconsistent("its starts, ends, axes and steps do not fit each other");
  cuts.clear();
  for (const std::int64_t dim : dims) cuts.push_back({0, 1, dim});
  for (std::size_t k = 0; k < starts->size(); ++k) {
    std::int64_t axis = axes ? (*axes)[k] : static_cast<std::int64_t>(k);
    if (axis < -rank || axis >= rank) return inconsistent("axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank));
    if (axis < 0) axis += rank;
    const std::int64_t dim = dims[static_cast<std::size_t>(axis)];
    // More than dim elements further on there is nothing, whatever the step.
    const std::int64_t step = std::clamp<std::int64_t>(steps ? (*steps)[k] : 1, -dim - 1, dim + 1);
    if (step == 0) return inconsistent("a step of zero");
    const auto place = [&](std::int64_t p) { return std::clamp<std::int64_t>(p < 0 ? p + dim : p, step > 0 ? 0 : -1, step > 0 ? dim : dim - 1); };
    std::int64_t start = place((*starts)[k]);
    if (step < 0 && dim > 0) start = std::max<std::int64_t>(start, 0);
    const std::int64_t way = step > 0 ? place((*ends)[k]) - start : start - place((*ends)[k]), stride = step > 0 ? step : -step;
    cuts[static_cast<std::size_t>(axis)] = {start, step, way <= 0 ? 0 : (way + stride - 1) / stride};
  }
  return {};
}

Outcome import_slice(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return Refusal{"its bounds are computed from the input", "export with a fixed image size", false};
  std::vector<Cut> cuts;
  if (auto refusal = read_cuts(state, node, value->dims, cuts)) return refusal;
  bool everything = true, strides = true;
  for (std::size_t k = 0; k < cuts.size(); ++k) {
    const std::int64_t dim = value->dims[k];
    everything = everything && cuts[k].start == 0 && cuts[k].step == 1 && cuts[k].count == dim;
    strides = strides && cuts[k].start == 0 && cuts[k].step > 0 && cuts[k].count == (dim + cuts[k].step - 1) / cuts[k].step &&
              (k >= 2 || cuts[k].count == dim);
  }
  if (everything) return import_identity(state, node);
  if (!strides || cuts.size() < 3 || cuts.size() > 4) {
    return Refusal{"it selects elements other than every n-th row and column", "use strides to select, or weights of zero in the layer behind", false};
  }
  if (auto refusal = require_image(state, *value)) return refusal;
  std::vector<std::int64_t> dims;
  for (const Cut& cut : cuts) dims.push_back(cut.count);
  const auto step = [&](std::size_t k) { return static_cast<int>(cuts[k].step); };
  return add_pool(state, node, *value, {1, 1, cuts.size() == 4 ? step(2) : 1, step(cuts.size() - 1)}, std::move(dims));
}

// Each part is put among channels of zeros, and they are added up.
Outcome import_concat(ImportState& state, const OnnxNode& node) {
  const Refusal refused{"it joins other things than channels of maps of one size", "join along axis 1, behind the image's first layer, before any Flatten", false};
  std::int64_t total = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Value *part = state.value(node, k), *other = state.value(node, 0);
    if (part == nullptr || other == nullptr || part->dims.size() < 2 || part->dims.size() != other->dims.size()) return refused;
    const auto rank = static_cast<std::int64_t>(part->dims.size()), axis = attribute_int(node, "axis", 0);
    if (axis != 1 && axis != 1 - rank) return refused;
    if (!std::equal(part->dims.begin() + 2, part->dims.end(), other->dims.begin() + 2)) return refused;
    if (auto refusal = require_image(state, *part)) return refusal;
    total += part->dims[1];
  }
  if (node.inputs.size() == 1) return import_identity(state, node);
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {  // a later part may have given the input another order
    if (!state.image_like(*state.value(node, k))) return refused;
  }
  std::vector<std::int64_t> dims = state.value(node, 0)->dims;
  dims[1] = total;
  int sum = -1, first = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    int base = 0, made = 0;
    if (auto refusal = state.materialise(*state.value(node, k), base)) return refusal;
    if (auto refusal = embed(state, node.name + "/part", base, first, total, {}, made)) return refusal;
    first += state.shape(base).channels;
    sum = sum < 0 ? made : state.add_node(OpKind::kAdd, node.name, {sum, made}, state.shape(made), std::monostate{});
  }
  return state.finish(node, node_value(sum, std::move(dims)));
}

}  // namespace brainlock::compiler
