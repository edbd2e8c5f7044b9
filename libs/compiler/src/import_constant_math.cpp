// Sums, products of matrices, functions and ranges of constants: weights that a model makes of others when it runs
// (weight_norm, spectral_norm, coefficients kept positive), and tables of indices.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Dims = std::vector<std::int64_t>;

constexpr double kLargestReal = 3.4e38, kLargestInteger = 9e15;

// A tensor to be filled, of reals or of integers.
class Filler {
 public:
  Filler(Dims dims, bool integer) : out_(std::make_shared<ConstTensor>()) {
    out_->dims = std::move(dims);
    out_->is_integer = integer;
  }
  void push(double v) {
    finite_ = finite_ && std::isfinite(v) && std::abs(v) <= (out_->is_integer ? kLargestInteger : kLargestReal);
    if (!finite_) return;
    if (out_->is_integer)
      out_->integers.push_back(static_cast<std::int64_t>(v));
    else
      out_->reals.push_back(static_cast<float>(v));
  }
  Outcome finish(ImportState& state, const OnnxNode& node) {
    if (!finite_) return inconsistent("a constant overflows");
    return state.finish(node, ConstTensorPtr(std::move(out_)));
  }

 private:
  std::shared_ptr<ConstTensor> out_;
  bool finite_ = true;
};

struct Reduction {
  double start;
  double (*add)(double sum, double v);
};

std::optional<Reduction> reduction(const std::string& op) {
  constexpr auto sum = [](double s, double v) { return s + v; };
  if (op == "ReduceSum" || op == "ReduceMean") return Reduction{0, sum};
  if (op == "ReduceL1") return Reduction{0, [](double s, double v) { return s + std::abs(v); }};
  if (op == "ReduceL2" || op == "ReduceSumSquare") return Reduction{0, [](double s, double v) { return s + v * v; }};
  if (op == "ReduceProd") return Reduction{1, [](double s, double v) { return s * v; }};
  if (op == "ReduceMax") return Reduction{-INFINITY, [](double s, double v) { return std::max(s, v); }};
  if (op == "ReduceMin") return Reduction{INFINITY, [](double s, double v) { return std::min(s, v); }};
  return std::nullopt;
}

Outcome reduce(ImportState& state, const OnnxNode& node, const ConstTensor& tensor, const Reduction& by) {
  const std::size_t rank = tensor.dims.size();
  std::optional<std::vector<int>> axes;
  if (auto refusal = read_axes(state, node, 1, static_cast<int>(rank), axes)) return refusal;
  if (!axes || axes->empty()) {
    if (attribute_int(node, "noop_with_empty_axes", 0) != 0) return state.finish(node, state.constant(node, 0));
    axes.emplace(rank);
    std::iota(axes->begin(), axes->end(), 0);
  }
  Dims dims, steps(rank, 0);
  std::int64_t left = 1, averaged = 1;
  for (std::size_t k = rank; k-- > 0;) {
    if (std::binary_search(axes->begin(), axes->end(), static_cast<int>(k))) {
      averaged *= tensor.dims[k];
      if (attribute_int(node, "keepdims", 1) != 0) dims.insert(dims.begin(), 1);
      continue;
    }
    dims.insert(dims.begin(), tensor.dims[k]);
    steps[k] = left;
    left *= tensor.dims[k];
  }
  if (!state.budget().charge(tensor.size() + static_cast<std::size_t>(left))) return too_large();
  std::vector<double> sums(static_cast<std::size_t>(left), by.start);
  Dims index(rank, 0);
  std::int64_t to = 0;
  for (std::size_t element = 0; element < tensor.size(); ++element) {
    double& sum = sums[static_cast<std::size_t>(to)];
    sum = by.add(sum, tensor.at(element));
    for (std::size_t axis = rank; axis-- > 0;) {
      to += steps[axis];
      if (++index[axis] < tensor.dims[axis]) break;
      to -= steps[axis] * index[axis];
      index[axis] = 0;
    }
  }
  Filler out(std::move(dims), tensor.is_integer);
  for (double sum : sums) {
    if (node.op == "ReduceMean") sum /= static_cast<double>(averaged);
    if (node.op == "ReduceL2") sum = std::sqrt(sum);
    out.push(sum);
  }
  return out.finish(state, node);
}

// A vector on the left is a row, on the right a column, and the result has no such dimension.
Outcome multiply(ImportState& state, const OnnxNode& node, const ConstTensor& a, const ConstTensor& b) {
  Dims left = a.dims, right = b.dims;
  if (left.empty() || right.empty() || a.is_integer || b.is_integer)
    return inconsistent("it multiplies what are no matrices of reals");
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  const std::int64_t rows = left[left.size() - 2], inner = left.back(), columns = right.back();
  const auto batch = common_dims({left.begin(), left.end() - 2}, {right.begin(), right.end() - 2});
  if (!batch || right[right.size() - 2] != inner)
    return inconsistent("matrices of " + dims_to_string(a.dims) + " and " + dims_to_string(b.dims) + " do not fit");
  const auto left_steps = broadcast_strides({left.begin(), left.end() - 2}, *batch),
             right_steps = broadcast_strides({right.begin(), right.end() - 2}, *batch);
  Dims dims = *batch;
  dims.push_back(rows);
  dims.push_back(columns);
  const auto count = count_within(dims, std::size_t{1} << 40);
  if (!left_steps || !right_steps || !count) return too_large();
  if (!state.budget().charge(*count) || !state.budget().charge(*count * static_cast<std::size_t>(inner)))
    return too_large();
  if (a.dims.size() == 1) dims.erase(dims.end() - 2);
  if (b.dims.size() == 1) dims.pop_back();
  Filler out(std::move(dims), false);
  const auto m = static_cast<std::size_t>(rows), k = static_cast<std::size_t>(inner),
             n = static_cast<std::size_t>(columns);
  for (std::size_t each = 0; each < element_count(*batch); ++each) {
    std::size_t l = 0, r = 0, rest = each;
    for (std::size_t axis = batch->size(); axis-- > 0;) {
      const auto extent = static_cast<std::size_t>((*batch)[axis]);
      l += rest % extent * (*left_steps)[axis] * m * k;
      r += rest % extent * (*right_steps)[axis] * k * n;
      rest /= extent;
    }
    for (std::size_t row = 0; row < m; ++row)
      for (std::size_t column = 0; column < n; ++column) {
        double sum = 0;
        for (std::size_t i = 0; i < k; ++i) sum += a.at(l + row * k + i) * b.at(r + i * n + column);
        out.push(sum);
      }
  }
  return out.finish(state, node);
}

Outcome range(ImportState& state, const OnnxNode& node, const ConstTensor& start, const ConstTensor& limit,
              const ConstTensor& step) {
  if (start.size() != 1 || limit.size() != 1 || step.size() != 1 || step.at(0) == 0)
    return inconsistent("its bounds are no numbers");
  const double count = std::max(0.0, std::ceil((limit.at(0) - start.at(0)) / step.at(0)));
  if (!(count < 1e9) || !state.budget().charge(static_cast<std::size_t>(count))) return too_large();
  Filler out({static_cast<std::int64_t>(count)}, start.is_integer);
  for (double k = 0; k < count; ++k) out.push(start.at(0) + k * step.at(0));
  return out.finish(state, node);
}

// Bounds are attributes before opset 11, then inputs that may be left out.
Outcome clip(ImportState& state, const OnnxNode& node, const ConstTensor& tensor) {
  double low = attribute_float(node, "min", -kLargestReal), high = attribute_float(node, "max", kLargestReal);
  if (const ConstTensorPtr bound = state.constant(node, 1)) low = bound->size() == 1 ? bound->at(0) : NAN;
  if (const ConstTensorPtr bound = state.constant(node, 2)) high = bound->size() == 1 ? bound->at(0) : NAN;
  if (std::isnan(low) || std::isnan(high)) return inconsistent("its bounds are no numbers");
  if (!state.budget().charge(tensor.size())) return too_large();
  Filler out(tensor.dims, tensor.is_integer);
  for (std::size_t i = 0; i < tensor.size(); ++i) out.push(std::min(std::max(tensor.at(i), low), high));
  return out.finish(state, node);
}

using Function = double (*)(double);

Function function(const std::string& op) {
  if (op == "Sqrt") return [](double v) { return std::sqrt(v); };
  if (op == "Neg") return [](double v) { return -v; };
  if (op == "Reciprocal") return [](double v) { return 1 / v; };
  if (op == "Abs") return [](double v) { return std::abs(v); };
  if (op == "Exp") return [](double v) { return std::exp(v); };
  if (op == "Log") return [](double v) { return std::log(v); };
  if (op == "Sin") return [](double v) { return std::sin(v); };
  if (op == "Cos") return [](double v) { return std::cos(v); };
  if (op == "Tanh") return [](double v) { return std::tanh(v); };
  if (op == "Sigmoid") return [](double v) { return 1 / (1 + std::exp(-v)); };
  if (op == "Softplus") return [](double v) { return v > 40 ? v : std::log1p(std::exp(v)); };
  if (op == "Relu") return [](double v) { return std::max(v, 0.0); };
  return nullptr;
}

}  // namespace

std::optional<Outcome> compute_constant(ImportState& state, const OnnxNode& node) {
  const ConstTensorPtr a = state.constant(node, 0), b = state.constant(node, 1), c = state.constant(node, 2);
  if (!a || a->size() == 0) return std::nullopt;
  if (const auto by = reduction(node.op)) return reduce(state, node, *a, *by);
  if (node.op == "MatMul" && b && b->size() != 0) return multiply(state, node, *a, *b);
  if (node.op == "Tile" && b) return import_tile(state, node);
  if (node.op == "Range" && b && c) return range(state, node, *a, *b, *c);
  if (node.op == "Clip") return clip(state, node, *a);
  const Function f = function(node.op);
  if (f == nullptr || (a->is_integer && node.op != "Abs" && node.op != "Neg")) return std::nullopt;
  if (!state.budget().charge(a->size())) return too_large();
  Filler out(a->dims, a->is_integer);
  for (std::size_t i = 0; i < a->size(); ++i) out.push(f(a->at(i)));
  return out.finish(state, node);
}

}  // namespace brainlock::compiler
