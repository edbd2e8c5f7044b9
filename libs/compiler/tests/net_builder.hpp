// Layers with random weights, for tests: each reads the one before, unless from() says otherwise.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

class NetBuilder {
 public:
  NetBuilder(std::uint64_t seed, TensorShape input) : rng_(seed) {
    graph_.model_name = "random";
    graph_.nodes.push_back({OpKind::kInput, "input", {}, input, {}});
  }
  NetBuilder& conv(int out, int kernel, int stride = 1, int pad = 0) {
    const TensorShape in = shape();
    ConvParams c;
    c.out_channels = out, c.in_channels = in.channels, c.kernel_h = c.kernel_w = kernel, c.stride_h = c.stride_w = stride;
    c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = pad;
    c.weights = random(static_cast<std::size_t>(out * in.channels * kernel * kernel), 1.0 / std::sqrt(in.channels * kernel * kernel));
    c.bias = random(static_cast<std::size_t>(out), 0.2);
    push(OpKind::kConv, {out, (in.height + 2 * pad - kernel) / stride + 1, (in.width + 2 * pad - kernel) / stride + 1}, c);
    return *this;
  }
  NetBuilder& pool(int k, int stride = 0) {
    const TensorShape in = shape();
    const int s = stride == 0 ? k : stride;
    push(OpKind::kAveragePool, {in.channels, (in.height - k) / s + 1, (in.width - k) / s + 1}, PoolParams{k, k, s, s});
    return *this;
  }
  NetBuilder& dense(int out) {
    DenseParams d;
    d.out_features = out, d.in_features = static_cast<int>(shape().size());
    d.weights = random(static_cast<std::size_t>(d.out_features * d.in_features), 1.0 / std::sqrt(d.in_features));
    d.bias = random(static_cast<std::size_t>(out), 0.2);
    push(OpKind::kDense, {out, 1, 1}, d);
    return *this;
  }
  NetBuilder& dense(DenseParams d) {
    const int out = d.out_features;
    push(OpKind::kDense, {out, 1, 1}, std::move(d));
    return *this;
  }
  NetBuilder& quadratic() {
    const auto c = static_cast<std::size_t>(shape().channels);
    QuadraticParams q{random(c, 0.5), random(c, 0.7), random(c, 0.2)};
    push(OpKind::kQuadratic, shape(), q);
    return *this;
  }
  /// degree 3 or more, on values of a few units
  NetBuilder& polynomial(int degree, bool per_channel = true) {
    PolynomialParams p;
    double size = 0.7;
    for (int k = 0; k <= degree; ++k, size *= 0.6) {
      p.coefficients.emplace_back();
      for (float c : random(per_channel ? static_cast<std::size_t>(shape().channels) : 1, size)) p.coefficients.back().push_back(static_cast<double>(c));
    }
    return polynomial(std::move(p));
  }
  NetBuilder& polynomial(PolynomialParams p) {
    push(OpKind::kPolynomial, shape(), std::move(p));
    return *this;
  }
  /// Sum with an earlier node.
  NetBuilder& add(int other) {
    const int here = at_;
    push(OpKind::kAdd, shape(), std::monostate{});
    graph_.nodes.back().inputs = {here, other};
    return *this;
  }
  /// Product with an earlier node.
  NetBuilder& product(int other) {
    add(other);
    graph_.nodes.back().kind = OpKind::kProduct;
    return *this;
  }
  /// The next layer reads this node.
  NetBuilder& from(int node) {
    at_ = node;
    return *this;
  }
  int here() const { return at_; }
  Graph graph() const { return graph_; }
  std::vector<float> sample() { return random(graph_.nodes[0].shape.size(), 1.0); }

 private:
  TensorShape shape() const { return graph_.nodes[static_cast<std::size_t>(at_)].shape; }
  template <typename P>
  void push(OpKind kind, TensorShape shape, P params) {
    const int id = static_cast<int>(graph_.nodes.size());
    graph_.nodes.push_back({kind, std::string("n").append(std::to_string(id)), {at_}, shape, std::move(params)});
    graph_.output = at_ = id;
  }
  std::vector<float> random(std::size_t n, double scale) {
    std::uniform_real_distribution<float> d(-1, 1);
    std::vector<float> v(n);
    for (float& x : v) x = d(rng_) * static_cast<float>(scale);
    return v;
  }
  std::mt19937_64 rng_;
  Graph graph_;
  int at_ = 0;
};

}  // namespace brainlock::compiler
