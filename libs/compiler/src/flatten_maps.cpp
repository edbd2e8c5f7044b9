#include "flatten_maps.hpp"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "stage_maps.hpp"

namespace brainlock::compiler {
namespace {

// Beyond this a matrix of the map's elements is out of proportion.
constexpr std::size_t kMostElements = 4096;
// Weights of a convolution written out as a matrix, which repeat nowhere: worth a level up to about this many.
constexpr std::size_t kMostWritten = std::size_t{1} << 22;

bool worth_it(const Graph& graph, int i, const std::vector<int>& readers) {
  const TensorShape& shape = graph.nodes[static_cast<std::size_t>(i)].shape;
  if (i == 0 || i == graph.output || shape.height * shape.width == 1 || shape.size() > kMostElements) return false;
  const auto reader = [&](int r) -> const Node& { return graph.nodes[static_cast<std::size_t>(r)]; };
  return std::all_of(readers.begin(), readers.end(), [&](int r) { return reader(r).kind == OpKind::kDense; }) &&
         std::any_of(readers.begin(), readers.end(), [&](int r) { return reader(r).shape.size() >= 2 * shape.size(); });
}

// Element c * plane + p of the map becomes element p * channels + c.
std::size_t moved(std::size_t element, const TensorShape& shape) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  const std::size_t plane = shape.size() / channels;
  return element % plane * channels + element / plane;
}

void reorder_rows(DenseParams& dense, const TensorShape& shape) {
  const auto in = static_cast<std::size_t>(dense.in_features);
  const DenseParams before = dense;
  for (std::size_t e = 0; e < shape.size(); ++e) {
    std::copy_n(before.weights.begin() + static_cast<std::ptrdiff_t>(e * in), in,
                dense.weights.begin() + static_cast<std::ptrdiff_t>(moved(e, shape) * in));
    dense.bias[moved(e, shape)] = before.bias[e];
  }
}

/// The node as a dense layer with its elements in the new order, if it is a convolution of few weights in all.
bool write_out(Node& node, const TensorShape& in) {
  if (node.kind != OpKind::kConv || in.size() * node.shape.size() > kMostWritten) return false;
  DenseParams dense = conv_as_dense(node.conv(), in, node.shape);
  const std::size_t plane = node.shape.size() / static_cast<std::size_t>(node.shape.channels);
  for (std::size_t e = 0; e < node.shape.size(); ++e) dense.bias.push_back(node.conv().bias[e / plane]);
  reorder_rows(dense, node.shape);
  node.kind = OpKind::kDense;
  node.shape = {static_cast<int>(node.shape.size()), 1, 1};
  node.params = std::move(dense);
  return true;
}

DenseParams move_all(const TensorShape& shape) {
  const std::size_t n = shape.size();
  DenseParams dense{static_cast<int>(n), static_cast<int>(n), std::vector<float>(n * n, 0.0F),
                    std::vector<float>(n, 0.0F)};
  for (std::size_t e = 0; e < n; ++e) dense.weights[moved(e, shape) * n + e] = 1.0F;
  return dense;
}

void reorder_columns(DenseParams& dense, const TensorShape& shape) {
  const std::size_t n = shape.size();
  std::vector<float> row(n);
  for (std::size_t first = 0; first < dense.weights.size(); first += n) {
    for (std::size_t e = 0; e < n; ++e) row[moved(e, shape)] = dense.weights[first + e];
    std::copy(row.begin(), row.end(), dense.weights.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

}  // namespace

void flatten_maps(Graph& graph, std::vector<NodeRange>& ranges) {
  const auto readers = consumers(graph);
  std::unordered_set<std::string> names;
  for (const Node& node : graph.nodes) names.insert(node.name);
  std::vector<Node> nodes;
  std::vector<NodeRange> new_ranges;
  std::vector<int> place(graph.nodes.size());
  const auto add = [&](Node node, std::size_t i) {
    if (!ranges.empty()) new_ranges.push_back(ranges[i].in_shape(node.shape));
    nodes.push_back(std::move(node));
    place[i] = static_cast<int>(nodes.size()) - 1;
  };
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const bool flat = worth_it(graph, static_cast<int>(i), readers[i]);
    const TensorShape shape = graph.nodes[i].shape;
    Node node = graph.nodes[i];
    const bool written =
        flat && node.inputs[0] != 0 && write_out(node, graph.nodes[static_cast<std::size_t>(node.inputs[0])].shape);
    for (int& input : node.inputs) input = place[static_cast<std::size_t>(input)];
    std::string name = node.name + "/flat";
    add(std::move(node), i);
    if (!flat) continue;
    if (!written) {
      while (!names.insert(name).second) name += '_';
      add({OpKind::kDense, std::move(name), {place[i]}, {static_cast<int>(shape.size()), 1, 1}, move_all(shape)}, i);
    }
    for (int reader : readers[i])
      reorder_columns(std::get<DenseParams>(graph.nodes[static_cast<std::size_t>(reader)].params), shape);
  }
  graph.output = place[static_cast<std::size_t>(graph.output)];
  graph.nodes = std::move(nodes);
  ranges = std::move(new_ranges);
}

}  // namespace brainlock::compiler
