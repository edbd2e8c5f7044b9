// Products of two values: taken from ONNX, put together with their neighbours, and taken apart into squares.
#include <gtest/gtest.h>

#include "brainlock/plan/slot_interpreter.hpp"
#include "compose_linear.hpp"
#include "flatten_maps.hpp"
#include "lowering.hpp"
#include "net_builder.hpp"
#include "onnx_expect.hpp"
#include "products.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

using Ints = std::vector<std::int64_t>;
using Matrix = std::vector<std::vector<double>>;

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out(a.size(), std::vector<double>(b[0].size(), 0.0));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = 0; k < b.size(); ++k)
      for (std::size_t j = 0; j < b[0].size(); ++j) out[i][j] += a[i][k] * b[k][j];
  return out;
}
Matrix transposed(const Matrix& a) {
  Matrix out(a[0].size(), std::vector<double>(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[0].size(); ++j) out[j][i] = a[i][j];
  return out;
}
Matrix matrix(const std::vector<float>& values, std::size_t columns) {
  Matrix out(values.size() / columns);
  for (std::size_t k = 0; k < values.size(); ++k) out[k / columns].push_back(static_cast<double>(values[k]));
  return out;
}

/// A head of attention over the positions of a map, with squared scores in place of a softmax, and what it computes.
struct Attention {
  static constexpr std::size_t kChannels = 6, kTokens = 4, kKeys = 3, kValues = 5;
  OnnxBuilder model{13};
  std::vector<float> image;
  std::vector<double> expected;

  explicit Attention(unsigned seed) {
    Rng rng(seed);
    const auto reals = [&](const std::string& name, const Ints& dims) {
      std::size_t count = 1;
      for (auto d : dims) count *= static_cast<std::size_t>(d);
      auto values = random_reals(rng, count);
      model.reals(name, dims, values);
      return values;
    };
    image = random_reals(rng, 2 * 3 * 3, 0, 1);
    model.input("x", {1, 2, 3, 3}).output("y");
    const auto w = reals("w", {6, 2, 2, 2}), b = reals("b", {6});
    const Matrix wq = matrix(reals("wq", {6, 3}), 3), wk = matrix(reals("wk", {6, 3}), 3),
                 wv = matrix(reals("wv", {6, 5}), 5), wo = matrix(reals("wo", {5, 6}), 6);
    const auto bias = reals("position", {1, 4, 4});
    const Matrix wd = matrix(reals("wd", {24, 3}), 3);
    model.reals("half", {}, {0.5F}).integers("tokens", {3}, {1, 6, 4}).integers("flat", {2}, {1, 24});
    model.node("Conv", {"x", "w", "b"}, {"c"})
        .node("Mul", {"c", "c"}, {"m"})
        .node("Reshape", {"m", "tokens"}, {"r"})
        .node("Transpose", {"r"}, {"t"}, {{"perm", Ints{0, 2, 1}}});
    model.node("MatMul", {"t", "wq"}, {"q"})
        .node("MatMul", {"t", "wk"}, {"k"})
        .node("MatMul", {"t", "wv"}, {"v"})
        .node("Transpose", {"k"}, {"kt"}, {{"perm", Ints{0, 2, 1}}});
    model.node("MatMul", {"q", "kt"}, {"qk"})
        .node("Mul", {"qk", "half"}, {"scaled"})
        .node("Add", {"scaled", "position"}, {"s"})
        .node("Mul", {"s", "s"}, {"p"});
    model.node("MatMul", {"p", "v"}, {"pv"})
        .node("MatMul", {"pv", "wo"}, {"o"})
        .node("Add", {"t", "o"}, {"sum"})
        .node("Reshape", {"sum", "flat"}, {"f"})
        .node("MatMul", {"f", "wd"}, {"y"});

    const auto map = conv_by_definition({2, 3, 3, 6, 2, 2, 1, 1, 0, 0, 0, 0}, image, w, b);
    Matrix t(kTokens, std::vector<double>(kChannels));
    for (std::size_t c = 0; c < kChannels; ++c)
      for (std::size_t i = 0; i < kTokens; ++i) t[i][c] = map[c * kTokens + i] * map[c * kTokens + i];
    Matrix p = product(product(t, wq), transposed(product(t, wk)));
    for (std::size_t i = 0; i < kTokens; ++i)
      for (std::size_t j = 0; j < kTokens; ++j) {
        const double s = p[i][j] * 0.5 + static_cast<double>(bias[i * kTokens + j]);
        p[i][j] = s * s;
      }
    const Matrix o = product(product(p, product(t, wv)), wo);
    Matrix f(1);
    for (std::size_t i = 0; i < kTokens; ++i)
      for (std::size_t c = 0; c < kChannels; ++c) f[0].push_back(t[i][c] + o[i][c]);
    expected = product(f, wd)[0];
  }
};

std::size_t count(const Graph& graph, OpKind kind) {
  return static_cast<std::size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) { return n.kind == kind; }));
}

TEST(Products, AttentionIsTakenAsItIsExported) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const Attention attention(seed);
    expect_computes(attention.model, attention.image, attention.expected, "attention", 2e-5);
  }
}

TEST(Products, AttentionHasNoLevelsBesidesItsProducts) {
  const Attention attention(1);
  const Graph normal = normalise_ok(import_ok(attention.model));
  // The projections of queries, keys and values, the sums of the products and the projection of the output are no
  // layers of their own.
  EXPECT_EQ(count(normal, OpKind::kConv), 1U) << to_string(normal);
  EXPECT_EQ(count(normal, OpKind::kProduct), 2U);
  const auto stages = make_stages(normal);
  ASSERT_TRUE(stages.ok()) << stages.error().to_string();
  // Convolution, map as a vector, factors of the scores, scores, factors of the values, answer.
  EXPECT_EQ(stages->ranks(), 6U) << to_string(normal);
}

TEST(Products, AttentionSlotBySlot) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    const Attention attention(seed);
    const Graph normal = normalise_ok(import_ok(attention.model));
    const auto stages = make_stages(normal);
    ASSERT_TRUE(stages.ok()) << stages.error().to_string();
    int packed = 0;
    for (const LayoutChoice& choice : enumerate_choices(*stages, 256)) {
      auto lowered = lower(*stages, 256, choice);
      if (!lowered.ok()) continue;
      ++packed;
      auto structure = lower(*stages, 256, choice, LowerDepth::kStructure);
      ASSERT_TRUE(structure.ok());
      lowered->program.parameters.digit_limbs = structure->program.parameters.digit_limbs = 1;
      for (std::size_t i = 0; i < lowered->program.instructions.size(); ++i)
        EXPECT_EQ(plan::count_cost(lowered->program, lowered->program.instructions[i]).plaintext_macs,
                  plan::count_cost(structure->program, structure->program.instructions[i]).plaintext_macs)
            << choice.describe();
      const auto got = plan::run_slots(lowered->program, attention.image);
      expect_close({got.begin(), got.end()}, attention.expected, 1e-3, choice.describe());
    }
    EXPECT_GT(packed, 3);
  }
}

// Two maps of which one is a gate of the other, read by what takes the difference of squares in, and by what does not.
Graph gated(NetBuilder& net, int reader) {
  const int start = net.conv(4, 3).quadratic().here();
  const int gate = net.conv(3, 2).here();
  net.from(start).conv(3, 2);
  net.product(gate);
  if (reader == 0) net.conv(2, 2).quadratic().dense(3);
  if (reader == 1) net.quadratic().dense(3);
  if (reader == 2) net.pool(2).dense(3);
  if (reader == 3) net.dense(3);
  return net.graph();
}

TEST(Products, AreSquaresOfSumsAndDifferences) {
  for (int reader = 0; reader < 4; ++reader) {
    SCOPED_TRACE(reader);
    NetBuilder net(static_cast<std::uint64_t>(reader) + 5, {2, 7, 7});
    const Graph graph = gated(net, reader);
    ASSERT_TRUE(validate(graph).ok());
    for (const double ratio : {0.0, 1.0, 100.0}) {  // no ranges, equal ones, unequal ones
      std::vector<NodeRange> ranges(ratio == 0 ? 0 : graph.nodes.size(), NodeRange::around_zero(1));
      for (std::size_t i = 0; i < ranges.size(); ++i)
        if (graph.nodes[i].kind == OpKind::kProduct) ranges[static_cast<std::size_t>(graph.nodes[i].inputs[0])] = NodeRange::around_zero(ratio);
      const auto squares = without_products(graph, ranges);
      ASSERT_TRUE(squares.ok()) << squares.error().to_string();
      ASSERT_TRUE(validate(squares->graph).ok()) << validate(squares->graph).error().to_string();
      EXPECT_FALSE(has_products(squares->graph));
      EXPECT_EQ(squares->ranges.size(), ranges.empty() ? 0 : squares->graph.nodes.size());
      const auto image = net.sample();
      const auto want = run_float(graph, image);
      expect_close(run_float(squares->graph, image), {want.begin(), want.end()}, 1e-4, to_string(squares->graph));
    }
  }
}

TEST(Products, OfOneSourceAreOneLayer) {
  NetBuilder net(9, {2, 7, 7});
  const auto squares = without_products(gated(net, 3), {});
  ASSERT_TRUE(squares.ok());
  EXPECT_EQ(count(squares->graph, OpKind::kConv), 2U) << to_string(squares->graph);
  EXPECT_EQ(count(squares->graph, OpKind::kAdd), 0U);
}

TEST(Products, BalanceMakesTheSquaresSmall) {
  NetBuilder net(11, {2, 7, 7});
  const Graph graph = gated(net, 3);
  std::vector<NodeRange> ranges(graph.nodes.size(), NodeRange::around_zero(1));
  int small = -1;
  for (const Node& node : graph.nodes)
    if (node.kind == OpKind::kProduct) small = node.inputs[1];
  ranges[static_cast<std::size_t>(small)] = NodeRange::around_zero(1.0 / 64);
  const auto squares = without_products(graph, ranges);
  ASSERT_TRUE(squares.ok());
  for (std::size_t i = 0; i < squares->graph.nodes.size(); ++i)
    if (squares->graph.nodes[i].name.ends_with("/factors"))
      EXPECT_NEAR(squares->ranges[i].largest(), 1.0 / 8, 1e-9);  // sqrt of the product of both
}

TEST(Products, OfProductsCostNoLevelBetween) {
  NetBuilder net(13, {4, 1, 1});
  const int start = net.dense(5).quadratic().here();
  const int first = net.dense(3).here();
  const int second = net.from(start).dense(3).here();
  const int inner = net.from(first).product(second).here();
  net.from(start).dense(3).product(inner).dense(2);
  const Graph graph = net.graph();
  const auto squares = without_products(graph, {});
  ASSERT_TRUE(squares.ok()) << squares.error().to_string();
  const auto image = net.sample();
  const auto want = run_float(graph, image);
  expect_close(run_float(squares->graph, image), {want.begin(), want.end()}, 1e-4, to_string(squares->graph));
  const auto stages = make_stages(graph);
  ASSERT_TRUE(stages.ok());
  EXPECT_EQ(stages->ranks(), 4U);  // first layer, factors, factors of the outer product, answer
}

TEST(Products, OfMoreThanCiphertextsHoldAreRefused) {
  NetBuilder net(12, {1, 1, 1});
  const int first = net.dense(9000).quadratic().here();
  net.dense(9000).quadratic().product(first).dense(1);
  const auto stages = make_stages(net.graph());
  ASSERT_FALSE(stages.ok());
  EXPECT_EQ(stages.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(stages.error().message.find("(product)"), std::string::npos) << stages.error().message;
}

// --- layers put together ----------------------------------------------------------------------------------------

/// Output k is input order[k].
DenseParams moves(const std::vector<int>& order, int inputs) {
  DenseParams dense{static_cast<int>(order.size()), inputs,
                    std::vector<float>(order.size() * static_cast<std::size_t>(inputs), 0.0F),
                    std::vector<float>(order.size(), 0.25F)};
  for (std::size_t k = 0; k < order.size(); ++k)
    dense.weights[k * static_cast<std::size_t>(inputs) + static_cast<std::size_t>(order[k])] = 2.0F;
  return dense;
}

void expect_composed(NetBuilder& net, std::size_t layers) {
  const Graph before = net.graph(), after = normalise_ok(before);
  const auto image = net.sample();
  const auto want = run_float(before, image);
  expect_close(run_float(after, image), {want.begin(), want.end()}, 1e-5, to_string(after));
  EXPECT_EQ(count(after, OpKind::kDense), layers) << to_string(after);
}

TEST(ComposeLinear, WhatOnlyMovesNumbersGoesIntoItsNeighbours) {
  NetBuilder behind(20, {6, 1, 1});  // 6 -> 4 -> 8: apart less work
  behind.dense(4).dense(moves({0, 1, 2, 3, 3, 2, 1, 0}, 4)).quadratic().dense(2);
  expect_composed(behind, 2);
  NetBuilder before(21, {6, 1, 1});
  before.dense(moves({5, 4, 3, 2, 1, 0, 0, 1}, 6)).dense(3).quadratic().dense(2);
  expect_composed(before, 2);
  NetBuilder map(22, {2, 5, 5});
  map.conv(3, 2).quadratic().conv(2, 1).dense(moves({31, 0, 16, 7}, 32)).quadratic().dense(2);
  expect_composed(map, 2);
  EXPECT_EQ(count(normalise_ok(map.graph()), OpKind::kConv), 1U);
}

TEST(ComposeLinear, ALayerThatMovesNumbersGoesIntoAllItsReadersOrNone) {
  NetBuilder net(23, {6, 1, 1});
  const int moved = net.dense(5).quadratic().dense(moves({4, 3, 2, 1, 0, 0}, 5)).here();
  const int first = net.dense(4).quadratic().here();
  net.from(moved).dense(4).quadratic().add(first).dense(2);
  expect_composed(net, 4);
  NetBuilder kept(24, {6, 1, 1});  // one reader is no layer
  const int value = kept.dense(5).quadratic().dense(moves({4, 3, 2, 1, 0, 0}, 5)).here();
  const int squared = kept.quadratic().dense(4).quadratic().here();
  kept.from(value).dense(4).quadratic().add(squared).dense(2);
  expect_composed(kept, 5);
}

TEST(ComposeLinear, SumsThatLayersTakeInAreNoValues) {
  for (const int readers : {1, 2}) {
    SCOPED_TRACE(readers);
    NetBuilder net(25, {6, 1, 1});
    const int source = net.dense(5).quadratic().here();
    const int branch = net.dense(8).quadratic().dense(5).here();
    net.from(source).add(branch);
    const int sum = net.here();
    const int first = net.dense(4).quadratic().here();
    if (readers == 2) net.from(sum).dense(4).add(first);
    net.dense(2);
    const Graph before = net.graph(), after = normalise_ok(before);
    const auto image = net.sample();
    const auto want = run_float(before, image);
    expect_close(run_float(after, image), {want.begin(), want.end()}, 1e-5, to_string(after));
    EXPECT_TRUE(std::none_of(after.nodes.begin(), after.nodes.end(), [&](const Node& n) {
      return n.name == before.nodes[static_cast<std::size_t>(branch)].name;
    })) << to_string(after);
  }
}

TEST(FlattenMaps, KeepsTheFunction) {
  for (const bool linear :
       {true, false}) {  // a convolution is written out, an activation has a layer of its own behind it
    NetBuilder net(26, {2, 6, 6});
    net.conv(3, 2).quadratic().conv(4, 2);
    if (!linear) net.quadratic();
    const int map = net.here();
    const int wide = net.dense(160).quadratic().here();
    net.from(map).dense(160).quadratic().add(wide).dense(3);
    Graph graph = net.graph();
    std::vector<NodeRange> ranges(graph.nodes.size(), NodeRange::around_zero(2));
    const auto image = net.sample();
    const auto want = run_float(graph, image);
    const std::size_t before = graph.nodes.size();
    flatten_maps(graph, ranges);
    ASSERT_TRUE(validate(graph).ok()) << validate(graph).error().to_string();
    EXPECT_EQ(graph.nodes.size(), before + (linear ? 0 : 1)) << to_string(graph);
    EXPECT_EQ(count(graph, OpKind::kConv), linear ? 1U : 2U);
    EXPECT_EQ(ranges.size(), graph.nodes.size());
    expect_close(run_float(graph, image), {want.begin(), want.end()}, 1e-5, to_string(graph));
  }
}

}  // namespace
}  // namespace brainlock::compiler
