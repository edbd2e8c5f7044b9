#include "brainlock/compiler/graph.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <sstream>
#include <unordered_set>
#include <utility>

namespace brainlock::compiler {
namespace {

// Sizes above these are no network that anyone runs encrypted; they keep every product of sizes far from overflow.
constexpr int kMaxExtent = 1 << 24;
constexpr std::size_t kMaxElements = std::size_t{1} << 26;
constexpr int kMaxKernel = 1 << 12;

bool shape_ok(const TensorShape& s) {
  const auto extent_ok = [](int v) { return v >= 1 && v <= kMaxExtent; };
  if (!extent_ok(s.channels) || !extent_ok(s.height) || !extent_ok(s.width)) return false;
  const std::size_t plane = static_cast<std::size_t>(s.height) * static_cast<std::size_t>(s.width);
  return plane <= kMaxElements && s.size() <= kMaxElements;
}

template <typename T>
bool all_finite(std::span<const T> values) {
  return std::all_of(values.begin(), values.end(), [](T v) { return std::isfinite(v); });
}
bool all_finite(const std::vector<float>& values) { return all_finite(std::span<const float>(values)); }

// Every check returns what is wrong, or nothing.
using Complaint = std::string;

Complaint check_conv(const ConvParams& p, const TensorShape& in, const TensorShape& out) {
  const int small[] = {p.kernel_h, p.kernel_w, p.stride_h, p.stride_w};
  const int pads[] = {p.pad_top, p.pad_left, p.pad_bottom, p.pad_right};
  if (std::any_of(std::begin(small), std::end(small), [](int v) { return v < 1 || v > kMaxKernel; })) {
    return "kernel and stride must lie in 1..4096";
  }
  if (std::any_of(std::begin(pads), std::end(pads), [](int v) { return v < 0 || v > kMaxKernel; })) {
    return "padding must lie in 0..4096";
  }
  if (p.in_channels != in.channels) return "input channels differ from the input's";
  const int padded_h = in.height + p.pad_top + p.pad_bottom, padded_w = in.width + p.pad_left + p.pad_right;
  if (padded_h < p.kernel_h || padded_w < p.kernel_w) return "kernel larger than the padded input";
  const TensorShape expected{p.out_channels, (padded_h - p.kernel_h) / p.stride_h + 1,
                             (padded_w - p.kernel_w) / p.stride_w + 1};
  if (out != expected) return "output shape should be " + to_string(expected);
  const std::size_t count = static_cast<std::size_t>(p.out_channels) * p.in_channels * p.kernel_h * p.kernel_w;
  if (p.weights.size() != count) return "wrong number of weights";
  if (p.bias.size() != static_cast<std::size_t>(p.out_channels)) return "wrong number of biases";
  if (!all_finite(p.weights) || !all_finite(p.bias)) return "weights are not finite";
  return {};
}

Complaint check_pool(const PoolParams& p, const TensorShape& in, const TensorShape& out) {
  if (p.kernel_h < 1 || p.kernel_w < 1 || p.stride_h < 1 || p.stride_w < 1) return "kernel and stride must be positive";
  if (p.kernel_h > in.height || p.kernel_w > in.width) return "window larger than the input";
  const TensorShape expected{in.channels, (in.height - p.kernel_h) / p.stride_h + 1,
                             (in.width - p.kernel_w) / p.stride_w + 1};
  return out == expected ? Complaint{} : "output shape should be " + to_string(expected);
}

Complaint check_dense(const DenseParams& p, const TensorShape& in, const TensorShape& out) {
  if (p.in_features < 1 || static_cast<std::size_t>(p.in_features) != in.size())
    return "input features differ from the input's";
  if (out != TensorShape{p.out_features, 1, 1}) return "output must be a vector of the output features";
  if (p.weights.size() != static_cast<std::size_t>(p.out_features) * static_cast<std::size_t>(p.in_features)) {
    return "wrong number of weights";
  }
  if (p.bias.size() != static_cast<std::size_t>(p.out_features)) return "wrong number of biases";
  if (!all_finite(p.weights) || !all_finite(p.bias)) return "weights are not finite";
  return {};
}

Complaint check_quadratic(const QuadraticParams& p, const TensorShape& in, const TensorShape& out) {
  if (in != out) return "an activation keeps its shape";
  const auto channels = static_cast<std::size_t>(in.channels);
  if (p.a.size() != channels || p.b.size() != channels || p.c.size() != channels) return "wrong number of coefficients";
  if (!all_finite(p.a) || !all_finite(p.b) || !all_finite(p.c)) return "coefficients are not finite";
  return {};
}

Complaint check_polynomial(const PolynomialParams& p, const TensorShape& in, const TensorShape& out) {
  if (in != out) return "an activation keeps its shape";
  if (p.coefficients.size() < 4) return "a polynomial of degree below 3 must be a quadratic";
  for (const auto& c : p.coefficients) {
    if (c.size() != 1 && c.size() != static_cast<std::size_t>(in.channels)) return "wrong number of coefficients";
    if (!all_finite(std::span<const double>(c))) return "coefficients are not finite";
  }
  return {};
}

Complaint check_node(const Graph& graph, int index) {
  const Node& node = graph.nodes[index];
  if ((node.kind == OpKind::kInput) != (index == 0)) return "the input must be node 0 and only there";
  if (node.inputs.size() != input_count(node.kind)) return "wrong number of inputs";
  if (!shape_ok(node.shape)) return "shape out of range";
  for (int input : node.inputs) {
    if (input < 0 || input >= index) return "an input does not come before it";
  }
  const auto in = [&](std::size_t k) -> const TensorShape& { return graph.nodes[node.inputs[k]].shape; };
  const auto mismatch = "parameters of another kind";
  switch (node.kind) {
    case OpKind::kInput:
      return std::holds_alternative<std::monostate>(node.params) ? "" : mismatch;
    case OpKind::kAdd:
    case OpKind::kProduct:
      if (!std::holds_alternative<std::monostate>(node.params)) return mismatch;
      return in(0) == node.shape && in(1) == node.shape ? "" : "the three shapes of a sum or product must be equal";
    case OpKind::kConv:
      return std::holds_alternative<ConvParams>(node.params) ? check_conv(node.conv(), in(0), node.shape) : mismatch;
    case OpKind::kAveragePool:
      return std::holds_alternative<PoolParams>(node.params) ? check_pool(node.pool(), in(0), node.shape) : mismatch;
    case OpKind::kDense:
      return std::holds_alternative<DenseParams>(node.params) ? check_dense(node.dense(), in(0), node.shape) : mismatch;
    case OpKind::kQuadratic:
      return std::holds_alternative<QuadraticParams>(node.params) ? check_quadratic(node.quadratic(), in(0), node.shape)
                                                                  : mismatch;
    case OpKind::kPolynomial:
      return std::holds_alternative<PolynomialParams>(node.params)
                 ? check_polynomial(node.polynomial(), in(0), node.shape)
                 : mismatch;
    case OpKind::kFunction:
      if (!std::holds_alternative<FunctionParams>(node.params) || !node.function().f) return mismatch;
      return in(0) == node.shape ? "" : "a function keeps its shape";
  }
  return "unknown kind";
}

void print_params(std::ostream& out, const Node& node) {
  if (const auto* p = std::get_if<ConvParams>(&node.params)) {
    out << " kernel " << p->kernel_h << 'x' << p->kernel_w << " stride " << p->stride_h << 'x' << p->stride_w << " pad "
        << p->pad_top << ',' << p->pad_left << ',' << p->pad_bottom << ',' << p->pad_right;
  } else if (const auto* q = std::get_if<PoolParams>(&node.params)) {
    out << " kernel " << q->kernel_h << 'x' << q->kernel_w << " stride " << q->stride_h << 'x' << q->stride_w;
  } else if (const auto* r = std::get_if<PolynomialParams>(&node.params)) {
    out << " degree " << r->coefficients.size() - 1;
  }
}

}  // namespace

std::string to_string(const TensorShape& shape) {
  return std::to_string(shape.channels) + 'x' + std::to_string(shape.height) + 'x' + std::to_string(shape.width);
}

std::string_view op_kind_name(OpKind kind) {
  switch (kind) {
    case OpKind::kInput:
      return "input";
    case OpKind::kConv:
      return "conv";
    case OpKind::kAveragePool:
      return "average_pool";
    case OpKind::kDense:
      return "dense";
    case OpKind::kQuadratic:
      return "quadratic";
    case OpKind::kAdd:
      return "add";
    case OpKind::kPolynomial:
      return "polynomial";
    case OpKind::kProduct:
      return "product";
    case OpKind::kFunction:
      return "function";
  }
  return "unknown";
}

std::size_t input_count(OpKind kind) {
  if (kind == OpKind::kInput) return 0;
  return kind == OpKind::kAdd || kind == OpKind::kProduct ? 2 : 1;
}

Status validate(const Graph& graph) {
  if (graph.nodes.empty()) return {ErrorCode::kInvalidArgument, "graph without nodes"};
  const int count = static_cast<int>(graph.nodes.size());
  if (graph.output < 0 || graph.output >= count) return {ErrorCode::kInvalidArgument, "graph output is not a node"};
  std::unordered_set<std::string_view> names;
  for (int i = 0; i < count; ++i) {
    const Node& node = graph.nodes[i];
    Complaint complaint = names.insert(node.name).second ? check_node(graph, i) : "name used twice";
    if (!complaint.empty()) {
      return {ErrorCode::kInvalidArgument, "node " + std::to_string(i) + " '" + node.name + "' (" +
                                               std::string(op_kind_name(node.kind)) + ", " + to_string(node.shape) +
                                               "): " + complaint};
    }
  }
  return {};
}

std::vector<std::vector<int>> consumers(const Graph& graph) {
  std::vector<std::vector<int>> readers(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (int input : graph.nodes[i].inputs) readers[input].push_back(static_cast<int>(i));
  }
  return readers;
}

Graph without_dead_nodes(Graph graph) {
  std::vector<int> renumbered(graph.nodes.size(), -1);
  std::vector<int> order{0};
  renumbered[0] = 0;
  // Depth first with an explicit stack: models may be thousands of nodes deep.
  std::vector<std::pair<int, std::size_t>> stack{{graph.output, 0}};
  while (!stack.empty()) {
    auto& [current, next] = stack.back();
    if (renumbered[current] >= 0) {
      stack.pop_back();
    } else if (next < graph.nodes[current].inputs.size()) {
      const int input = graph.nodes[current].inputs[next++];
      stack.emplace_back(input, 0);
    } else {
      renumbered[current] = static_cast<int>(order.size());
      order.push_back(current);
      stack.pop_back();
    }
  }
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (int old : order) {
    nodes.push_back(std::move(graph.nodes[old]));
    for (int& input : nodes.back().inputs) input = renumbered[input];
  }
  graph.output = renumbered[graph.output];
  graph.nodes = std::move(nodes);
  return graph;
}

std::string to_string(const Graph& graph) {
  std::ostringstream out;
  out << "graph " << graph.model_name << ": " << graph.nodes.size() << " nodes, output " << graph.output << '\n';
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    out << "  " << i << ' ' << node.name << ": " << op_kind_name(node.kind) << ' ' << to_string(node.shape);
    for (std::size_t k = 0; k < node.inputs.size(); ++k) out << (k == 0 ? " <- " : ", ") << node.inputs[k];
    print_params(out, node);
    out << '\n';
  }
  return out.str();
}

std::uint64_t multiply_accumulates(const Graph& graph) {
  std::uint64_t total = 0;
  for (const Node& node : graph.nodes) {
    const std::uint64_t size = node.shape.size();
    if (const auto* conv = std::get_if<ConvParams>(&node.params)) {
      total += size * static_cast<std::uint64_t>(conv->in_channels) * conv->kernel_h * conv->kernel_w;
    } else if (const auto* pool = std::get_if<PoolParams>(&node.params)) {
      total += size * static_cast<std::uint64_t>(pool->kernel_h) * pool->kernel_w;
    } else if (const auto* dense = std::get_if<DenseParams>(&node.params)) {
      total += size * static_cast<std::uint64_t>(dense->in_features);
    } else if (const auto* poly = std::get_if<PolynomialParams>(&node.params)) {
      total += size * (poly->coefficients.size() - 1);
    } else if (std::holds_alternative<QuadraticParams>(node.params)) {
      total += 2 * size;
    } else if (const auto* function = std::get_if<FunctionParams>(&node.params)) {
      total += size * function->f->size();
    } else if (node.kind == OpKind::kProduct) {
      total += size;
    }
  }
  return total;
}

}  // namespace brainlock::compiler
