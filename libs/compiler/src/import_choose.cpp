// Where chosen elements of a value are computed. A layer of its own costs a level, so the first of these that will do:
//
//   all of them, in another order      a view
//   of a dense layer                   a dense layer of the chosen rows, on that layer's input
//   whole channels of a convolution    a convolution of these channels
//   a map out of a map                 a convolution with one weight of 1 a channel, so that convolutions may follow
//   anything else                      a dense layer that only moves numbers, which goes into its neighbours
//
// Polynomials that wait on the value go along. Layers of which every element was chosen elsewhere are read by nobody in
// the end, and left out.
#include <algorithm>
#include <numeric>

#include "import_picks.hpp"
#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

// Activations, one behind the other, through which elements of a layer are chosen.
constexpr int kMostActivations = 16;
constexpr int kMaxKernel = 4096;

/// A node whose element i is element order[i] of another one.
struct Part {
  int node = 0;
  std::vector<int> order;
};

bool distinct(const std::vector<int>& elements, std::size_t of) {
  std::vector<bool> seen(of, false);
  for (const int e : elements) {
    if (seen[static_cast<std::size_t>(e)]) return false;
    seen[static_cast<std::size_t>(e)] = true;
  }
  return true;
}

Outcome rows_of_dense(ImportState& state, const std::string& name, int layer, const std::vector<int>& elements,
                      Part& part) {
  part.order = elements;
  // In the layer's own order, as if there had been a layer for these alone.
  if (distinct(elements, state.shape(layer).size())) std::sort(part.order.begin(), part.order.end());
  const auto outputs = static_cast<std::int64_t>(part.order.size());
  const auto in = static_cast<std::size_t>(state.graph().nodes[layer].dense().in_features);
  if (!extents_ok(outputs, 1, 1) || !state.budget().charge(part.order.size() * in)) return too_large();
  const DenseParams& all = state.graph().nodes[layer].dense();
  DenseParams rows{static_cast<int>(outputs), all.in_features, {}, {}};
  rows.weights.reserve(part.order.size() * in);
  for (const int e : part.order) {
    const auto first = all.weights.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(e) * in);
    rows.weights.insert(rows.weights.end(), first, first + static_cast<std::ptrdiff_t>(in));
    rows.bias.push_back(all.bias[static_cast<std::size_t>(e)]);
  }
  const int input = state.graph().nodes[layer].inputs[0];
  part.node = state.add_node(OpKind::kDense, name, {input}, {static_cast<int>(outputs), 1, 1}, std::move(rows));
  return {};
}

// Nothing is made where the elements are no whole channels, each once.
Outcome channels_of_conv(ImportState& state, const std::string& name, int layer, const std::vector<int>& elements,
                         std::optional<Part>& part) {
  TensorShape shape = state.shape(layer);
  const std::size_t plane = shape.size() / static_cast<std::size_t>(shape.channels);
  if (elements.size() % plane != 0 || !distinct(elements, shape.size())) return {};
  std::vector<std::size_t> found(static_cast<std::size_t>(shape.channels), 0);
  for (const int e : elements) ++found[static_cast<std::size_t>(e) / plane];
  if (std::any_of(found.begin(), found.end(), [&](std::size_t n) { return n != 0 && n != plane; })) return {};
  const ConvParams& all = state.graph().nodes[layer].conv();
  const std::size_t each = all.weights.size() / found.size();
  shape.channels = static_cast<int>(elements.size() / plane);
  if (!state.budget().charge(static_cast<std::size_t>(shape.channels) * each + elements.size())) return too_large();
  ConvParams some = all;
  some.out_channels = shape.channels;
  some.weights.clear();
  some.bias.clear();
  part.emplace();
  for (std::size_t c = 0; c < found.size(); ++c) {
    if (found[c] == 0) continue;
    const auto first = all.weights.begin() + static_cast<std::ptrdiff_t>(c * each);
    some.weights.insert(some.weights.end(), first, first + static_cast<std::ptrdiff_t>(each));
    some.bias.push_back(all.bias[c]);
    for (std::size_t p = 0; p < plane; ++p) part->order.push_back(static_cast<int>(c * plane + p));
  }
  const int input = state.graph().nodes[layer].inputs[0];
  part->node = state.add_node(OpKind::kConv, name, {input}, shape, std::move(some));
  return {};
}

// A layer of nothing but the chosen elements of a node, if that is a layer or an activation on one.
Outcome part_of_layer(ImportState& state, const std::string& name, int node, const std::vector<int>& elements,
                      int depth, std::optional<Part>& part) {
  const OpKind kind = state.graph().nodes[node].kind;
  if (kind == OpKind::kDense) return rows_of_dense(state, name, node, elements, part.emplace());
  if (kind == OpKind::kConv) {  // the image is read by one convolution only
    return state.graph().nodes[node].inputs[0] == 0 ? Outcome{} : channels_of_conv(state, name, node, elements, part);
  }
  Value before;
  before.base = node;
  if (depth == kMostActivations || !state.substitute(before)) return {};
  if (auto refusal = part_of_layer(state, name, before.base, elements, depth + 1, part); refusal || !part)
    return refusal;
  Value after = node_value(part->node, {});
  after.poly = before.poly.reordered(&part->order, state.shape(before.base), state.shape(part->node));
  after.origin = state.graph().nodes[node].name;
  if (auto refusal = state.rebase(after)) return refusal;
  part->node = after.base;
  return {};
}

/// Which channels, rows and columns of a map are a map of their own.
struct Window {
  std::vector<int> channels;
  int top = 0, left = 0, step_h = 1, step_w = 1;
  TensorShape shape;
};

std::optional<Window> window_of(const TensorShape& from, const Choice& choice) {
  const auto to = image_shape(choice.dims);
  if (!to || choice.elements.empty()) return std::nullopt;
  const int plane = from.height * from.width, to_plane = to->height * to->width;
  const auto element = [&](int c, int y, int x) {
    return choice.elements[static_cast<std::size_t>(c * to_plane + y * to->width + x)];
  };
  Window w;
  w.shape = *to;
  w.top = element(0, 0, 0) % plane / from.width;
  w.left = element(0, 0, 0) % from.width;
  // One row alone: the longest step, which leaves the smallest kernel.
  w.step_h = to->height > 1 ? element(0, 1, 0) % plane / from.width - w.top : from.height;
  w.step_w = to->width > 1 ? element(0, 0, 1) % from.width - w.left : from.width;
  if (w.step_h < 1 || w.step_w < 1 || w.step_h > kMaxKernel || w.step_w > kMaxKernel) return std::nullopt;
  for (int c = 0; c < to->channels; ++c) {
    w.channels.push_back(element(c, 0, 0) / plane);
    for (int y = 0; y < to->height; ++y)
      for (int x = 0; x < to->width; ++x) {
        const int row = w.top + y * w.step_h, column = w.left + x * w.step_w;
        if (row >= from.height || column >= from.width ||
            element(c, y, x) != w.channels.back() * plane + row * from.width + column)
          return std::nullopt;
      }
  }
  return w;
}

// The least kernel that has its one weight at `start` and as many outputs.
int kernel_of(int extent, int start, int step, int outputs) { return std::max(start + 1, extent - outputs * step + 1); }

Outcome map_of_map(ImportState& state, const std::string& name, const Value& value, const Window& w, Value& out) {
  const TensorShape in = state.shape(value.base);
  ConvParams conv;
  conv.out_channels = w.shape.channels;
  conv.in_channels = in.channels;
  conv.kernel_h = kernel_of(in.height, w.top, w.step_h, w.shape.height);
  conv.kernel_w = kernel_of(in.width, w.left, w.step_w, w.shape.width);
  if (conv.kernel_h > kMaxKernel || conv.kernel_w > kMaxKernel) return too_large();
  conv.stride_h = w.step_h;
  conv.stride_w = w.step_w;
  const std::size_t area = static_cast<std::size_t>(conv.kernel_h) * static_cast<std::size_t>(conv.kernel_w),
                    columns = static_cast<std::size_t>(in.channels), rows = w.channels.size();
  if (columns * rows > (std::size_t{1} << 40) / area || !state.budget().charge(columns * rows * area))
    return too_large();
  conv.weights.assign(columns * rows * area, 0.0F);
  conv.bias.assign(rows, 0.0F);
  for (std::size_t m = 0; m < rows; ++m)
    conv.weights[(m * columns + static_cast<std::size_t>(w.channels[m])) * area +
                 static_cast<std::size_t>(w.top * conv.kernel_w + w.left)] = 1.0F;
  out.base = state.add_node(OpKind::kConv, name, {value.base}, w.shape, std::move(conv));
  return {};
}

// A value whose polynomial fits an activation becomes one; what is left of the polynomial otherwise.
Outcome settle(ImportState& state, Value& value, ElementPolynomial& rest) {
  if (value.poly.width() <= static_cast<std::size_t>(state.shape(value.base).channels)) return state.rebase(value);
  std::swap(rest, value.poly);
  return {};
}

// Gives `out` a polynomial on elements that its base took from a tensor of shape `from`.
Outcome carry_along(ImportState& state, const ElementPolynomial& poly, const std::vector<int>& order,
                    const TensorShape& from, Value& out) {
  if (!state.budget().charge(poly.coefficients().size() * order.size())) return too_large();
  out.poly = poly.reordered(&order, from, state.shape(out.base));
  return {};
}

std::shared_ptr<const std::vector<int>> view_of(std::vector<int> order) {
  for (std::size_t i = 0; i < order.size(); ++i)
    if (order[i] != static_cast<int>(i)) return std::make_shared<const std::vector<int>>(std::move(order));
  return nullptr;
}

}  // namespace

Outcome move_elements(ImportState& state, const std::string& name, Value value, const Choice& choice, Value& out) {
  out = Value{};
  out.dims = choice.dims;
  out.origin = value.origin;
  ElementPolynomial rest = ElementPolynomial::identity();
  if (value.poly.degree() > 1) {
    if (auto refusal = settle(state, value, rest)) return refusal;
  }
  const auto picks = [&](std::size_t m, auto&& take) { take(Pick{static_cast<std::size_t>(choice.elements[m]), 1}); };
  if (auto refusal = add_picks(state, name, value, choice.elements.size(), picks, out.base)) return refusal;
  if (rest.is_identity()) return {};
  std::vector<int> order;
  for (const int e : choice.elements)
    order.push_back(static_cast<int>(value.base_element(static_cast<std::size_t>(e))));
  return carry_along(state, rest, order, state.shape(value.base), out);
}

Outcome choose_elements(ImportState& state, const std::string& name, const Value& seen, const Choice& choice,
                        Value& out) {
  const std::size_t count = choice.elements.size();
  if (count == 0) return inconsistent("it selects nothing");
  std::optional<Window> window;
  if (const auto from = image_shape(seen.dims);
      from && from->height * from->width > 1 && choice.dims.size() == seen.dims.size()) {
    window = window_of(*from, choice);
    if (window && seen.dims.size() == 4 && !state.image_like(seen) && state.input_is_free())
      (void)require_image(state, seen);
    if (!state.image_like(seen)) window.reset();
  }
  Value value = seen;
  const TensorShape shape = state.shape(value.base);
  if (!state.budget().charge(2 * count + shape.size())) return too_large();
  std::vector<int> elements;  // of the base
  for (const int e : choice.elements)
    elements.push_back(static_cast<int>(value.base_element(static_cast<std::size_t>(e))));
  // Of channels in another order, too (shuffled between two convolutions).
  if (!window && shape.height * shape.width > 1 && value.view && choice.dims.size() == value.dims.size())
    window = window_of(shape, {elements, choice.dims});

  out = Value{};
  out.dims = choice.dims;
  out.origin = value.origin;
  if (count == shape.size() && distinct(elements, count)) {
    out.base = value.base;
    out.poly = value.poly;
    out.view = view_of(std::move(elements));
    return {};
  }
  const auto carry = [&](const ElementPolynomial& poly, const std::vector<int>& order) {
    return carry_along(state, poly, order, shape, out);
  };
  std::optional<Part> part;
  if (auto refusal = part_of_layer(state, name, value.base, elements, 0, part)) return refusal;
  if (part) {
    out.base = part->node;
    if (part->order != elements) {
      std::vector<int> place(shape.size(), 0), view;
      for (std::size_t i = 0; i < part->order.size(); ++i)
        place[static_cast<std::size_t>(part->order[i])] = static_cast<int>(i);
      for (const int e : elements) view.push_back(place[static_cast<std::size_t>(e)]);
      out.view = view_of(std::move(view));
    }
    return carry(value.poly, part->order);
  }
  if (!window) return move_elements(state, name, value, choice, out);
  ElementPolynomial rest = ElementPolynomial::identity();
  if (auto refusal = settle(state, value, rest)) return refusal;
  if (auto refusal = map_of_map(state, name, value, *window, out)) return refusal;
  if (auto refusal = state.set_chosen(out.base, value.base, elements)) return refusal;
  return carry(rest, elements);
}

}  // namespace brainlock::compiler
