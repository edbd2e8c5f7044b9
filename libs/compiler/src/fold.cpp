#include "brainlock/compiler/fold.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "compose_linear.hpp"
#include "stage_polynomial.hpp"

namespace brainlock::compiler {
namespace {

// Weights of the 1x1 convolutions that stand in for affine maps which nothing could take.
constexpr std::size_t kMaxDiagonalWeights = std::size_t{1} << 24;

// y = s x + t, one of each per channel.
struct Affine {
  std::vector<double> s, t;

  [[nodiscard]] bool shifts() const {
    return std::any_of(t.begin(), t.end(), [](double x) { return x != 0; });
  }
  [[nodiscard]] bool is_identity() const {
    return !shifts() && std::all_of(s.begin(), s.end(), [](double x) { return x == 1; });
  }
};

bool is_affine(const Node& node) {
  if (node.kind != OpKind::kQuadratic) return false;
  const auto& a = node.quadratic().a;
  return std::all_of(a.begin(), a.end(), [](float v) { return v == 0; });
}

Affine affine_of(const Node& node) {
  const QuadraticParams& p = node.quadratic();
  return {{p.b.begin(), p.b.end()}, {p.c.begin(), p.c.end()}};
}

class Folder {
 public:
  explicit Folder(Graph graph) : graph_(std::move(graph)) {}

  Result<Graph> run() {
    BRAINLOCK_TRY(validate(graph_));
    for (const Node& n : graph_.nodes)
      if (n.kind == OpKind::kFunction) return Error{ErrorCode::kUnsupported, "node '" + n.name + "' is no polynomial; approximate the model first"};
    sweep();
    // Each round removes an affine node or moves one behind a pool, so it ends; one pass over the nodes finds them in
    // order.
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 1; i < graph_.nodes.size(); ++i) changed = fold_node(static_cast<int>(i)) || changed;
      if (changed) sweep();
    }
    compose_linear(graph_);
    sweep();
    BRAINLOCK_TRY(replace_affine());
    sweep();
    BRAINLOCK_TRY(validate(graph_));
    return std::move(graph_);
  }

 private:
  Node& node(int i) { return graph_.nodes[i]; }

  bool only_read_by_one(int i) const { return graph_.output != i && readers_[i].size() == 1; }

  // Makes all readers of `from`, and the output, read `to`.
  void redirect(int from, int to) {
    for (int reader : readers_[from]) redirect_input(reader, from, to);
    readers_[from].clear();
    if (graph_.output == from) graph_.output = to;
  }
  // Makes one reader read another node (in all places where it read `from`). Leaves readers_[from] to the caller.
  void redirect_input(int reader, int from, int to) {
    for (int& input : node(reader).inputs) {
      if (input != from) continue;
      input = to;
      readers_[to].push_back(reader);
    }
  }
  // Takes node i out of its input's readers: it is dead.
  void disconnect(int i) {
    for (int input : node(i).inputs) std::erase(readers_[input], i);
    node(i).inputs.clear();
  }

  bool fold_node(int i) {
    Node& here = node(i);
    if (here.inputs.empty()) return false;
    const int input = here.inputs[0];
    if (here.kind == OpKind::kAveragePool && here.shape == node(input).shape && here.pool().kernel_h == 1 &&
        here.pool().kernel_w == 1) {
      disconnect(i);
      redirect(i, input);
      return true;
    }
    if (!is_affine(here)) return false;
    const Affine map = affine_of(here);
    if (map.is_identity()) {
      disconnect(i);
      redirect(i, input);
      return true;
    }
    if (only_read_by_one(input) && can_absorb(input, map)) {
      absorb(input, map);
      disconnect(i);
      redirect(i, input);
      return true;
    }
    return push_forward(i, input, map);
  }

  // Whether a node, read by nobody but the affine map behind it, can produce the mapped values itself.
  bool can_absorb(int i, const Affine& map) {
    const Node& producer = node(i);
    switch (producer.kind) {
      case OpKind::kConv:
      case OpKind::kDense:
      case OpKind::kQuadratic:
      case OpKind::kPolynomial:
        return true;
      case OpKind::kAveragePool:
        return only_read_by_one(producer.inputs[0]) && can_absorb(producer.inputs[0], map);
      case OpKind::kAdd:
        return std::all_of(producer.inputs.begin(), producer.inputs.end(),
                           [&](int input) { return only_read_by_one(input) && can_absorb(input, map); });
      case OpKind::kInput:
      case OpKind::kProduct:
      case OpKind::kFunction:
        return false;
    }
    return false;
  }

  void absorb(int i, const Affine& map) {
    Node& producer = node(i);
    if (auto* conv = std::get_if<ConvParams>(&producer.params)) {
      scale_rows(conv->weights, conv->bias, map);
    } else if (auto* dense = std::get_if<DenseParams>(&producer.params)) {
      scale_rows(dense->weights, dense->bias, map);
    } else if (auto* quadratic = std::get_if<QuadraticParams>(&producer.params)) {
      for (std::size_t c = 0; c < map.s.size(); ++c) {
        quadratic->a[c] = static_cast<float>(map.s[c] * quadratic->a[c]);
        quadratic->b[c] = static_cast<float>(map.s[c] * quadratic->b[c]);
        quadratic->c[c] = static_cast<float>(map.s[c] * quadratic->c[c] + map.t[c]);
      }
    } else if (auto* polynomial = std::get_if<PolynomialParams>(&producer.params)) {
      for (auto& c : polynomial->coefficients) {
        if (c.size() != map.s.size()) c.assign(map.s.size(), c[0]);
        for (std::size_t k = 0; k < c.size(); ++k) c[k] *= map.s[k];
      }
      for (std::size_t k = 0; k < map.t.size(); ++k) polynomial->coefficients[0][k] += map.t[k];
    } else if (producer.kind == OpKind::kAdd) {
      absorb(producer.inputs[0], map);
      absorb(producer.inputs[1], {map.s, std::vector<double>(map.t.size(), 0.0)});
    } else {
      absorb(producer.inputs[0], map);  // the mean of mapped values is the mapped mean
    }
  }

  static void scale_rows(std::vector<float>& weights, std::vector<float>& bias, const Affine& map) {
    const std::size_t row = weights.size() / bias.size();
    for (std::size_t m = 0; m < bias.size(); ++m) {
      for (std::size_t k = 0; k < row; ++k) weights[m * row + k] = static_cast<float>(weights[m * row + k] * map.s[m]);
      bias[m] = static_cast<float>(bias[m] * map.s[m] + map.t[m]);
    }
  }

  // Gives the map to every reader that can take it in front; those read `input` from then on.
  bool push_forward(int i, int input, const Affine& map) {
    std::vector<int> keep;
    const std::vector<int> all = readers_[i];
    for (int reader : all) {
      if (take_in_front(reader, map))
        redirect_input(reader, i, input);
      else
        keep.push_back(reader);
    }
    const bool changed = keep.size() < all.size();
    readers_[i] = keep;
    if (keep.empty() && graph_.output != i) disconnect(i);
    return changed;
  }

  bool take_in_front(int reader, const Affine& map) {
    Node& target = node(reader);
    if (auto* conv = std::get_if<ConvParams>(&target.params)) {
      // The zeros of the padding are not mapped: a shift there would need another bias along the border.
      const bool padded = conv->pad_top + conv->pad_left + conv->pad_bottom + conv->pad_right != 0;
      if (padded && map.shifts()) return false;
      scale_columns(conv->weights, conv->bias, static_cast<std::size_t>(conv->kernel_h) * conv->kernel_w, map);
      return true;
    }
    if (auto* dense = std::get_if<DenseParams>(&target.params)) {
      scale_columns(dense->weights, dense->bias, static_cast<std::size_t>(dense->in_features) / map.s.size(), map);
      return true;
    }
    if (auto* p = std::get_if<QuadraticParams>(&target.params)) {
      for (std::size_t c = 0; c < map.s.size(); ++c) {
        const double a = p->a[c], b = p->b[c], s = map.s[c], t = map.t[c];
        p->a[c] = static_cast<float>(a * s * s);
        p->b[c] = static_cast<float>((2 * a * t + b) * s);
        p->c[c] = static_cast<float>((a * t + b) * t + p->c[c]);
      }
      return true;
    }
    if (auto* p = std::get_if<PolynomialParams>(&target.params)) {
      if (std::any_of(map.s.begin(), map.s.end(), [](double s) { return s == 0; })) return false;
      substitute_each(*p, map);
      return true;
    }
    if (target.kind != OpKind::kAveragePool) return false;
    // pool(s x + t) = s pool(x) + t: a new affine node takes the pool's place for its readers.
    QuadraticParams params{
        std::vector<float>(map.s.size(), 0.0f), {map.s.begin(), map.s.end()}, {map.t.begin(), map.t.end()}};
    Node moved{OpKind::kQuadratic, fresh_name(target.name + "/affine"), {}, target.shape, std::move(params)};
    const int made = static_cast<int>(graph_.nodes.size());
    graph_.nodes.push_back(std::move(moved));
    readers_.emplace_back();
    redirect(reader, made);
    node(made).inputs = {reader};
    readers_[reader] = {made};
    return true;
  }

  std::string fresh_name(const std::string& wanted) {
    if (names_.empty()) {
      for (const Node& each : graph_.nodes) names_.insert(each.name);
    }
    std::string name = wanted;
    while (!names_.insert(name).second) name = wanted + "_" + std::to_string(++made_names_);
    return name;
  }

  // p(s x + t), channel by channel.
  static void substitute_each(PolynomialParams& p, const Affine& map) {
    const std::size_t channels = map.s.size();
    std::vector<std::vector<double>> out(p.coefficients.size(), std::vector<double>(channels));
    for (std::size_t c = 0; c < channels; ++c) {
      Coefficients one;
      for (std::size_t k = 0; k < out.size(); ++k) one.push_back(p.at(k, c));
      one = substitute(one, map.s[c], map.t[c]);
      for (std::size_t k = 0; k < out.size(); ++k) out[k][c] = one[k];
    }
    p.coefficients = std::move(out);
  }

  // Weights in rows of channels x `block`.
  static void scale_columns(std::vector<float>& weights, std::vector<float>& bias, std::size_t block,
                            const Affine& map) {
    const std::size_t channels = map.s.size();
    for (std::size_t m = 0; m < bias.size(); ++m) {
      double shift = bias[m];
      for (std::size_t c = 0; c < channels; ++c) {
        float* w = weights.data() + (m * channels + c) * block;
        for (std::size_t k = 0; k < block; ++k) {
          shift += w[k] * map.t[c];
          w[k] = static_cast<float>(w[k] * map.s[c]);
        }
      }
      bias[m] = static_cast<float>(shift);
    }
  }

  // What no neighbour could take exactly becomes a linear layer of its own.
  Status replace_affine() {
    std::size_t weights = 0;
    for (Node& here : graph_.nodes) {
      if (!is_affine(here) || here.inputs.empty()) continue;
      const Affine map = affine_of(here);
      const auto channels = map.s.size();
      weights += channels * channels;
      if (channels > 4096 || weights > kMaxDiagonalWeights) {
        return {ErrorCode::kTooLarge,
                "node '" + here.name + "': a shift of " + std::to_string(channels) +
                    " channels that no neighbouring layer can take (is it in front of a padded convolution?)"};
      }
      ConvParams conv{here.shape.channels,
                      here.shape.channels,
                      1,
                      1,
                      1,
                      1,
                      0,
                      0,
                      0,
                      0,
                      std::vector<float>(channels * channels, 0.0f),
                      {}};
      for (std::size_t c = 0; c < channels; ++c) conv.weights[c * channels + c] = static_cast<float>(map.s[c]);
      conv.bias.assign(map.t.begin(), map.t.end());
      here.kind = OpKind::kConv;
      here.params = std::move(conv);
    }
    return {};
  }

  void sweep() {
    graph_ = without_dead_nodes(std::move(graph_));
    readers_ = consumers(graph_);
  }

  Graph graph_;
  std::vector<std::vector<int>> readers_;
  std::unordered_set<std::string> names_;  // filled when the first name is made
  int made_names_ = 1;
};

}  // namespace

Result<Graph> normalise(Graph graph) { return Folder(std::move(graph)).run(); }

}  // namespace brainlock::compiler
