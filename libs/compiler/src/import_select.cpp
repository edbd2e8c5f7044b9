// Choosing elements by constant indices: Slice, Split, Gather and Expand, of values and of constants. Which elements is
// said here; where they are computed, in import_choose.cpp.
#include <algorithm>
#include <limits>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Dims = std::vector<std::int64_t>;

constexpr std::size_t kMaxRank = 8;

// The elements of a tensor at first + sum of index * steps, for every index within dims.
Outcome choose_steps(ImportState& state, Dims dims, const Dims& steps, std::int64_t first, Choice& choice) {
  const auto count = count_within(dims, std::numeric_limits<int>::max());
  if (dims.size() > kMaxRank || !count || !state.budget().charge(*count)) return too_large();
  choice.elements.resize(*count);
  Dims index(dims.size(), 0);
  std::int64_t at = first;
  for (int& element : choice.elements) {
    element = static_cast<int>(at);
    for (std::size_t axis = dims.size(); axis-- > 0;) {
      at += steps[axis];
      if (++index[axis] < dims[axis]) break;
      at -= steps[axis] * index[axis];
      index[axis] = 0;
    }
  }
  choice.dims = std::move(dims);
  return {};
}

Outcome choose_cuts(ImportState& state, const Dims& from, const std::vector<Cut>& cuts, Choice& choice) {
  Dims dims, steps = strides_of(from);
  std::int64_t first = 0;
  for (std::size_t k = 0; k < cuts.size(); ++k) {
    dims.push_back(cuts[k].count);
    first += cuts[k].start * steps[k];
    steps[k] *= cuts[k].step;
  }
  return choose_steps(state, std::move(dims), steps, first, choice);
}

// Gather: the axis is replaced by those of the indices.
Outcome choose_gathered(ImportState& state, const OnnxNode& node, const Dims& from, Choice& choice) {
  const ConstTensorPtr indices = state.constant(node, 1);
  if (!indices) {
    return Refusal{"its indices depend on the input: a look-up is no polynomial",
                   "choose by constant indices, or give the model what is looked up (embedded tokens) as its input",
                   false};
  }
  if (!indices->is_integer) return inconsistent("its indices are no integers");
  int axis = 0;
  if (auto refusal = read_axis(node, from.size(), 0, axis)) return refusal;
  const auto cut = from.begin() + axis;
  const std::int64_t extent = *cut;
  Dims dims(from.begin(), cut);
  dims.insert(dims.end(), indices->dims.begin(), indices->dims.end());
  dims.insert(dims.end(), cut + 1, from.end());
  const auto count = count_within(dims, std::numeric_limits<int>::max());
  if (dims.size() > kMaxRank || !count || !state.budget().charge(*count)) return too_large();
  const std::size_t inner = element_count({cut + 1, from.end()}), outer = element_count({from.begin(), cut});
  for (const std::int64_t index : indices->integers) {
    if (index < -extent || index >= extent)
      return inconsistent("it gathers element " + std::to_string(index) + " of " + std::to_string(extent));
  }
  choice.elements.reserve(*count);
  for (std::size_t o = 0; o < outer && *count != 0; ++o)
    for (const std::int64_t index : indices->integers) {
      const auto place = static_cast<std::size_t>(index < 0 ? index + extent : index);
      const std::size_t first = (o * static_cast<std::size_t>(extent) + place) * inner;
      for (std::size_t i = 0; i < inner; ++i) choice.elements.push_back(static_cast<int>(first + i));
    }
  choice.dims = std::move(dims);
  return {};
}

// Expand: dimensions of one repeated, new ones in front.
Outcome choose_expanded(ImportState& state, const OnnxNode& node, const Dims& from, Choice& choice) {
  const ConstTensorPtr to = state.constant(node, 1);
  if (!to || !to->is_integer || to->size() > kMaxRank)
    return Refusal{"a shape that is no constant", "export with fixed sizes", false};
  const auto dims = common_dims(from, to->integers);
  if (!dims)
    return inconsistent("a tensor " + dims_to_string(from) + " does not broadcast to " + dims_to_string(to->integers));
  const auto strides = broadcast_strides(from, *dims);
  if (!strides) return inconsistent("a tensor " + dims_to_string(from) + " does not broadcast");
  return choose_steps(state, *dims, {strides->begin(), strides->end()}, 0, choice);
}

// Tile: each dimension over and over.
Outcome choose_tiled(ImportState& state, const OnnxNode& node, const Dims& from, Choice& choice) {
  const ConstTensorPtr repeats = state.constant(node, 1);
  if (!repeats || !repeats->is_integer || repeats->size() != from.size())
    return Refusal{"repeats that are no constant", "export with fixed sizes", false};
  Dims dims;
  for (std::size_t k = 0; k < from.size(); ++k) {
    if (repeats->integers[k] < 1 || repeats->integers[k] > std::numeric_limits<std::int32_t>::max())
      return inconsistent("its repeats are out of range");
    dims.push_back(from[k] * repeats->integers[k]);
  }
  const auto count = count_within(dims, std::numeric_limits<int>::max());
  if (dims.size() > kMaxRank || !count || !state.budget().charge(*count)) return too_large();
  const Dims steps = strides_of(from);
  choice.elements.resize(*count);
  for (std::size_t element = 0; element < *count; ++element) {
    std::int64_t at = 0, rest = static_cast<std::int64_t>(element);
    for (std::size_t axis = dims.size(); axis-- > 0;) {
      at += rest % dims[axis] % from[axis] * steps[axis];
      rest /= dims[axis];
    }
    choice.elements[element] = static_cast<int>(at);
  }
  choice.dims = std::move(dims);
  return {};
}

// The sizes of the parts into which Split cuts an axis of `extent`.
Outcome read_parts(const ImportState& state, const OnnxNode& node, std::int64_t extent, Dims& parts) {
  std::optional<Dims> given;
  if (auto refusal = read_list(state, node, 1, "split", given)) return refusal;
  const auto outputs = static_cast<std::int64_t>(node.outputs.size());
  if (given) {
    std::int64_t left = extent;
    for (const std::int64_t part : *given) {
      if (part < 1 || part > left) return inconsistent("its parts do not add up to " + std::to_string(extent));
      left -= part;
    }
    if (left != 0) return inconsistent("its parts do not add up to " + std::to_string(extent));
    parts = std::move(*given);
  } else {  // equal ones; if their number is named, the last may be smaller
    const bool named = node.attributes.contains("num_outputs");
    const std::int64_t count = named ? attribute_int(node, "num_outputs", 0) : outputs;
    if (count < 1 || count > extent || (!named && extent % count != 0))
      return inconsistent(std::to_string(extent) + " elements in " + std::to_string(count) + " equal parts");
    const std::int64_t each = (extent + count - 1) / count;
    if (extent - each * (count - 1) < 1)
      return inconsistent(std::to_string(extent) + " elements in " + std::to_string(count) + " equal parts");
    parts.assign(static_cast<std::size_t>(count), each);
    parts.back() = extent - each * (count - 1);
  }
  if (static_cast<std::int64_t>(parts.size()) != outputs)
    return inconsistent(std::to_string(parts.size()) + " parts for " + std::to_string(outputs) + " outputs");
  return {};
}

// Calls take(output's name as a node, choice) for each part that has a name.
template <typename Take>
Outcome split(ImportState& state, const OnnxNode& node, const Dims& from, Take&& take) {
  int axis = 0;
  if (auto refusal = read_axis(node, from.size(), 0, axis)) return refusal;
  Dims parts;
  if (auto refusal = read_parts(state, node, from[static_cast<std::size_t>(axis)], parts)) return refusal;
  std::vector<Cut> cuts;
  for (const std::int64_t dim : from) cuts.push_back({0, 1, dim});
  std::int64_t start = 0;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    cuts[static_cast<std::size_t>(axis)] = {start, 1, parts[k]};
    start += parts[k];
    if (node.outputs[k].empty()) continue;
    Choice choice;
    if (auto refusal = choose_cuts(state, from, cuts, choice)) return refusal;
    OnnxNode part{node.name, node.op, {}, {node.outputs[k]}, {}};
    if (auto refusal = take(part, std::move(choice))) return refusal;
  }
  return {};
}

Outcome finish_chosen(ImportState& state, const OnnxNode& node, const Value& value, const Choice& choice) {
  Value out;
  if (auto refusal = choose_elements(state, node.name, value, choice, out)) return refusal;
  return state.finish(node, std::move(out), true);
}

Outcome finish_chosen(ImportState& state, const OnnxNode& node, const ConstTensor& from, Choice choice) {
  auto made = std::make_shared<ConstTensor>();
  made->is_integer = from.is_integer;
  if (from.is_integer) {
    for (const int e : choice.elements) made->integers.push_back(from.integers[static_cast<std::size_t>(e)]);
  } else {
    for (const int e : choice.elements) made->reals.push_back(from.reals[static_cast<std::size_t>(e)]);
  }
  made->dims = std::move(choice.dims);
  return state.finish(node, ConstTensorPtr(std::move(made)));
}

// Of the first input, a value or a constant: what choose(state, node, its dims, choice) says.
template <typename Choose>
Outcome choose_of_input(ImportState& state, const OnnxNode& node, Choose&& choose) {
  const Value* value = state.value(node, 0);
  const ConstTensorPtr constant = state.constant(node, 0);
  if (value == nullptr && !constant) return inconsistent("it has no input");
  Choice choice;
  if (auto refusal = choose(state, node, value != nullptr ? value->dims : constant->dims, choice)) return refusal;
  return value != nullptr ? finish_chosen(state, node, *value, choice)
                          : finish_chosen(state, node, *constant, std::move(choice));
}

}  // namespace

Outcome read_list(const ImportState& state, const OnnxNode& node, std::size_t k, const char* name,
                  std::optional<std::vector<std::int64_t>>& list) {
  list = attribute_ints(node, name);
  if (!ImportState::has_input(node, k)) return {};
  const ConstTensorPtr tensor = state.constant(node, k);
  if (!tensor || !tensor->is_integer)
    return Refusal{std::string("its ") + name + " are no constant", "export with a fixed image size", false};
  list = tensor->integers;
  return {};
}

Outcome read_cuts(const ImportState& state, const OnnxNode& node, const std::vector<std::int64_t>& dims,
                  std::vector<Cut>& cuts) {
  std::optional<std::vector<std::int64_t>> starts, ends, axes, steps;
  if (auto refusal = read_list(state, node, 1, "starts", starts)) return refusal;
  if (auto refusal = read_list(state, node, 2, "ends", ends)) return refusal;
  if (auto refusal = read_list(state, node, 3, "axes", axes)) return refusal;
  if (auto refusal = read_list(state, node, 4, "steps", steps)) return refusal;
  const auto rank = static_cast<std::int64_t>(dims.size());
  if (!starts || !ends || starts->size() != ends->size() || (axes ? axes->size() : dims.size()) < starts->size() ||
      (steps && steps->size() != starts->size()))
    return inconsistent("its starts, ends, axes and steps do not fit each other");
  cuts.clear();
  for (const std::int64_t dim : dims) cuts.push_back({0, 1, dim});
  for (std::size_t k = 0; k < starts->size(); ++k) {
    std::int64_t axis = axes ? (*axes)[k] : static_cast<std::int64_t>(k);
    if (axis < -rank || axis >= rank)
      return inconsistent("axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank));
    if (axis < 0) axis += rank;
    const std::int64_t dim = dims[static_cast<std::size_t>(axis)];
    // More than dim elements further on there is nothing, whatever the step.
    const std::int64_t step = std::clamp<std::int64_t>(steps ? (*steps)[k] : 1, -dim - 1, dim + 1);
    if (step == 0) return inconsistent("a step of zero");
    const auto place = [&](std::int64_t p) {
      return std::clamp<std::int64_t>(p < 0 ? p + dim : p, step > 0 ? 0 : -1, step > 0 ? dim : dim - 1);
    };
    std::int64_t start = place((*starts)[k]);
    if (step < 0 && dim > 0) start = std::max<std::int64_t>(start, 0);
    const std::int64_t way = step > 0 ? place((*ends)[k]) - start : start - place((*ends)[k]),
                       stride = step > 0 ? step : -step;
    cuts[static_cast<std::size_t>(axis)] = {start, step, way <= 0 ? 0 : (way + stride - 1) / stride};
  }
  return {};
}

Outcome import_slice(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr)
    return Refusal{"its bounds are computed from the input", "export with a fixed image size", false};
  std::vector<Cut> cuts;
  if (auto refusal = read_cuts(state, node, value->dims, cuts)) return refusal;
  bool everything = true, strides = true;
  for (std::size_t k = 0; k < cuts.size(); ++k) {
    const std::int64_t dim = value->dims[k];
    everything = everything && cuts[k].start == 0 && cuts[k].step == 1 && cuts[k].count == dim;
    strides = strides && cuts[k].start == 0 && cuts[k].step > 0 &&
              cuts[k].count == (dim + cuts[k].step - 1) / cuts[k].step && (k >= 2 || cuts[k].count == dim);
  }
  if (everything) return import_identity(state, node);
  // Every n-th row and column of a map that an activation can make.
  strides = strides && (cuts.size() == 3 || cuts.size() == 4) && value->dims[0] == 1 &&
            value->poly.width() <= static_cast<std::size_t>(value->dims[1]);
  if (strides && !require_image(state, *value)) {
    std::vector<std::int64_t> dims;
    for (const Cut& cut : cuts) dims.push_back(cut.count);
    const auto step = [&](std::size_t k) { return static_cast<int>(cuts[k].step); };
    if (auto refusal = add_pool(state, node, *value, {1, 1, cuts.size() == 4 ? step(2) : 1, step(cuts.size() - 1)},
                                std::move(dims)))
      return refusal;
    Choice choice;
    if (auto refusal = choose_cuts(state, value->dims, cuts, choice)) return refusal;
    const int pool = static_cast<int>(state.graph().nodes.size()) - 1;
    return state.set_chosen(pool, state.graph().nodes[static_cast<std::size_t>(pool)].inputs[0],
                            std::move(choice.elements));
  }
  Choice choice;
  if (auto refusal = choose_cuts(state, value->dims, cuts, choice)) return refusal;
  return finish_chosen(state, node, *value, choice);
}

Outcome import_split(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return Refusal{"its parts are computed from the input", "export with fixed parts", false};
  return split(state, node, value->dims,
               [&](const OnnxNode& part, const Choice& choice) { return finish_chosen(state, part, *value, choice); });
}

Outcome import_gather(ImportState& state, const OnnxNode& node) {
  return choose_of_input(state, node, choose_gathered);
}
Outcome import_expand(ImportState& state, const OnnxNode& node) {
  return choose_of_input(state, node, choose_expanded);
}
Outcome import_tile(ImportState& state, const OnnxNode& node) { return choose_of_input(state, node, choose_tiled); }

Outcome slice_constant(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  std::vector<Cut> cuts;
  if (auto refusal = read_cuts(state, node, tensor.dims, cuts)) return refusal;
  Choice choice;
  if (auto refusal = choose_cuts(state, tensor.dims, cuts, choice)) return refusal;
  return finish_chosen(state, node, tensor, std::move(choice));
}

Outcome split_constant(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  return split(state, node, tensor.dims, [&](const OnnxNode& part, Choice choice) {
    return finish_chosen(state, part, tensor, std::move(choice));
  });
}

}  // namespace brainlock::compiler
