// Convolutions, dense layers and pools of windows.
#include <algorithm>
#include <cmath>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

constexpr std::int64_t kMaxKernel = 4096;

struct Window {
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
};

// Two spatial numbers from an attribute of one (1-D: width) or two; `first` is where they start in a longer list.
bool read_pair(const std::vector<std::int64_t>& list, std::size_t spatial, std::size_t first, std::int64_t low, int& h,
               int& w) {
  for (std::size_t i = first; i < first + spatial; ++i) {
    if (list[i] < low || list[i] > kMaxKernel) return false;
  }
  if (spatial == 2) h = static_cast<int>(list[first]);
  w = static_cast<int>(list[first + spatial - 1]);
  return true;
}

// SAME: as many outputs as strides fit into the input, padding shared between both ends, the odd one at the end
// (UPPER).
void same_padding(int extent, int kernel, int stride, bool upper, int& before, int& after) {
  const int outputs = (extent + stride - 1) / stride;
  const int total = std::max(0, (outputs - 1) * stride + kernel - extent);
  before = upper ? total / 2 : total - total / 2;
  after = total - before;
}

// Strides and padding of a convolution or pool whose kernel is already in `window`.
Outcome read_window(const OnnxNode& node, const TensorShape& in, std::size_t spatial, Window& window) {
  const auto strides = attribute_ints(node, "strides");
  if (strides &&
      (strides->size() != spatial || !read_pair(*strides, spatial, 0, 1, window.stride_h, window.stride_w))) {
    return inconsistent("its strides are out of range");
  }
  const std::string mode = attribute_string(node, "auto_pad", "NOTSET");
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    same_padding(in.height, window.kernel_h, window.stride_h, mode == "SAME_UPPER", window.pad_top, window.pad_bottom);
    same_padding(in.width, window.kernel_w, window.stride_w, mode == "SAME_UPPER", window.pad_left, window.pad_right);
  } else if (mode == "NOTSET") {
    const auto pads = attribute_ints(node, "pads");
    if (pads && (pads->size() != 2 * spatial || !read_pair(*pads, spatial, 0, 0, window.pad_top, window.pad_left) ||
                 !read_pair(*pads, spatial, spatial, 0, window.pad_bottom, window.pad_right))) {
      return inconsistent("its padding is out of range");
    }
  } else if (mode != "VALID") {
    return inconsistent("auto_pad '" + mode + "' does not exist");
  }
  if (in.height + window.pad_top + window.pad_bottom < window.kernel_h ||
      in.width + window.pad_left + window.pad_right < window.kernel_w) {
    return inconsistent("its kernel is larger than its padded input");
  }
  return {};
}

// Zeros behind the last window, as PyTorch writes a ceil_mode that adds no window.
void drop_unread_padding(Window& w, const TensorShape& in) {
  const auto unread = [](int extent, int kernel, int stride) { return (extent - kernel) % stride; };
  w.pad_bottom -= std::min(w.pad_bottom, unread(in.height + w.pad_top + w.pad_bottom, w.kernel_h, w.stride_h));
  w.pad_right -= std::min(w.pad_right, unread(in.width + w.pad_left + w.pad_right, w.kernel_w, w.stride_w));
}

TensorShape window_output(const Window& w, const TensorShape& in, int channels) {
  return {channels, (in.height + w.pad_top + w.pad_bottom - w.kernel_h) / w.stride_h + 1,
          (in.width + w.pad_left + w.pad_right - w.kernel_w) / w.stride_w + 1};
}

std::vector<std::int64_t> dims_of(const TensorShape& shape, std::size_t spatial) {
  std::vector<std::int64_t> dims{1, shape.channels};
  if (spatial == 2) dims.push_back(shape.height);
  dims.push_back(shape.width);
  return dims;
}

// A bias of `count` from an optional constant input.
Outcome read_bias(const ImportState& state, const OnnxNode& node, std::size_t k, std::size_t count,
                  std::vector<float>& bias) {
  bias.assign(count, 0.0f);
  if (!ImportState::has_input(node, k)) return {};
  const ConstTensorPtr tensor = state.constant(node, k);
  if (!tensor) return Refusal{"its bias is computed from the input", "make the bias a constant", false};
  if (tensor->is_integer || tensor->size() != count)
    return inconsistent("its bias does not have one real per output channel");
  bias = tensor->reals;
  return {};
}

// out = W value + bias, W of element (row m, column k) given by `weight`.
template <typename Weight>
Outcome add_dense(ImportState& state, const OnnxNode& node, Value value, std::int64_t columns, std::int64_t rows,
                  Weight weight, std::vector<double> bias) {
  if (value.dims.empty() || static_cast<std::size_t>(value.dims.back()) != element_count(value.dims)) {
    return Refusal{"its input has dimensions " + dims_to_string(value.dims), "flatten to [batch, features] first",
                   false};
  }
  if (value.dims.back() != columns) {
    return inconsistent("its weights take " + std::to_string(columns) + " features, its input has " +
                        std::to_string(value.dims.back()));
  }
  if (!extents_ok(rows, 1, 1)) return inconsistent("it has " + std::to_string(rows) + " outputs");
  const auto out = static_cast<std::size_t>(rows), in = static_cast<std::size_t>(columns);
  if (!state.budget().charge(out * in)) return too_large();

  // An affine map with a coefficient for each position (a batch normalisation behind Flatten) fits no activation node,
  // but goes into the weights.
  const TensorShape base_shape = state.shape(value.base);
  const bool absorb = value.poly.degree() <= 1 && value.poly.width() > static_cast<std::size_t>(base_shape.channels);
  if (!absorb) {
    if (auto refusal = state.rebase(value)) return refusal;
  }
  DenseParams params{static_cast<int>(rows), static_cast<int>(columns), std::vector<float>(out * in),
                     std::vector<float>(out)};
  for (std::size_t m = 0; m < out; ++m) {
    double shift = bias[m];
    for (std::size_t k = 0; k < in; ++k) {
      const std::size_t element = value.base_element(k);
      double w = weight(m, k);
      if (absorb) {
        shift += w * value.poly.at(0, element, base_shape);
        w *= value.poly.at(1, element, base_shape);
      }
      params.weights[m * in + element] = static_cast<float>(w);
      if (!std::isfinite(params.weights[m * in + element])) return inconsistent("its weights overflow");
    }
    params.bias[m] = static_cast<float>(shift);
    if (!std::isfinite(params.bias[m])) return inconsistent("its bias overflows");
  }
  const int made =
      state.add_node(OpKind::kDense, node.name, {value.base}, {static_cast<int>(rows), 1, 1}, std::move(params));
  value.dims.back() = rows;
  return state.finish(node, node_value(made, std::move(value.dims)));
}

// A matrix for each row, and a bias.
Outcome multiply_and_shift(ImportState& state, const OnnxNode& node, const Value& value, const ConstTensor& matrix,
                           ConstTensor shift) {
  OnnxNode product = node;
  product.outputs = {node.outputs.at(0) + "/product"};
  if (auto refusal = multiply_by_constant(state, product, value, matrix, false)) return refusal;
  const std::string bias = node.outputs[0] + "/bias";
  if (!state.define(bias, std::make_shared<const ConstTensor>(std::move(shift))))
    return inconsistent("its output is already the output of another node");
  return import_add(state, {node.name, "Add", {product.outputs[0], bias}, {node.outputs[0]}, {}});
}

// The kernel of one group without dilation that computes the same, with zeros between the weights. `window` gets its size.
Outcome read_kernel(ImportState& state, const OnnxNode& node, const ConstTensor& weights, const TensorShape& in,
                    Window& window, std::vector<float>& kernel) {
  const std::size_t spatial = weights.dims.size() - 2;
  const std::int64_t groups = attribute_int(node, "group", 1);
  int rows = 1, columns = 1, step_h = 1, step_w = 1;
  if (!read_pair(weights.dims, spatial, 2, 1, rows, columns) || !extents_ok(weights.dims[0], 1, 1)) {
    return inconsistent("its weights have dimensions " + dims_to_string(weights.dims));
  }
  if (groups < 1 || in.channels % groups != 0 || weights.dims[0] % groups != 0) {
    return inconsistent("groups = " + std::to_string(groups) + " do not divide its channels");
  }
  if (weights.dims[1] != in.channels / groups) {
    return inconsistent("its weights " + dims_to_string(weights.dims) + " do not fit its input of " +
                        std::to_string(in.channels) + " channels");
  }
  const auto dilations = attribute_ints(node, "dilations");
  if (dilations && (dilations->size() != spatial || !read_pair(*dilations, spatial, 0, 1, step_h, step_w))) {
    return inconsistent("its dilations are out of range");
  }
  window.kernel_h = (rows - 1) * step_h + 1;
  window.kernel_w = (columns - 1) * step_w + 1;
  if (window.kernel_h > kMaxKernel || window.kernel_w > kMaxKernel) return inconsistent("its dilations are out of range");
  const auto outputs = static_cast<std::size_t>(weights.dims[0]), inputs = static_cast<std::size_t>(in.channels);
  const std::size_t area = static_cast<std::size_t>(window.kernel_h) * static_cast<std::size_t>(window.kernel_w);
  if (!state.budget().charge(outputs * inputs * area)) return too_large();
  if (area * inputs * outputs == weights.size()) {
    kernel = weights.reals;
    return {};
  }
  kernel.assign(outputs * inputs * area, 0.0f);
  const std::size_t in_each = inputs / static_cast<std::size_t>(groups), out_each = outputs / static_cast<std::size_t>(groups);
  std::size_t from = 0;
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < in_each; ++i) {
      float* plane = kernel.data() + (o * inputs + o / out_each * in_each + i) * area;
      for (int ky = 0; ky < rows; ++ky) {
        for (int kx = 0; kx < columns; ++kx) plane[ky * step_h * window.kernel_w + kx * step_w] = weights.reals[from++];
      }
    }
  }
  return {};
}

// The convolution of a map's blocks as one of the map itself: a kernel of zeros but for the places that its channels
// have, and steps from block to block.
Outcome stretch(ImportState& state, const Blocks& blocks, const TensorShape& base, std::size_t outputs, Window& window,
                std::vector<float>& kernel) {
  const std::size_t rows = static_cast<std::size_t>(window.kernel_h),
                    columns = static_cast<std::size_t>(window.kernel_w);
  const std::int64_t kernel_h = (window.kernel_h - 1) * std::int64_t{blocks.step_h} + blocks.height,
                     kernel_w = (window.kernel_w - 1) * std::int64_t{blocks.step_w} + blocks.width;
  const std::int64_t stride_h = std::int64_t{window.stride_h} * blocks.step_h,
                     stride_w = std::int64_t{window.stride_w} * blocks.step_w;
  const int pads = std::max({window.pad_top, window.pad_left, window.pad_bottom, window.pad_right});
  if (std::max({kernel_h, kernel_w, stride_h, stride_w, std::int64_t{pads} * std::max(blocks.step_h, blocks.step_w)}) >
      kMaxKernel)
    return inconsistent("its kernel, strides or padding are out of range");
  const auto inputs = static_cast<std::size_t>(base.channels), area = static_cast<std::size_t>(kernel_h * kernel_w);
  if (!state.budget().charge(outputs * inputs * area)) return too_large();
  std::vector<float> wide(outputs * inputs * area, 0.0F);
  std::size_t from = 0;
  for (std::size_t o = 0; o < outputs; ++o)
    for (const Blocks::Place& place : blocks.places) {
      float* plane = wide.data() + (o * inputs + static_cast<std::size_t>(place.channel)) * area;
      for (std::size_t ky = 0; ky < rows; ++ky)
        for (std::size_t kx = 0; kx < columns; ++kx)
          plane[(ky * static_cast<std::size_t>(blocks.step_h) + static_cast<std::size_t>(place.row)) *
                    static_cast<std::size_t>(kernel_w) +
                kx * static_cast<std::size_t>(blocks.step_w) + static_cast<std::size_t>(place.column)] +=
              kernel[from++];
    }
  kernel = std::move(wide);
  window = {static_cast<int>(kernel_h),        static_cast<int>(kernel_w),      static_cast<int>(stride_h),
            static_cast<int>(stride_w),        window.pad_top * blocks.step_h,  window.pad_left * blocks.step_w,
            window.pad_bottom * blocks.step_h, window.pad_right * blocks.step_w};
  return {};
}

// Whether a value on the input is `seen` because an input of height, width, channels was turned, and nothing else.
bool turns_channels_last(ImportState& state, const Value& value, const TensorShape& seen) {
  const TensorShape own = value.dims.size() == 4 ? TensorShape{seen.height, seen.width, seen.channels} : TensorShape{seen.width, 1, seen.channels};
  if (own != state.shape(value.base) || !state.budget().charge(seen.size())) return false;
  const int plane = seen.height * seen.width;
  for (int element = 0; element < plane * seen.channels; ++element) {
    if ((*value.view)[static_cast<std::size_t>(element)] != element % plane * seen.channels + element / plane) return false;
  }
  return true;
}

}  // namespace

Outcome require_image(ImportState& state, const Value& value) {
  const auto seen = image_shape(value.dims);
  if (seen && state.image_like(value)) return {};
  if (seen && state.input_is_free() && (!value.view || turns_channels_last(state, value, *seen))) {
    const auto order = value.view;  // the value is among those that are reordered
    return state.reorder_input(*seen, order);
  }
  if (value.view) {
    return Refusal{"its input is transposed (dimensions " + dims_to_string(value.dims) + ")",
                   "export the model with channels first (NCHW) from its input on", false};
  }
  const TensorShape shape = state.shape(value.base);
  if (seen && seen->height * seen->width > 1 && shape.height * shape.width == 1 && value.base != 0) {
    return Refusal{"its input of dimensions " + dims_to_string(value.dims) +
                       " is a row of numbers, as dense layers, gates that are repeated over a map and maps in another "
                       "order leave it",
                   "keep these for the steps before a dense layer", false};
  }
  return Refusal{"its input of dimensions " + dims_to_string(value.dims) +
                     " is not an image as some layer before makes it (" + to_string(state.shape(value.base)) + ")",
                 "keep reshapes for the step before a dense layer", false};
}

Value node_value(int node, std::vector<std::int64_t> dims) {
  Value value;
  value.base = node;
  value.dims = std::move(dims);
  return value;
}

Outcome add_pool(ImportState& state, const OnnxNode& node, const Value& value, const PoolParams& params,
                 std::vector<std::int64_t> dims) {
  int base = 0;
  if (auto refusal = state.materialise(value, base)) return refusal;
  const TensorShape in = state.shape(base),
                    out = window_output({params.kernel_h, params.kernel_w, params.stride_h, params.stride_w}, in, in.channels);
  return state.finish(
      node, node_value(state.add_node(OpKind::kAveragePool, node.name, {base}, out, params), std::move(dims)));
}

Outcome import_conv(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  const ConstTensorPtr weights = state.constant(node, 1);
  if (value == nullptr || !weights) {
    return Refusal{"its weights are computed from the input", "only constant weights can be run", false};
  }
  const std::size_t spatial = weights->dims.size() - 2;
  if (weights->dims.size() < 3 || weights->is_integer || value->dims.size() != weights->dims.size()) {
    return inconsistent("its weights " + dims_to_string(weights->dims) + " do not fit its input " +
                        dims_to_string(value->dims));
  }
  if (spatial > 2) return Refusal{"a convolution over three dimensions", "use convolutions over one or two", false};
  std::optional<Blocks> blocks;
  if (auto refusal = require_image(state, *value)) {
    blocks = blocks_of_map(state, *value);
    if (!blocks) return refusal;
  }
  const TensorShape base_shape = state.shape(value->base), in = blocks ? blocks->seen : base_shape;
  if (const auto kernel = attribute_ints(node, "kernel_shape");
      kernel && !std::equal(kernel->begin(), kernel->end(), weights->dims.begin() + 2, weights->dims.end())) {
    return inconsistent("kernel_shape differs from its weights");
  }
  Window window;
  std::vector<float> kernel;
  if (auto refusal = read_kernel(state, node, *weights, in, window, kernel)) return refusal;
  if (auto refusal = read_window(node, in, spatial, window)) return refusal;
  if (blocks) {
    if (auto refusal = stretch(state, *blocks, base_shape, static_cast<std::size_t>(weights->dims[0]), window, kernel))
      return refusal;
  }
  const TensorShape out = window_output(window, base_shape, static_cast<int>(weights->dims[0]));
  if (!extents_ok(out.channels, out.height, out.width)) return inconsistent("its output is too large");

  int base = 0;
  if (auto refusal = state.materialise(*value, base)) return refusal;
  if (const Border* border = state.border(base)) {  // zeros around zeros
    window.pad_top += border->top;
    window.pad_left += border->left;
    window.pad_bottom += border->bottom;
    window.pad_right += border->right;
    base = state.graph().nodes[base].inputs[0];
  }
  ConvParams params{out.channels,      base_shape.channels, window.kernel_h,   window.kernel_w,
                    window.stride_h,   window.stride_w,     window.pad_top,    window.pad_left,
                    window.pad_bottom, window.pad_right,    std::move(kernel), {}};
  if (auto refusal = read_bias(state, node, 2, weights->dims[0], params.bias)) return refusal;
  return state.finish(node, node_value(state.add_node(OpKind::kConv, node.name, {base}, out, std::move(params)),
                                       dims_of(out, spatial)));
}

Outcome import_gemm(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  const ConstTensorPtr weights = state.constant(node, 1);
  if (value == nullptr || !weights)
    return Refusal{"its second matrix is computed from the input", "multiply by constants only", false};
  if (attribute_int(node, "transA", 0) != 0)
    return Refusal{"transA", "export with the batch as first dimension", false};
  if (weights->dims.size() != 2 || weights->is_integer) return inconsistent("its weights are not a real matrix");
  const bool transposed = attribute_int(node, "transB", 0) != 0;
  const std::int64_t rows = weights->dims[transposed ? 0 : 1], columns = weights->dims[transposed ? 1 : 0];
  if (!extents_ok(rows, 1, 1)) return inconsistent("its weights have dimensions " + dims_to_string(weights->dims));
  const double alpha = attribute_float(node, "alpha", 1), beta = attribute_float(node, "beta", 1);

  std::vector<double> bias(static_cast<std::size_t>(rows), 0.0);
  if (ImportState::has_input(node, 2)) {
    const ConstTensorPtr c = state.constant(node, 2);
    if (!c) return Refusal{"its bias is computed from the input", "add the two branches with Add", false};
    if (c->is_integer || (c->size() != 1 && c->size() != bias.size()) || (c->size() > 1 && c->dims.back() != rows)) {
      return inconsistent("its bias " + dims_to_string(c->dims) + " does not fit " + std::to_string(rows) + " outputs");
    }
    for (std::size_t m = 0; m < bias.size(); ++m) bias[m] = beta * c->at(c->size() == 1 ? 0 : m);
  }
  const auto stride = static_cast<std::size_t>(weights->dims[1]);
  const auto weight = [&](std::size_t m, std::size_t k) {
    return alpha * weights->reals[transposed ? m * stride + k : k * stride + m];
  };
  if (value->dims.size() == 2 && value->dims[0] != 1) {  // tokens [tokens, features]
    if (!state.budget().charge(weights->size() + bias.size())) return too_large();
    ConstTensor matrix, shift;
    matrix.dims = {columns, rows};
    for (std::size_t k = 0; k < static_cast<std::size_t>(columns); ++k)
      for (std::size_t m = 0; m < bias.size(); ++m) matrix.reals.push_back(static_cast<float>(weight(m, k)));
    shift.dims = {rows};
    shift.reals.assign(bias.begin(), bias.end());
    return multiply_and_shift(state, node, *value, matrix, std::move(shift));
  }
  return add_dense(state, node, *value, columns, rows, weight, std::move(bias));
}

Outcome import_matmul(ImportState& state, const OnnxNode& node) {
  const Value *value = state.value(node, 0), *other = state.value(node, 1);
  if (value != nullptr && other != nullptr) return multiply_matrices(state, node, *value, *other);
  const ConstTensorPtr weights = state.constant(node, value != nullptr ? 1 : 0);
  if ((value == nullptr && other == nullptr) || !weights) return inconsistent("it needs two inputs");
  if ((value != nullptr ? value : other)->dims.empty()) return inconsistent("it multiplies a single number");
  const bool one_row = value != nullptr && static_cast<std::size_t>(value->dims.back()) == element_count(value->dims);
  if (!one_row) return multiply_by_constant(state, node, value != nullptr ? *value : *other, *weights, value == nullptr);
  if (weights->dims.size() != 2 || weights->is_integer) {
    return Refusal{"weights of dimensions " + dims_to_string(weights->dims), "use a matrix [in, out] of reals", false};
  }
  const std::int64_t columns = weights->dims[0], rows = weights->dims[1];
  if (!extents_ok(rows, 1, 1)) return inconsistent("its weights have dimensions " + dims_to_string(weights->dims));
  return add_dense(
      state, node, *value, columns, rows,
      [&](std::size_t m, std::size_t k) {
        return static_cast<double>(weights->reals[k * static_cast<std::size_t>(rows) + m]);
      },
      std::vector<double>(static_cast<std::size_t>(rows), 0.0));
}

Outcome import_average_pool(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return inconsistent("it has no input");
  if (auto refusal = require_image(state, *value)) return refusal;
  const std::size_t spatial = value->dims.size() - 2;
  const auto kernel = attribute_ints(node, "kernel_shape");
  Window window;
  if (spatial == 0 || !kernel || kernel->size() != spatial ||
      !read_pair(*kernel, spatial, 0, 1, window.kernel_h, window.kernel_w)) {
    return inconsistent("its kernel_shape is missing or out of range");
  }
  if (const auto dilations = attribute_ints(node, "dilations");
      dilations && std::any_of(dilations->begin(), dilations->end(), [](std::int64_t d) { return d != 1; })) {
    return Refusal{"dilation of an average pool", "use a convolution with equal weights in its place", false};
  }
  TensorShape in = state.shape(value->base);
  if (auto refusal = read_window(node, in, spatial, window)) return refusal;
  if (attribute_int(node, "ceil_mode", 0) == 0) drop_unread_padding(window, in);
  Value source = *value;
  if (window.pad_top + window.pad_left + window.pad_bottom + window.pad_right != 0) {
    if (attribute_int(node, "count_include_pad", 0) == 0) {
      return Refusal{"padding of an average pool that its means leave out, so that they differ along the border",
                     "pool without padding, or with count_include_pad = 1", false};
    }
    const Border border{window.pad_top, window.pad_left, window.pad_bottom, window.pad_right};
    if (auto refusal = add_border(state, node.name + "/pad", *value, border, source.base)) return refusal;
    source = node_value(source.base, {});
    in = state.shape(source.base);
    window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = 0;
  }
  const bool exact =
      (in.height - window.kernel_h) % window.stride_h == 0 && (in.width - window.kernel_w) % window.stride_w == 0;
  if (attribute_int(node, "ceil_mode", 0) != 0 && !exact) {
    return Refusal{"ceil_mode with windows that reach over the border", "export with ceil_mode=False", false};
  }
  return add_pool(state, node, source, {window.kernel_h, window.kernel_w, window.stride_h, window.stride_w},
                  dims_of(window_output(window, in, in.channels), spatial));
}

}  // namespace brainlock::compiler
