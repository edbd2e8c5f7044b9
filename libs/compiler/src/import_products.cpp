// Sums of picked elements: products of matrices, of which one or both depend on the input, and what is only a choice or
// a mean of elements.
//
// Each is one dense layer over the whole value, with mostly zeros among its weights; what only moves numbers goes into
// the layer before or behind it (compose_linear.hpp).
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "import_picks.hpp"
#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Dims = std::vector<std::int64_t>;

/// The shapes of a product of matrices: [batch.., m, k] times [batch.., k, n], batches broadcast.
struct MatrixProduct {
  Dims batch;
  std::int64_t m = 0, k = 0, n = 0;
  std::vector<std::size_t> left_batch, right_batch;  ///< strides of the batch axes in the operands' elements

  [[nodiscard]] std::size_t batches() const { return element_count(batch); }
  [[nodiscard]] Dims dims() const {
    Dims out = batch;
    out.push_back(m);
    out.push_back(n);
    return out;
  }
  /// Element of an operand at a batch index, a row and a column.
  [[nodiscard]] std::size_t left(std::size_t b, std::size_t row, std::size_t inner) const {
    return offset(b, left_batch) + row * static_cast<std::size_t>(k) + inner;
  }
  [[nodiscard]] std::size_t right(std::size_t b, std::size_t inner, std::size_t column) const {
    return offset(b, right_batch) + inner * static_cast<std::size_t>(n) + column;
  }

 private:
  [[nodiscard]] std::size_t offset(std::size_t b, const std::vector<std::size_t>& strides) const {
    std::size_t at = 0;
    for (std::size_t axis = batch.size(); axis-- > 0;) {
      const auto extent = static_cast<std::size_t>(batch[axis]);
      at += b % extent * strides[axis];
      b /= extent;
    }
    return at;
  }
};

// Nothing where the operands do not fit.
std::optional<MatrixProduct> read_shapes(const Dims& a, const Dims& b) {
  if (a.size() < 2 || b.size() < 2) return std::nullopt;
  MatrixProduct p;
  p.m = a[a.size() - 2];
  p.k = a.back();
  p.n = b.back();
  if (b[b.size() - 2] != p.k) return std::nullopt;
  const std::size_t rank = std::max(a.size(), b.size());
  const auto extent = [&](const Dims& dims, std::size_t axis) {
    return axis + dims.size() < rank ? std::int64_t{1} : dims[axis + dims.size() - rank];
  };
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) p.batch.push_back(std::max(extent(a, axis), extent(b, axis)));
  const auto strides = [&](const Dims& dims, std::vector<std::size_t>& out) {
    out.assign(p.batch.size(), 0);
    std::size_t step = static_cast<std::size_t>(dims.back()) * static_cast<std::size_t>(dims[dims.size() - 2]);
    for (std::size_t axis = p.batch.size(); axis-- > 0;) {
      const std::int64_t own = extent(dims, axis);
      if (own != 1 && own != p.batch[axis]) return false;
      if (own != 1) out[axis] = step;
      step *= static_cast<std::size_t>(own);
    }
    return true;
  };
  if (!strides(a, p.left_batch) || !strides(b, p.right_batch)) return std::nullopt;
  return p;
}

Refusal misfit(const Dims& a, const Dims& b) {
  return inconsistent("matrices of " + dims_to_string(a) + " and " + dims_to_string(b) + " do not fit");
}

/// Where the products of a product of matrices lie: a place for each (row, inner, column) within a batch. The products
/// of one batch follow those of another.
struct Order {
  std::size_t row = 0, inner = 0, column = 0;  ///< strides
};

// All orders of the three axes.
std::vector<Order> orders(std::size_t rows, std::size_t inner, std::size_t columns) {
  return {{columns, rows * columns, 1}, {1, rows * columns, rows}, {inner * columns, columns, 1},
          {inner, 1, rows * inner},     {1, rows, rows * inner},   {inner * columns, 1, inner}};
}

/// Diagonals of a matrix that moves elements: distinct distances on a ring of `period` places.
class Diagonals {
 public:
  explicit Diagonals(std::size_t elements) : seen_(std::bit_ceil(elements)) {}
  void see(std::size_t from, std::size_t to) {
    const std::size_t distance = (from - to) & (seen_.size() - 1);
    count_ += seen_[distance] ? 0 : 1;
    seen_[distance] = true;
  }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  std::vector<bool> seen_;
  std::size_t count_ = 0;
};

// A constant matrix for each position of a map is a 1x1 convolution: where the model sees the map as [1, positions,
// channels].
bool positions_of_a_map(ImportState& state, const Value& value) {
  const TensorShape in = state.shape(value.base);
  const std::size_t plane = in.size() / static_cast<std::size_t>(in.channels), count = element_count(value.dims);
  if (plane == 1 || value.dims.back() != in.channels || !value.view ||
      value.poly.width() > static_cast<std::size_t>(in.channels))
    return false;
  if (!state.budget().charge(count)) return false;
  const auto channels = static_cast<std::size_t>(in.channels);
  for (std::size_t e = 0; e < count; ++e)
    if (value.base_element(e) != e % channels * plane + e / channels) return false;
  return true;
}

Outcome matrix_for_each_position(ImportState& state, const OnnxNode& node, const Value& value,
                                 const ConstTensor& weights) {
  int base = 0;
  if (auto refusal = state.materialise(value, base)) return refusal;
  const TensorShape in = state.shape(base);
  const std::int64_t columns = weights.dims.back();
  const TensorShape out{static_cast<int>(columns), in.height, in.width};
  const auto rows = static_cast<std::size_t>(in.channels), count = static_cast<std::size_t>(columns);
  if (!extents_ok(columns, in.height, in.width) || !state.budget().charge(rows * count + out.size()))
    return too_large();
  ConvParams conv;
  conv.out_channels = out.channels;
  conv.in_channels = in.channels;
  conv.weights.resize(rows * count);
  conv.bias.assign(count, 0.0F);
  for (std::size_t c = 0; c < rows; ++c)
    for (std::size_t d = 0; d < count; ++d) conv.weights[d * rows + c] = weights.reals[c * count + d];
  Dims dims = value.dims;
  dims.back() = columns;
  Value made = node_value(state.add_node(OpKind::kConv, node.name, {base}, out, std::move(conv)), std::move(dims));
  auto view = std::make_shared<std::vector<int>>(out.size());
  const std::size_t plane = out.size() / count;
  for (std::size_t e = 0; e < out.size(); ++e) (*view)[e] = static_cast<int>(e % count * plane + e / count);
  made.view = std::move(view);
  return state.finish(node, std::move(made));
}

// The elements of `value` in the model's order as a node of their own, and in `dims` (broadcast).
Outcome in_order(ImportState& state, const std::string& name, const Value& value, const Dims& dims, int& made) {
  const auto strides = broadcast_strides(value.dims, dims);
  const std::size_t count = element_count(dims);
  const TensorShape shape = state.shape(value.base);
  if (!value.view && count == element_count(value.dims) && shape.height * shape.width == 1)
    return state.materialise(value, made);
  return add_picks(
      state, name, value, count,
      [&](std::size_t m, auto&& take) {
        std::size_t at = 0;
        for (std::size_t axis = dims.size(); axis-- > 0;) {
          const auto extent = static_cast<std::size_t>(dims[axis]);
          at += m % extent * (*strides)[axis];
          m /= extent;
        }
        take(Pick{at, 1});
      },
      made);
}

}  // namespace

Outcome multiply_matrices(ImportState& state, const OnnxNode& node, const Value& a, const Value& b) {
  const auto p = read_shapes(a.dims, b.dims);
  if (!p) return misfit(a.dims, b.dims);
  const std::size_t outputs = element_count(p->dims()), inner = static_cast<std::size_t>(p->k);
  const auto rows = static_cast<std::size_t>(p->m), columns = static_cast<std::size_t>(p->n);
  if (outputs > (std::size_t{1} << 24) / inner)
    return Refusal{"a product of encrypted matrices that takes more than 2^24 products of numbers",
                   "use fewer or shorter tokens", false};
  const std::size_t terms = outputs * inner, each = rows * inner * columns;
  if (!state.budget().charge(6 * terms)) return too_large();
  // Nobody else sees the order of the products: that with the fewest diagonals in the three layers around them.
  const auto visit = [&](const Order& order, auto&& call) {
    for (std::size_t batch = 0; batch < p->batches(); ++batch)
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < inner; ++k)
          for (std::size_t c = 0; c < columns; ++c)
            call(batch * each + r * order.row + k * order.inner + c * order.column, p->left(batch, r, k),
                 p->right(batch, k, c), (batch * rows + r) * columns + c);
  };
  Order best;
  std::size_t fewest = 0;
  for (const Order& order : orders(rows, inner, columns)) {
    Diagonals left(state.shape(a.base).size()), right(state.shape(b.base).size()), sums(outputs);
    visit(order, [&](std::size_t place, std::size_t l, std::size_t r, std::size_t out) {
      left.see(a.base_element(l), place);
      right.see(b.base_element(r), place);
      sums.see(place, out);
    });
    const std::size_t count = left.count() + right.count() + sums.count();
    if (fewest != 0 && count >= fewest) continue;
    fewest = count;
    best = order;
  }
  std::vector<std::size_t> from_left(terms), from_right(terms);
  std::vector<std::vector<Pick>> sums(outputs);
  visit(best, [&](std::size_t place, std::size_t l, std::size_t r, std::size_t out) {
    from_left[place] = l;
    from_right[place] = r;
    sums[out].push_back({place, 1});
  });
  int left = 0, right = 0, made = 0;
  if (auto refusal = add_picks(
          state, node.name + "/left", a, terms,
          [&](std::size_t m, auto&& take) {
            take(Pick{from_left[m], 1});
          },
          left))
    return refusal;
  if (auto refusal = add_picks(
          state, node.name + "/right", b, terms,
          [&](std::size_t m, auto&& take) {
            take(Pick{from_right[m], 1});
          },
          right))
    return refusal;
  const int product =
      state.add_node(OpKind::kProduct, node.name + "/products", {left, right}, state.shape(left), std::monostate{});
  const Value products = node_value(product, {1, static_cast<std::int64_t>(terms)});
  if (auto refusal = add_picks(
          state, node.name, products, outputs,
          [&](std::size_t out, auto&& take) {
            for (const Pick& pick : sums[out]) take(pick);
          },
          made))
    return refusal;
  return state.finish(node, node_value(made, p->dims()));
}

Outcome multiply_by_constant(ImportState& state, const OnnxNode& node, const Value& value, const ConstTensor& weights,
                             bool constant_left) {
  if (weights.is_integer) return inconsistent("its weights are no reals");
  const auto p = constant_left ? read_shapes(weights.dims, value.dims) : read_shapes(value.dims, weights.dims);
  if (!p) return constant_left ? misfit(weights.dims, value.dims) : misfit(value.dims, weights.dims);
  if (!constant_left && weights.dims.size() == 2 && positions_of_a_map(state, value))
    return matrix_for_each_position(state, node, value, weights);
  const auto rows = static_cast<std::size_t>(p->m), columns = static_cast<std::size_t>(p->n),
             inner = static_cast<std::size_t>(p->k);
  const std::size_t outputs = element_count(p->dims());
  int made = 0;
  if (auto refusal = add_picks(
          state, node.name, value, outputs,
          [&](std::size_t out, auto&& take) {
            const std::size_t batch = out / (rows * columns), row = out / columns % rows, column = out % columns;
            for (std::size_t k = 0; k < inner; ++k) {
              const std::size_t l = p->left(batch, row, k), r = p->right(batch, k, column);
              take(constant_left ? Pick{r, static_cast<double>(weights.reals[l])}
                                 : Pick{l, static_cast<double>(weights.reals[r])});
            }
          },
          made))
    return refusal;
  return state.finish(node, node_value(made, p->dims()));
}

Outcome multiply_elements(ImportState& state, const OnnxNode& node, const Value& a, const Value& b, bool aligned) {
  int left = 0, right = 0;
  Value out;
  if (aligned && state.shape(a.base) == state.shape(b.base)) {
    if (auto refusal = state.materialise(a, left)) return refusal;
    if (auto refusal = state.materialise(b, right)) return refusal;
    out.dims = a.dims;
    out.view = a.view;
  } else {
    if (auto refusal = common_order(state, node, a, b, left, right, out.dims)) return refusal;
  }
  out.base = state.add_node(OpKind::kProduct, node.name, {left, right}, state.shape(left), std::monostate{});
  return state.finish(node, std::move(out));
}

Outcome common_order(ImportState& state, const OnnxNode& node, const Value& a, const Value& b, int& left, int& right,
                     std::vector<std::int64_t>& dims) {
  const std::size_t rank = std::max(a.dims.size(), b.dims.size());
  dims.assign(rank, 1);
  for (const Value* value : {&a, &b})
    for (std::size_t k = 0; k < value->dims.size(); ++k) {
      std::int64_t& extent = dims[rank - 1 - k];
      extent = std::max(extent, value->dims[value->dims.size() - 1 - k]);
    }
  if (!broadcast_strides(a.dims, dims) || !broadcast_strides(b.dims, dims))
    return inconsistent("tensors of " + dims_to_string(a.dims) + " and " + dims_to_string(b.dims) +
                        " do not broadcast");
  if (auto refusal = in_order(state, node.name + "/left", a, dims, left)) return refusal;
  return in_order(state, node.name + "/right", b, dims, right);
}

Outcome mean_of_elements(ImportState& state, const OnnxNode& node, const Value& value, const std::vector<int>& axes,
                         std::vector<std::int64_t> dims) {
  const std::size_t rank = value.dims.size();
  std::vector<std::size_t> step(rank, 1);
  for (std::size_t k = rank; k-- > 1;) step[k - 1] = step[k] * static_cast<std::size_t>(value.dims[k]);
  std::size_t averaged = 1;
  for (int axis : axes) averaged *= static_cast<std::size_t>(value.dims[static_cast<std::size_t>(axis)]);
  int made = 0;
  if (auto refusal = add_picks(
          state, node.name, value, element_count(value.dims) / averaged,
          [&](std::size_t out, auto&& take) {
            std::size_t first = 0;
            for (std::size_t axis = rank; axis-- > 0;) {
              if (std::binary_search(axes.begin(), axes.end(), static_cast<int>(axis))) continue;
              first += out % static_cast<std::size_t>(value.dims[axis]) * step[axis];
              out /= static_cast<std::size_t>(value.dims[axis]);
            }
            for (std::size_t part = 0; part < averaged; ++part) {
              std::size_t at = first, rest = part;
              for (std::size_t k = axes.size(); k-- > 0;) {
                const auto axis = static_cast<std::size_t>(axes[k]);
                at += rest % static_cast<std::size_t>(value.dims[axis]) * step[axis];
                rest /= static_cast<std::size_t>(value.dims[axis]);
              }
              take(Pick{at, 1.0 / static_cast<double>(averaged)});
            }
          },
          made))
    return refusal;
  return state.finish(node, node_value(made, std::move(dims)));
}

}  // namespace brainlock::compiler
