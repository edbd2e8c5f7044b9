#include "compose_linear.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

namespace brainlock::compiler {
namespace {

// Dense layers are multiplied into one only where that takes at most about a tenth of a second (products of a full
// matrix with what is not zero).
constexpr std::uint64_t kMaxComposition = std::uint64_t{1} << 27;
// A layer that only moves or adds up numbers costs a level and little besides: it goes into its neighbour where that
// one stays below this many weights.
constexpr std::uint64_t kMaxSavingLevel = std::uint64_t{1} << 24;

/// Whether each output reads one input at most, or each input is read by one output at most.
bool only_moves(const DenseParams& dense) {
  const auto in = static_cast<std::size_t>(dense.in_features);
  std::vector<int> of_input(in, 0);
  bool one_a_row = true, one_a_column = true;
  for (std::size_t row = 0; row < dense.weights.size() && (one_a_row || one_a_column); row += in) {
    int used = 0;
    for (std::size_t k = 0; k < in; ++k) {
      if (dense.weights[row + k] == 0) continue;
      one_a_row = one_a_row && ++used == 1;
      one_a_column = one_a_column && ++of_input[k] == 1;
    }
  }
  return one_a_row || one_a_column;
}

bool one_weight_a_channel(const ConvParams& conv) {
  const auto each = static_cast<std::ptrdiff_t>(conv.weights.size() / conv.bias.size());
  for (auto row = conv.weights.begin(); row != conv.weights.end(); row += each)
    if (each - std::count(row, row + each, 0.0F) > 1) return false;
  return true;
}

/// A dense layer's weights without the zeros, by rows.
struct SparseRows {
  struct Weight {
    std::uint32_t column;
    float value;
  };
  std::vector<std::size_t> first;  // of each row, and one past the last
  std::vector<Weight> weights;

  explicit SparseRows(const DenseParams& dense) {
    const auto in = static_cast<std::size_t>(dense.in_features);
    for (std::size_t row = 0; row < dense.weights.size(); row += in) {
      first.push_back(weights.size());
      for (std::size_t k = 0; k < in; ++k)
        if (dense.weights[row + k] != 0) weights.push_back({static_cast<std::uint32_t>(k), dense.weights[row + k]});
    }
    first.push_back(weights.size());
  }

  /// Of a convolution as a matrix over its whole input.
  SparseRows(const ConvParams& conv, const TensorShape& in, const TensorShape& out) {
    for (int oc = 0; oc < out.channels; ++oc)
      for (int oy = 0; oy < out.height; ++oy)
        for (int ox = 0; ox < out.width; ++ox) {
          first.push_back(weights.size());
          auto weight =
              conv.weights.begin() + static_cast<std::ptrdiff_t>(conv.weights.size()) / conv.out_channels * oc;
          for (int ic = 0; ic < in.channels; ++ic)
            for (int ky = 0; ky < conv.kernel_h; ++ky)
              for (int kx = 0; kx < conv.kernel_w; ++kx, ++weight) {
                const int y = oy * conv.stride_h + ky - conv.pad_top, x = ox * conv.stride_w + kx - conv.pad_left;
                if (*weight == 0 || y < 0 || x < 0 || y >= in.height || x >= in.width) continue;
                weights.push_back({static_cast<std::uint32_t>((ic * in.height + y) * in.width + x), *weight});
              }
        }
    first.push_back(weights.size());
  }
};

/// `first` with its weights in `rows`.
DenseParams composed(const DenseParams& second, const DenseParams& first, const SparseRows& rows) {
  const auto out = static_cast<std::size_t>(second.out_features), mid = static_cast<std::size_t>(first.out_features),
             in = static_cast<std::size_t>(first.in_features);
  DenseParams both{second.out_features, first.in_features, std::vector<float>(out * in), second.bias};
  std::vector<double> row(in);
  for (std::size_t m = 0; m < out; ++m) {
    std::fill(row.begin(), row.end(), 0.0);
    double shift = second.bias[m];
    for (std::size_t j = 0; j < mid; ++j) {
      const double w = second.weights[m * mid + j];
      if (w == 0) continue;
      shift += w * first.bias[j];
      for (std::size_t k = rows.first[j]; k < rows.first[j + 1]; ++k)
        row[rows.weights[k].column] += w * rows.weights[k].value;
    }
    std::transform(row.begin(), row.end(), both.weights.begin() + static_cast<std::ptrdiff_t>(m * in),
                   [](double v) { return static_cast<float>(v); });
    both.bias[m] = static_cast<float>(shift);
  }
  return both;
}

class Composer {
 public:
  explicit Composer(Graph& graph) : graph_(graph), readers_(consumers(graph)) {}

  void run() {
    // From the end: what reads a large layer that only moves numbers is composed with what comes before that one first.
    for (std::size_t i = graph_.nodes.size(); i-- > 1;) compose(i);
  }

 private:
  Node& node(std::size_t i) { return graph_.nodes[i]; }
  Node& node(int i) { return graph_.nodes[static_cast<std::size_t>(i)]; }
  std::vector<int>& readers(int i) { return readers_[static_cast<std::size_t>(i)]; }
  bool only_read_by_one(int i) { return graph_.output != i && readers(i).size() == 1; }

  void compose(std::size_t i) {
    if (node(i).inputs.empty()) return;
    if (node(i).kind == OpKind::kDense) {
      while (into_dense(i) || into_conv(i)) {
      }
    } else if (node(i).kind == OpKind::kAdd) {
      const std::size_t parts = graph_.nodes.size();
      dissolve(static_cast<int>(i));
      for (std::size_t k = parts; k < graph_.nodes.size(); ++k) compose(k);
    }
  }

  /// Whether `second` (out x mid) after a dense layer `first` should be one with it.
  static bool worth_it(const DenseParams& second, const DenseParams& first, const SparseRows& rows) {
    const auto out = static_cast<std::uint64_t>(second.out_features),
               mid = static_cast<std::uint64_t>(second.in_features), in = static_cast<std::uint64_t>(first.in_features);
    if (out * rows.weights.size() > kMaxComposition) return false;
    return out * in <= mid * (in + out) || (out * in <= kMaxSavingLevel && (only_moves(first) || only_moves(second)));
  }

  /// Makes node i read what its input reads. The input dies with its last reader.
  void skip_input(std::size_t i, DenseParams both) {
    const int before = node(i).inputs[0], source = node(before).inputs[0];
    std::erase(readers(before), static_cast<int>(i));
    readers(source).push_back(static_cast<int>(i));
    if (readers(before).empty()) {
      std::erase(readers(source), before);
      node(before).inputs.clear();
    }
    node(i).inputs = {source};
    node(i).params = std::move(both);
  }

  // A layer that only moves numbers may go into several readers, if it goes into all of them: its level is saved.
  bool into_dense(std::size_t i) {
    const int before = node(i).inputs[0];
    if (node(before).kind != OpKind::kDense || graph_.output == before) return false;
    const SparseRows rows(node(before).dense());
    const bool alone = readers(before).size() == 1;
    if (!alone && !only_moves(node(before).dense())) return false;
    for (const int reader : readers(before))
      if (node(reader).kind != OpKind::kDense || !worth_it(node(reader).dense(), node(before).dense(), rows))
        return false;
    skip_input(i, composed(node(i).dense(), node(before).dense(), rows));
    return true;
  }

  // A convolution before a layer that only moves numbers, or one that only cuts a map out of a map (with one weight a
  // channel), which goes into all its readers or none.
  bool into_conv(std::size_t i) {
    const int before = node(i).inputs[0];
    const Node& first = node(before);
    if (first.kind != OpKind::kConv || graph_.output == before) return false;
    const TensorShape& in = node(first.inputs[0]).shape;
    const bool moves = one_weight_a_channel(first.conv());
    const auto goes_in = [&](int reader) {
      const Node& dense = node(reader);
      return dense.kind == OpKind::kDense && in.size() * dense.shape.size() <= kMaxSavingLevel &&
             (moves || only_moves(dense.dense()));
    };
    if (in.size() * first.shape.size() > kMaxSavingLevel) return false;
    if (!moves && (first.inputs[0] == 0 || !only_read_by_one(before))) return false;
    if (!std::all_of(readers(before).begin(), readers(before).end(), goes_in)) return false;
    DenseParams dense{static_cast<int>(first.shape.size()), static_cast<int>(in.size()), {}, {}};
    const std::size_t plane = first.shape.size() / static_cast<std::size_t>(first.shape.channels);
    for (std::size_t e = 0; e < first.shape.size(); ++e) dense.bias.push_back(first.conv().bias[e / plane]);
    skip_input(i, composed(node(i).dense(), dense, SparseRows(first.conv(), in, first.shape)));
    return true;
  }

  // W (x + y) = W x + W y for all that read the sum, if each W goes into a layer that makes one of the two: the sum
  // needs no level of its own.
  void dissolve(int sum) {
    const std::vector<int> parts = node(sum).inputs, all = readers(sum);
    if (graph_.output == sum || all.empty() || parts[0] == parts[1]) return;
    if (!std::all_of(all.begin(), all.end(), [&](int r) { return node(r).kind == OpKind::kDense; })) return;
    const auto goes_in = [&](int part) {
      if (node(part).kind != OpKind::kDense || !only_read_by_one(part)) return false;
      const SparseRows rows(node(part).dense());
      return std::all_of(all.begin(), all.end(),
                         [&](int r) { return worth_it(node(r).dense(), node(part).dense(), rows); });
    };
    const bool goes[2] = {goes_in(parts[0]), goes_in(parts[1])};
    if (!goes[0] && !goes[1]) return;
    for (const int part : parts) std::erase(readers(part), sum);
    for (const int reader : all) {
      std::vector<int> mapped;
      for (std::size_t k = 0; k < 2; ++k) {
        DenseParams dense = node(reader).dense();
        if (k == 1) std::fill(dense.bias.begin(), dense.bias.end(), 0.0F);
        int source = parts[k];
        if (goes[k]) {
          const DenseParams& first = node(source).dense();
          dense = composed(dense, first, SparseRows(first));
          source = node(source).inputs[0];
        }
        mapped.push_back(static_cast<int>(graph_.nodes.size()));
        Node part{OpKind::kDense,
                  fresh_name(node(reader).name + "/part_" + std::to_string(k)),
                  {source},
                  node(reader).shape,
                  std::move(dense)};
        graph_.nodes.push_back(std::move(part));
        readers_.push_back({reader});
        readers(source).push_back(mapped.back());
      }
      node(reader).kind = OpKind::kAdd;
      node(reader).params = std::monostate{};
      node(reader).inputs = mapped;
    }
    for (std::size_t k = 0; k < 2; ++k) {
      if (!goes[k]) continue;
      std::erase(readers(node(parts[k]).inputs[0]), parts[k]);
      node(parts[k]).inputs.clear();  // dead
    }
    readers(sum).clear();
    node(sum).inputs.clear();  // dead
  }

  std::string fresh_name(std::string name) {
    if (names_.empty())
      for (const Node& each : graph_.nodes) names_.insert(each.name);
    while (!names_.insert(name).second) name += '_';
    return name;
  }

  Graph& graph_;
  std::vector<std::vector<int>> readers_;
  std::unordered_set<std::string> names_;  // filled when the first name is made
};

}  // namespace

void compose_linear(Graph& graph) { Composer(graph).run(); }

}  // namespace brainlock::compiler
