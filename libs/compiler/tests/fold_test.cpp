// normalise() keeps the function and reaches its form: random networks with affine maps strewn in, and each rule by
// itself.
#include "brainlock/compiler/fold.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "brainlock/compiler/float_interpreter.hpp"
#include "onnx_builder.hpp"

namespace brainlock::compiler {
namespace {

class Net {
 public:
  explicit Net(TensorShape input) { graph_.nodes.push_back({OpKind::kInput, "x", {}, input, {}}); }

  int conv(Rng& rng, int from, int out, int kernel, int pad, int stride = 1) {
    const TensorShape in = shape(from);
    ConvParams p;
    p.out_channels = out, p.in_channels = in.channels, p.kernel_h = p.kernel_w = kernel,
    p.stride_h = p.stride_w = stride;
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = pad;
    p.weights = random_reals(rng, static_cast<std::size_t>(out) * in.channels * kernel * kernel, -0.5f, 0.5f);
    p.bias = random_reals(rng, out);
    const auto extent = [&](int v) { return (v + 2 * pad - kernel) / stride + 1; };
    return add(OpKind::kConv, {from}, {out, extent(in.height), extent(in.width)}, std::move(p));
  }
  int dense(Rng& rng, int from, int out) {
    const int in = static_cast<int>(shape(from).size());
    return add(OpKind::kDense, {from}, {out, 1, 1},
               DenseParams{out, in, random_reals(rng, static_cast<std::size_t>(out) * in, -0.3f, 0.3f),
                           random_reals(rng, out)});
  }
  int affine(Rng& rng, int from, bool shift = true) {
    const std::size_t c = shape(from).channels;
    return add(OpKind::kQuadratic, {from}, shape(from),
               QuadraticParams{std::vector<float>(c, 0.0f), random_reals(rng, c, 0.5f, 2),
                               shift ? random_reals(rng, c) : std::vector<float>(c, 0.0f)});
  }
  int quadratic(Rng& rng, int from) {
    const std::size_t c = shape(from).channels;
    return add(OpKind::kQuadratic, {from}, shape(from),
               QuadraticParams{random_reals(rng, c, 0.05f, 0.3f), random_reals(rng, c), random_reals(rng, c)});
  }
  int cubic(int from) {
    return add(OpKind::kPolynomial, {from}, shape(from), PolynomialParams{{{0.1}, {0.8}, {-0.1}, {0.05}}});
  }
  int pool(int from) {
    const TensorShape in = shape(from);
    return add(OpKind::kAveragePool, {from}, {in.channels, in.height / 2, in.width / 2}, PoolParams{2, 2, 2, 2});
  }
  int sum(int a, int b) { return add(OpKind::kAdd, {a, b}, shape(a), {}); }
  [[nodiscard]] TensorShape shape(int node) const { return graph_.nodes[node].shape; }
  Graph graph() {
    graph_.output = static_cast<int>(graph_.nodes.size()) - 1;
    return graph_;
  }

 private:
  int add(OpKind kind, std::vector<int> inputs, TensorShape s, decltype(Node::params) params) {
    const int index = static_cast<int>(graph_.nodes.size());
    graph_.nodes.push_back({kind, numbered("n", index), std::move(inputs), s, std::move(params)});
    return index;
  }
  Graph graph_;
};

void expect_same_function(const Graph& before, const Graph& after, Rng& rng) {
  for (int round = 0; round < 3; ++round) {
    const auto image = random_reals(rng, before.nodes[0].shape.size());
    const auto a = run_float(before, image), b = run_float(after, image);
    ASSERT_EQ(a.size(), b.size());
    float size = 1;
    for (float v : a) size = std::max(size, std::abs(v));
    for (std::size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], 2e-5f * size) << to_string(before) << to_string(after);
  }
}

int count_affine(const Graph& graph) {
  int count = 0;
  for (const Node& node : graph.nodes) {
    if (node.kind != OpKind::kQuadratic) continue;
    const auto& a = node.quadratic().a;
    count += std::all_of(a.begin(), a.end(), [](float v) { return v == 0; });
  }
  return count;
}

Graph fold(const Graph& graph) {
  auto normal = normalise(graph);
  EXPECT_TRUE(normal.ok()) << normal.error().to_string();
  return normal.ok() ? std::move(normal).value() : Graph{};
}

TEST(Fold, RandomNetworksKeepTheirFunctionAndLoseTheirAffineNodes) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Net net({random_int(rng, 1, 3), 8, 8});
    int at = 0;
    for (int layer = random_int(rng, 2, 6); layer > 0; --layer) {
      const TensorShape s = net.shape(at);
      switch (random_int(rng, 0, 8)) {
        case 0:
        case 1:
          at = net.conv(rng, at, random_int(rng, 1, 4), s.height >= 3 ? 3 : 1,
                        s.height >= 3 ? random_int(rng, 0, 1) : 0);
          break;
        case 2:
          at = net.quadratic(rng, at);
          break;
        case 3:
          if (s.height >= 2) at = net.pool(at);
          break;
        case 4:
          at = net.cubic(at);
          break;
        case 5:
          at = net.sum(at, net.conv(rng, at, s.channels, 1, 0));
          break;
        case 6:
          at = net.sum(net.affine(rng, at), net.affine(rng, net.conv(rng, at, s.channels, 1, 0)));
          break;
        default:
          break;
      }
      if (random_int(rng, 0, 1) == 1) at = net.affine(rng, at);
    }
    if (random_int(rng, 0, 1) == 1)
      at = net.affine(rng, net.dense(rng, at, 4));
    else
      at = net.conv(rng, at, 2, 1, 0);
    const Graph before = net.graph();
    const Graph after = fold(before);
    ASSERT_FALSE(after.nodes.empty());
    expect_same_function(before, after, rng);
    EXPECT_EQ(count_affine(after), 0) << to_string(after);
  }
}

TEST(Fold, BatchNormalizationBehindConvolutionPoolAndSumIsFree) {
  Rng rng(1);
  Net net({2, 8, 8});
  const int left = net.conv(rng, 0, 4, 3, 1), right = net.conv(rng, 0, 4, 1, 0);
  net.dense(rng, net.quadratic(rng, net.affine(rng, net.pool(net.sum(left, right)))), 3);
  const Graph before = net.graph(), after = fold(before);
  EXPECT_EQ(after.nodes.size(), before.nodes.size() - 1) << to_string(after);
  expect_same_function(before, after, rng);
}

TEST(Fold, NormalisedInputGoesIntoAnUnpaddedConvolution) {
  Rng rng(2);
  Net net({3, 8, 8});
  net.conv(rng, net.affine(rng, 0), 4, 3, 0);
  const Graph before = net.graph(), after = fold(before);
  EXPECT_EQ(after.nodes.size(), 2u);
  expect_same_function(before, after, rng);
}

TEST(Fold, AShiftBeforePaddingStaysExact) {
  Rng rng(3);
  Net net({3, 8, 8});
  net.conv(rng, net.affine(rng, 0), 4, 3, 1);
  const Graph before = net.graph(), after = fold(before);
  ASSERT_EQ(after.nodes.size(), 3u);
  EXPECT_EQ(after.nodes[1].kind, OpKind::kConv);
  EXPECT_EQ(after.nodes[1].conv().kernel_h, 1);
  expect_same_function(before, after, rng);

  Net scaled({3, 8, 8});  // a scale alone passes through the zeros of the padding
  scaled.conv(rng, scaled.affine(rng, 0, false), 4, 3, 1);
  EXPECT_EQ(fold(scaled.graph()).nodes.size(), 2u);
}

TEST(Fold, AffineMapWithSeveralReadersGoesToEachThatCanTakeIt) {
  Rng rng(4);
  Net net({2, 6, 6});
  const int shared = net.conv(rng, 0, 3, 3, 0);
  const int normal = net.affine(rng, shared);
  net.sum(net.conv(rng, normal, 3, 1, 0), net.sum(shared, net.quadratic(rng, normal)));
  const Graph before = net.graph(), after = fold(before);
  EXPECT_EQ(after.nodes.size(), before.nodes.size() - 1) << to_string(after);
  expect_same_function(before, after, rng);
}

TEST(Fold, TwoDenseLayersBecomeOneOnlyWhereThatIsNoMoreWork) {
  Rng rng(5);
  Net narrow({8, 1, 1});  // 8 -> 2 -> 8: apart 32 weights, together 64
  narrow.dense(rng, narrow.dense(rng, 0, 2), 8);
  EXPECT_EQ(fold(narrow.graph()).nodes.size(), 3u);
  Net wide({8, 1, 1});  // 8 -> 20 -> 3
  wide.dense(rng, wide.affine(rng, wide.dense(rng, 0, 20)), 3);
  const Graph before = wide.graph(), after = fold(before);
  EXPECT_EQ(after.nodes.size(), 2u);
  expect_same_function(before, after, rng);
}

TEST(Fold, NormalFormIsAFixedPoint) {
  Rng rng(6);
  Net net({2, 8, 8});
  net.dense(rng, net.affine(rng, net.pool(net.quadratic(rng, net.affine(rng, net.conv(rng, 0, 3, 3, 1))))), 5);
  const Graph once = fold(net.graph()), twice = fold(once);
  EXPECT_EQ(to_string(once), to_string(twice));
}

TEST(Fold, BrokenGraphsAndOverflowsAreErrors) {
  Rng rng(7);
  Net net({2, 4, 4});
  net.affine(rng, net.conv(rng, 0, 2, 1, 0));
  Graph broken = net.graph();
  broken.output = 9;
  EXPECT_EQ(normalise(broken).error().code, ErrorCode::kInvalidArgument);
  Graph huge = net.graph();
  for (float& v : std::get<ConvParams>(huge.nodes[1].params).weights) v = 3e38f;
  for (float& v : std::get<QuadraticParams>(huge.nodes[2].params).b) v = 3e38f;
  EXPECT_THAT(normalise(huge).error().message, testing::HasSubstr("finite"));
  Net shifted({8000, 1, 1});
  shifted.affine(rng, 0);
  EXPECT_EQ(normalise(shifted.graph()).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace brainlock::compiler
