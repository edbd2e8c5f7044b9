// Padding of maps. What a neighbouring layer cannot take becomes a linear layer of its own.
#include <algorithm>

#include "import_state.hpp"

namespace brainlock::compiler {

Outcome embed(ImportState& state, const std::string& name, int base, int first, std::int64_t total,
              const Border& border, int& node) {
  const TensorShape in = state.shape(base);
  const TensorShape out{static_cast<int>(total), in.height + border.top + border.bottom,
                        in.width + border.left + border.right};
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

Outcome add_border(ImportState& state, const std::string& name, const Value& value, const Border& border, int& node) {
  int base = 0;
  if (auto refusal = state.materialise(value, base)) return refusal;
  return embed(state, name, base, 0, state.shape(base).channels, border, node);
}

namespace {

// The node as if it padded with zeros.
Outcome pad_with_zeros(ImportState& state, const OnnxNode& node, const Value* value) {
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
  if (!pads || pads->size() != 2 * rank)
    return inconsistent("its pads do not fit its input " + dims_to_string(value->dims));
  if (std::all_of(pads->begin(), pads->end(), [](std::int64_t p) { return p == 0; }))
    return import_identity(state, node);
  if (std::any_of(pads->begin(), pads->end(), [](std::int64_t p) { return p < 0; })) {
    return Refusal{"padding that cuts off", "leave the border in, or use a convolution without padding before", false};
  }
  if (std::any_of(pads->begin(), pads->end(), [](std::int64_t p) { return p > kMaxBorder; }))
    return inconsistent("its pads are out of range");
  if ((*pads)[0] != 0 || (*pads)[rank] != 0)
    return Refusal{"padding of the batch", "pad height, width or channels", false};
  if (auto refusal = require_image(state, *value)) return refusal;
  const auto at = [&](std::size_t axis, bool behind) {
    return axis < rank ? static_cast<int>((*pads)[behind ? rank + axis : axis]) : 0;
  };
  const std::size_t w = rank >= 3 ? rank - 1 : rank, h = rank == 4 ? 2 : rank;
  const Border border{at(h, false), at(w, false), at(h, true), at(w, true)};
  int base = 0, made = 0;
  if (auto refusal = state.materialise(*value, base)) return refusal;
  const int before = at(1, false), behind = at(1, true);
  if (auto refusal = embed(state, node.name, base, before, std::int64_t{before} + state.shape(base).channels + behind,
                           border, made))
    return refusal;
  if (before + behind == 0) state.set_border(made, border);
  std::vector<std::int64_t> dims = value->dims;
  for (std::size_t k = 0; k < rank; ++k) dims[k] += (*pads)[k] + (*pads)[rank + k];
  return state.finish(node, node_value(made, std::move(dims)));
}

}  // namespace

Outcome import_pad(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return Refusal{"its pads are computed from the input", "export with a fixed image size", false};
  const std::string mode = attribute_string(node, "mode", "constant");
  const ConstTensorPtr fill = state.constant(node, 2);
  const bool filled = (ImportState::has_input(node, 2) && (!fill || fill->size() != 1 || fill->at(0) != 0)) ||
                      attribute_float(node, "value", 0) != 0;
  if (mode == "constant" && !filled) return pad_with_zeros(state, node, value);
  (void)pad_with_zeros(state, node, value);  // what follows is looked at all the same, so that it is refused at once
  return Refusal{mode != "constant" ? "padding of mode '" + mode + "'" : "padding with other than zeros",
                 "pad with zeros", false};
}

}  // namespace brainlock::compiler
