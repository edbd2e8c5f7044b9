#include "stages.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <span>

#include "stage_arithmetic.hpp"

namespace brainlock::compiler {
namespace {

// Beyond this shift |b / 2a| (in units of the pre-activation) a channel counts as linear: completing the square would
// spend precision on a large constant, so the curvature is raised to this bound instead and a note says so.
constexpr double kMaxShift = 48.0;

std::size_t at(int a, int b, int nb, int c, int nc) {
  return (static_cast<std::size_t>(a) * static_cast<std::size_t>(nb) + static_cast<std::size_t>(b)) *
             static_cast<std::size_t>(nc) +
         static_cast<std::size_t>(c);
}

/// conv after average pool as one convolution (kernels without padding).
ConvParams pool_then_conv(const PoolParams& pool, const ConvParams& conv) {
  ConvParams out = conv;
  out.kernel_h = (conv.kernel_h - 1) * pool.stride_h + pool.kernel_h;
  out.kernel_w = (conv.kernel_w - 1) * pool.stride_w + pool.kernel_w;
  out.stride_h = conv.stride_h * pool.stride_h;
  out.stride_w = conv.stride_w * pool.stride_w;
  out.weights.assign(static_cast<std::size_t>(conv.out_channels * conv.in_channels * out.kernel_h * out.kernel_w), 0.0F);
  const float factor = 1.0F / static_cast<float>(pool.kernel_h * pool.kernel_w);
  for (int oc = 0; oc < conv.out_channels * conv.in_channels; ++oc)
    for (int ky = 0; ky < conv.kernel_h; ++ky)
      for (int kx = 0; kx < conv.kernel_w; ++kx)
        for (int py = 0; py < pool.kernel_h; ++py)
          for (int px = 0; px < pool.kernel_w; ++px)
            out.weights[at(oc, ky * pool.stride_h + py, out.kernel_h, kx * pool.stride_w + px, out.kernel_w)] +=
                factor * conv.weights[at(oc, ky, conv.kernel_h, kx, conv.kernel_w)];
  return out;
}

/// average pool after conv as one convolution.
ConvParams conv_then_pool(const ConvParams& conv, const PoolParams& pool) {
  ConvParams out = conv;
  out.kernel_h = conv.kernel_h + (pool.kernel_h - 1) * conv.stride_h;
  out.kernel_w = conv.kernel_w + (pool.kernel_w - 1) * conv.stride_w;
  out.stride_h = conv.stride_h * pool.stride_h;
  out.stride_w = conv.stride_w * pool.stride_w;
  out.weights.assign(static_cast<std::size_t>(conv.out_channels * conv.in_channels * out.kernel_h * out.kernel_w), 0.0F);
  const float factor = 1.0F / static_cast<float>(pool.kernel_h * pool.kernel_w);
  for (int oc = 0; oc < conv.out_channels * conv.in_channels; ++oc)
    for (int ky = 0; ky < conv.kernel_h; ++ky)
      for (int kx = 0; kx < conv.kernel_w; ++kx)
        for (int py = 0; py < pool.kernel_h; ++py)
          for (int px = 0; px < pool.kernel_w; ++px)
            out.weights[at(oc, ky + py * conv.stride_h, out.kernel_h, kx + px * conv.stride_w, out.kernel_w)] +=
                factor * conv.weights[at(oc, ky, conv.kernel_h, kx, conv.kernel_w)];
  return out;
}

/// A convolution whose output is one position, as a dense map over its whole input.
DenseParams conv_as_dense(const ConvParams& conv, const TensorShape& in, const TensorShape& out) {
  DenseParams dense;
  dense.in_features = static_cast<int>(in.size());
  dense.out_features = static_cast<int>(out.size());
  dense.weights.assign(in.size() * out.size(), 0.0F);
  for (int oc = 0; oc < out.channels; ++oc)
    for (int oy = 0; oy < out.height; ++oy)
      for (int ox = 0; ox < out.width; ++ox) {
        const std::size_t row = at(oc, oy, out.height, ox, out.width);
        for (int ic = 0; ic < in.channels; ++ic)
          for (int ky = 0; ky < conv.kernel_h; ++ky)
            for (int kx = 0; kx < conv.kernel_w; ++kx) {
              const int y = oy * conv.stride_h + ky - conv.pad_top;
              const int x = ox * conv.stride_w + kx - conv.pad_left;
              if (y < 0 || x < 0 || y >= in.height || x >= in.width) continue;
              dense.weights[row * in.size() + at(ic, y, in.height, x, in.width)] +=
                  conv.weights[at(oc * conv.in_channels + ic, ky, conv.kernel_h, kx, conv.kernel_w)];
            }
      }
  return dense;
}

/// dense over a pooled tensor as a dense map over the tensor before the pool.
DenseParams pool_then_dense(const PoolParams& pool, const TensorShape& in, const TensorShape& pooled, const DenseParams& dense) {
  DenseParams out;
  out.in_features = static_cast<int>(in.size());
  out.out_features = dense.out_features;
  out.weights.assign(static_cast<std::size_t>(dense.out_features) * in.size(), 0.0F);
  const float factor = 1.0F / static_cast<float>(pool.kernel_h * pool.kernel_w);
  for (int o = 0; o < dense.out_features; ++o)
    for (int c = 0; c < pooled.channels; ++c)
      for (int y = 0; y < pooled.height; ++y)
        for (int x = 0; x < pooled.width; ++x) {
          const float w = factor * dense.weights[static_cast<std::size_t>(o) * pooled.size() + at(c, y, pooled.height, x, pooled.width)];
          for (int py = 0; py < pool.kernel_h; ++py)
            for (int px = 0; px < pool.kernel_w; ++px)
              out.weights[static_cast<std::size_t>(o) * in.size() +
                          at(c, y * pool.stride_h + py, in.height, x * pool.stride_w + px, in.width)] += w;
        }
  return out;
}

LaneTensor<double> to_lanes(const std::vector<double>& x) {
  LaneTensor<double> lanes(x.size(), Lanes<double>{});
  for (std::size_t e = 0; e < x.size(); ++e) lanes[e][0] = x[e];
  return lanes;
}

std::vector<double> first_lane(const LaneTensor<double>& x) {
  std::vector<double> out;
  for (const auto& lanes : x) out.push_back(lanes[0]);
  return out;
}

class Builder {
 public:
  explicit Builder(const Graph& graph) : graph_(graph) {}

  Result<StagePlan> run() {
    check_chain();
    if (!bad_.empty()) return refusal();
    plan_.input = graph_.nodes[0].shape;
    constants_.assign(plan_.input.size(), 0.0);
    sign_.assign(static_cast<std::size_t>(plan_.input.channels), 1.0);
    std::size_t i = 1;
    while (i < chain_.size() && bad_.empty()) i = take_stage(i);
    if (bad_.empty() && (plan_.stages.empty() || plan_.stages.back().squared))
      refuse(graph_.nodes[static_cast<std::size_t>(graph_.output)], "the network ends with an activation; end it with a linear layer");
    if (!bad_.empty()) return refusal();
    return std::move(plan_);
  }

 private:
  void refuse(const Node& node, const std::string& why) {
    bad_ += "\n  " + node.name + " (" + std::string(op_kind_name(node.kind)) + "): " + why;
  }
  Error refusal() const { return Error{ErrorCode::kUnsupported, "these layers cannot be packed:" + bad_}; }

  // The packing takes a chain; anything else is listed, all of it at once.
  void check_chain() {
    int node = graph_.output;
    std::vector<int> reversed;
    while (true) {
      reversed.push_back(node);
      const Node& n = graph_.nodes[static_cast<std::size_t>(node)];
      if (n.inputs.empty()) break;
      node = n.inputs[0];
    }
    chain_.assign(reversed.rbegin(), reversed.rend());
    for (const Node& node_ref : graph_.nodes) {
      if (node_ref.kind == OpKind::kAdd)
        refuse(node_ref, "sums of two branches are not covered; write the sum as one convolution over both inputs");
      if (node_ref.kind == OpKind::kPolynomial)
        refuse(node_ref, "activations of degree 3 or more are not covered; train with a quadratic");
    }
  }

  const Node& node(std::size_t i) const { return graph_.nodes[static_cast<std::size_t>(chain_[i])]; }

  std::size_t take_stage(std::size_t i) {
    Stage stage;
    stage.in = i == 1 ? plan_.input : node(i - 1).shape;
    std::vector<PoolParams> pools;
    while (i < chain_.size() && node(i).kind == OpKind::kAveragePool) pools.push_back(node(i++).pool());
    if (i >= chain_.size()) {
      // A network that ends in pools: an identity convolution carries them.
      ConvParams identity;
      const int channels = stage.in.channels;
      identity.out_channels = identity.in_channels = channels;
      identity.weights.assign(static_cast<std::size_t>(channels) * static_cast<std::size_t>(channels), 0.0F);
      for (int c = 0; c < channels; ++c) identity.weights[static_cast<std::size_t>(c) * static_cast<std::size_t>(channels) + static_cast<std::size_t>(c)] = 1.0F;
      identity.bias.assign(static_cast<std::size_t>(channels), 0.0F);
      return finish(i, std::move(stage), std::move(pools), identity, node(i - 1));
    }
    const Node& linear = node(i);
    if (linear.kind == OpKind::kConv) return finish(i + 1, std::move(stage), std::move(pools), linear.conv(), linear);
    if (linear.kind == OpKind::kDense) return finish_dense(i + 1, std::move(stage), pools, linear.dense(), linear);
    refuse(linear, "an activation must follow a convolution or a dense layer");
    return chain_.size();
  }

  std::size_t finish(std::size_t i, Stage stage, std::vector<PoolParams> pools, ConvParams conv, const Node& linear) {
    stage.name = linear.name;
    stage.out = linear.shape;
    const bool padded = conv.pad_top + conv.pad_left + conv.pad_bottom + conv.pad_right > 0;
    // Pools that tile (kernel == stride) stay apart and cost additions; others join the convolution. The client makes
    // the first layer's windows itself, so there everything joins.
    while (!pools.empty()) {
      const PoolParams& last = pools.back();
      const bool tiles = last.kernel_h == last.stride_h && last.kernel_w == last.stride_w;
      if (tiles && !plan_.stages.empty()) break;
      if (padded) {
        refuse(linear, "a padded convolution after this average pool is not covered; pad before the pool or use kernel == stride");
        return chain_.size();
      }
      conv = pool_then_conv(last, conv);
      pools.pop_back();
    }
    stage.pools = std::move(pools);
    while (i < chain_.size() && node(i).kind == OpKind::kAveragePool) {
      conv = conv_then_pool(conv, node(i).pool());
      stage.out = node(i).shape;
      ++i;
    }
    stage.pooled = stage.in;
    for (const PoolParams& pool : stage.pools)
      stage.pooled = {stage.pooled.channels, (stage.pooled.height - pool.kernel_h) / pool.stride_h + 1,
                      (stage.pooled.width - pool.kernel_w) / pool.stride_w + 1};
    const std::vector<float> channel_bias = conv.bias;
    std::vector<double> bias(stage.out.size());
    const auto plane = static_cast<std::size_t>(stage.out.height * stage.out.width);
    for (std::size_t e = 0; e < bias.size(); ++e) bias[e] = static_cast<double>(channel_bias[e / plane]);
    if (stage.out.height * stage.out.width == 1 || stage.pooled.height * stage.pooled.width == 1) {
      stage.is_dense = true;
      stage.dense = conv_as_dense(conv, stage.pooled, stage.out);
    } else {
      stage.conv = std::move(conv);
    }
    return complete(i, std::move(stage), std::move(bias), plane);
  }

  std::size_t finish_dense(std::size_t i, Stage stage, std::vector<PoolParams> pools, DenseParams dense, const Node& linear) {
    stage.name = linear.name;
    stage.out = linear.shape;
    std::vector<TensorShape> shapes{stage.in};
    for (const PoolParams& pool : pools) {
      const TensorShape& s = shapes.back();
      shapes.push_back({s.channels, (s.height - pool.kernel_h) / pool.stride_h + 1, (s.width - pool.kernel_w) / pool.stride_w + 1});
    }
    std::vector<double> bias(dense.bias.begin(), dense.bias.end());
    for (std::size_t k = pools.size(); k-- > 0;) dense = pool_then_dense(pools[k], shapes[k], shapes[k + 1], dense);
    stage.pooled = stage.in;
    stage.is_dense = true;
    stage.dense = std::move(dense);
    return complete(i, std::move(stage), std::move(bias), 1);
  }

  // Folds the previous activation's signs and constants in, and this stage's own gain and shift.
  std::size_t complete(std::size_t i, Stage stage, std::vector<double> bias, std::size_t plane) {
    scale_inputs(stage);
    stage.bias = std::move(bias);
    bias = first_lane(apply_linear(stage, apply_pools(stage, to_lanes(signed_constants()))));

    const auto channels = static_cast<std::size_t>(stage.out.channels);
    std::vector<double> gain(channels, 1.0);
    std::vector<double> next_sign(channels, 1.0), next_constant(channels, 0.0);
    if (i < chain_.size()) {
      const Node& activation = node(i);
      if (activation.kind != OpKind::kQuadratic) {
        refuse(activation, "two linear layers follow each other; put a quadratic activation between them or merge them");
        return chain_.size();
      }
      const QuadraticParams& q = activation.quadratic();
      int raised = 0;
      for (std::size_t c = 0; c < channels; ++c) {
        double a = static_cast<double>(q.a[c]);
        const double b = static_cast<double>(q.b[c]);
        if (std::fabs(b) > 2 * kMaxShift * std::fabs(a)) {
          a = std::copysign(std::fabs(b) / (2 * kMaxShift), a == 0 ? 1.0 : a);
          ++raised;
        }
        const double shift = a == 0 ? 0.0 : b / (2 * a);
        gain[c] = std::sqrt(std::fabs(a));
        next_sign[c] = a < 0 ? -1.0 : 1.0;
        next_constant[c] = static_cast<double>(q.c[c]) - a * shift * shift;
        for (std::size_t k = 0; k < plane; ++k) bias[c * plane + k] += shift;
      }
      if (raised > 0)
        plan_.notes.push_back(activation.name + ": " + std::to_string(raised) + " of " + std::to_string(channels) +
                              " channels are nearly linear; their curvature was raised to |b| / " + std::to_string(2 * static_cast<int>(kMaxShift)));
      stage.squared = true;
      ++i;
    }
    scale_outputs(stage, gain);
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t k = 0; k < plane; ++k) bias[c * plane + k] *= gain[c];
    stage.bias = std::move(bias);
    stage.sign = next_sign;
    sign_ = next_sign;
    constants_.assign(stage.out.size(), 0.0);
    for (std::size_t e = 0; e < constants_.size(); ++e) constants_[e] = next_constant[e / plane];
    plan_.stages.push_back(std::move(stage));
    return i;
  }

  // The constants k of sign * s + k, divided by sign because the signs are folded into the weights already.
  std::vector<double> signed_constants() const {
    std::vector<double> x(constants_);
    const std::size_t plane = x.size() / sign_.size();
    for (std::size_t e = 0; e < x.size(); ++e) x[e] *= sign_[e / plane];
    return x;
  }

  void scale_inputs(Stage& stage) const {
    if (stage.is_dense) {
      const auto in = static_cast<std::size_t>(stage.dense.in_features);
      const std::size_t plane = in / sign_.size();
      for (std::size_t k = 0; k < stage.dense.weights.size(); ++k)
        stage.dense.weights[k] *= static_cast<float>(sign_[(k % in) / plane]);
    } else {
      const auto taps = static_cast<std::size_t>(stage.conv.kernel_h * stage.conv.kernel_w);
      for (std::size_t k = 0; k < stage.conv.weights.size(); ++k)
        stage.conv.weights[k] *= static_cast<float>(sign_[(k / taps) % sign_.size()]);
    }
  }

  static void scale_outputs(Stage& stage, const std::vector<double>& gain) {
    auto& weights = stage.is_dense ? stage.dense.weights : stage.conv.weights;
    const std::size_t per_channel = weights.size() / gain.size();
    for (std::size_t k = 0; k < weights.size(); ++k)
      weights[k] = static_cast<float>(static_cast<double>(weights[k]) * gain[k / per_channel]);
  }

  const Graph& graph_;
  std::vector<int> chain_;
  StagePlan plan_;
  std::vector<double> constants_;   // per element of the previous activation's output
  std::vector<double> sign_;        // per channel of it
  std::string bad_;
};

}  // namespace

Result<StagePlan> make_stages(const Graph& graph) { return Builder(graph).run(); }

std::vector<std::vector<double>> run_stages(const StagePlan& plan, std::span<const float> input) {
  std::vector<std::vector<double>> outputs;
  LaneTensor<double> x = to_lanes({input.begin(), input.end()});
  for (const Stage& stage : plan.stages) {
    x = apply_linear(stage, apply_pools(stage, std::move(x)));
    outputs.push_back(first_lane(x));
    for (auto& lanes : x) lanes[0] *= lanes[0];
  }
  return outputs;
}

}  // namespace brainlock::compiler
