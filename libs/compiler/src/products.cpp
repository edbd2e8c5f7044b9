#include "products.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace brainlock::compiler {
namespace {

// Far beyond what ciphertexts hold; keeps identities that are written out as matrices small.
constexpr std::size_t kMaxWeights = std::size_t{1} << 26;
// The factors take no part in an extreme way: ranges are those of a few samples.
constexpr double kMostBalance = 64;

std::size_t plane_of(const TensorShape& s) {
  return static_cast<std::size_t>(s.height) * static_cast<std::size_t>(s.width);
}

/// A factor of a product as a linear map of some node: rows of weights, one for each output channel.
struct Factor {
  int source = 0;
  OpKind kind = OpKind::kDense;
  ConvParams conv;  // its window, for kConv
  std::size_t columns = 0;
  std::vector<float> weights, bias;
};

bool same_map(const Factor& a, const Factor& b) {
  return a.source == b.source && a.kind == b.kind && a.columns == b.columns &&
         (a.kind == OpKind::kDense || (a.conv.kernel_h == b.conv.kernel_h && a.conv.kernel_w == b.conv.kernel_w &&
                                       a.conv.stride_h == b.conv.stride_h && a.conv.stride_w == b.conv.stride_w &&
                                       a.conv.pad_top == b.conv.pad_top && a.conv.pad_left == b.conv.pad_left &&
                                       a.conv.pad_bottom == b.conv.pad_bottom && a.conv.pad_right == b.conv.pad_right));
}

class Rewriter {
 public:
  Rewriter(const Graph& graph, std::span<const NodeRange> ranges)
      : from_(graph),
        ranges_(ranges),
        readers_(consumers(graph)),
        place_(graph.nodes.size(), -1),
        squares_(graph.nodes.size(), -1) {
    for (const Node& node : graph.nodes) names_.insert(node.name);
    out_.graph.model_name = graph.model_name;
  }

  Result<WithoutProducts> run() {
    for (std::size_t i = 0; i < from_.nodes.size(); ++i) {
      if (from_.nodes[i].kind == OpKind::kProduct) {
        BRAINLOCK_TRY(take_product(static_cast<int>(i)));
      } else {
        BRAINLOCK_TRY(copy(static_cast<int>(i)));
      }
    }
    BRAINLOCK_ASSIGN(out_.graph.output, value(from_.output));
    out_.graph = without_dead_nodes_and_ranges(std::move(out_.graph));
    return std::move(out_);
  }

 private:
  [[nodiscard]] const Node& old(int i) const { return from_.nodes[static_cast<std::size_t>(i)]; }
  [[nodiscard]] NodeRange range_of(int i) const { return ranges_.empty() ? NodeRange{} : ranges_[static_cast<std::size_t>(i)]; }

  int add(Node node, NodeRange range) {
    out_.graph.nodes.push_back(std::move(node));
    if (!ranges_.empty()) out_.ranges.push_back(range);
    return static_cast<int>(out_.graph.nodes.size()) - 1;
  }

  std::string fresh_name(std::string name) {
    while (!names_.insert(name).second) name += '_';
    return name;
  }

  /// A factor whose node is a linear layer that nobody else reads is that layer; any other one is the identity.
  Result<Factor> factor(int i) {
    const Node& node = old(i);
    Factor f;
    const bool own = readers_[static_cast<std::size_t>(i)].size() == 1 && from_.output != i;
    if (own && node.kind == OpKind::kDense) {
      BRAINLOCK_ASSIGN(f.source, value(node.inputs[0]));
      f.columns = static_cast<std::size_t>(node.dense().in_features);
      f.weights = node.dense().weights;
      f.bias = node.dense().bias;
    } else if (own && node.kind == OpKind::kConv) {
      BRAINLOCK_ASSIGN(f.source, value(node.inputs[0]));
      f.kind = OpKind::kConv;
      f.conv = node.conv();
      f.columns = f.conv.weights.size() / static_cast<std::size_t>(f.conv.out_channels);
      f.weights = std::move(f.conv.weights);
      f.bias = std::move(f.conv.bias);
    } else if (own && node.kind == OpKind::kProduct) {
      return difference(i);
    } else {
      BRAINLOCK_ASSIGN(const int source, value(i));
      return picked(source, node, 1);
    }
    return f;
  }

  /// What a product is of its squares.
  [[nodiscard]] Result<Factor> difference(int i) const {
    return picked(squares_[static_cast<std::size_t>(i)], old(i), 2);
  }

  /// Channels of a node as they are, or the first half of them less the second.
  static Result<Factor> picked(int source, const Node& node, std::size_t halves) {
    const auto channels = static_cast<std::size_t>(node.shape.channels);
    if (halves * channels * channels > kMaxWeights) return too_large(node);
    Factor f;
    f.source = source;
    f.kind = plane_of(node.shape) == 1 ? OpKind::kDense : OpKind::kConv;
    f.columns = halves * channels;
    f.conv.in_channels = static_cast<int>(f.columns);
    f.weights.assign(channels * f.columns, 0.0F);
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t half = 0; half < halves; ++half)
        f.weights[c * f.columns + half * channels + c] = half == 0 ? 1.0F : -1.0F;
    f.bias.assign(channels, 0.0F);
    return f;
  }

  static Error too_large(const Node& node) {
    return Error{ErrorCode::kUnsupported, "these layers cannot be packed:\n  " + node.name +
                                              " (product): a product of " + std::to_string(node.shape.channels) +
                                              " channels is more than ciphertexts hold; use fewer or shorter tokens"};
  }

  Status take_product(int i) {
    const Node& product = old(i);
    const int u = product.inputs[0], v = product.inputs[1];
    BRAINLOCK_ASSIGN(Factor left, factor(u));
    BRAINLOCK_ASSIGN(Factor right, factor(v));
    const double ru = range_of(u).largest(), rv = range_of(v).largest();
    const double s = ru > 0 && rv > 0 ? std::clamp(std::sqrt(rv / ru), 1 / kMostBalance, kMostBalance) : 1.0;
    if (2 * std::max(left.weights.size(), right.weights.size()) > kMaxWeights) return too_large(product);
    TensorShape shape = product.shape;
    shape.channels *= 2;
    const double largest = (s * ru + rv / s) / 2;
    const NodeRange range = NodeRange::around_zero(largest);
    int sum = -1;
    if (same_map(left, right)) {
      sum = add_map(product.name + "/factors", stacked(left, s / 2, s / 2, &right, 0.5 / s), shape, range);
    } else {
      const int first =
                    add_map(product.name + "/first_factor", stacked(left, s / 2, s / 2, nullptr, 0), shape, NodeRange::around_zero(s * ru / 2)),
                second = add_map(product.name + "/second_factor", stacked(right, 0.5 / s, -0.5 / s, nullptr, 0), shape,
                                 NodeRange::around_zero(rv / s / 2));
      sum = add({OpKind::kAdd, fresh_name(product.name + "/factors"), {first, second}, shape, std::monostate{}}, range);
    }
    const auto channels = static_cast<std::size_t>(shape.channels);
    QuadraticParams square{std::vector<float>(channels, 1.0F), std::vector<float>(channels, 0.0F),
                           std::vector<float>(channels, 0.0F)};
    squares_[static_cast<std::size_t>(i)] =
        add({OpKind::kQuadratic, product.name, {sum}, shape, std::move(square)}, {{0, largest * largest}, {}});
    return {};
  }

  /// Rows top * f + other * other_scale, and below them bottom * f - other * other_scale.
  static Factor stacked(const Factor& f, double top, double bottom, const Factor* other, double other_scale) {
    Factor out = f;
    const auto both = [&](const std::vector<float>& a, const std::vector<float>* b) {
      std::vector<float> rows;
      rows.reserve(2 * a.size());
      for (const double side : {1.0, -1.0})
        for (std::size_t k = 0; k < a.size(); ++k)
          rows.push_back(static_cast<float>((side > 0 ? top : bottom) * static_cast<double>(a[k]) +
                                            (b != nullptr ? side * other_scale * static_cast<double>((*b)[k]) : 0.0)));
      return rows;
    };
    out.weights = both(f.weights, other != nullptr ? &other->weights : nullptr);
    out.bias = both(f.bias, other != nullptr ? &other->bias : nullptr);
    return out;
  }

  int add_map(const std::string& name, Factor f, const TensorShape& shape, NodeRange range) {
    if (f.kind == OpKind::kDense) {
      const auto rows = static_cast<int>(f.bias.size());
      return add({OpKind::kDense,
                  fresh_name(name),
                  {f.source},
                  shape,
                  DenseParams{rows, static_cast<int>(f.columns), std::move(f.weights), std::move(f.bias)}},
                 range);
    }
    f.conv.out_channels = shape.channels;
    f.conv.weights = std::move(f.weights);
    f.conv.bias = std::move(f.bias);
    return add({OpKind::kConv, fresh_name(name), {f.source}, shape, std::move(f.conv)}, range);
  }

  /// The node of the new graph that has node i's value; of a product a layer that takes the difference of its squares,
  /// made once.
  Result<int> value(int i) {
    int& place = place_[static_cast<std::size_t>(i)];
    if (place >= 0) return place;
    const Node& product = old(i);  // everything else has its place
    BRAINLOCK_ASSIGN(Factor f, difference(i));
    place = add_map(product.name + "/difference", std::move(f), product.shape, range_of(i));
    return place;
  }

  /// W for the difference of two halves: [W, -W], in rows of `columns`.
  static std::vector<float> for_difference(const std::vector<float>& weights, std::size_t columns) {
    std::vector<float> out;
    out.reserve(2 * weights.size());
    for (std::size_t row = 0; row < weights.size(); row += columns)
      for (const float sign : {1.0F, -1.0F})
        for (std::size_t k = 0; k < columns; ++k) out.push_back(sign * weights[row + k]);
    return out;
  }

  Status copy(int i) {
    Node node = old(i);
    const int square = node.inputs.empty() ? -1 : squares_[static_cast<std::size_t>(node.inputs[0])];
    if (square >= 0 && node.kind == OpKind::kDense) {
      DenseParams& dense = std::get<DenseParams>(node.params);
      if (2 * dense.weights.size() > kMaxWeights) return too_large(old(node.inputs[0]));
      dense.weights = for_difference(dense.weights, static_cast<std::size_t>(dense.in_features));
      dense.in_features *= 2;
      node.inputs = {square};
    } else if (square >= 0 && node.kind == OpKind::kConv) {
      ConvParams& conv = std::get<ConvParams>(node.params);
      if (2 * conv.weights.size() > kMaxWeights) return too_large(old(node.inputs[0]));
      conv.weights = for_difference(conv.weights, conv.weights.size() / static_cast<std::size_t>(conv.out_channels));
      conv.in_channels *= 2;
      node.inputs = {square};
    } else {
      for (int& input : node.inputs) {
        BRAINLOCK_ASSIGN(input, value(input));
      }
    }
    place_[static_cast<std::size_t>(i)] = add(std::move(node), range_of(i));
    return {};
  }

  // Factors that became part of a product are still there as layers of their own, which nobody reads.
  Graph without_dead_nodes_and_ranges(Graph graph) {
    std::vector<std::string> names;
    for (const Node& node : graph.nodes) names.push_back(node.name);
    Graph kept = without_dead_nodes(std::move(graph));
    if (ranges_.empty()) return kept;
    std::unordered_map<std::string, NodeRange> range;
    for (std::size_t i = 0; i < names.size(); ++i) range.emplace(names[i], out_.ranges[i]);
    out_.ranges.clear();
    for (const Node& node : kept.nodes) out_.ranges.push_back(range.at(node.name));
    return kept;
  }

  const Graph& from_;
  std::span<const NodeRange> ranges_;
  std::vector<std::vector<int>> readers_;
  WithoutProducts out_;
  std::vector<int> place_;    // of an old node's value in the new graph; -1: none yet
  std::vector<int> squares_;  // of an old product: the squares of sum and difference
  std::unordered_set<std::string> names_;
};

}  // namespace

bool has_products(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return node.kind == OpKind::kProduct; });
}

Result<WithoutProducts> without_products(const Graph& graph, std::span<const NodeRange> ranges) {
  return Rewriter(graph, ranges).run();
}

}  // namespace brainlock::compiler
