#include "brainlock/compiler/graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace brainlock::compiler {
namespace {

using testing::HasSubstr;

// input 2x4x4 -> conv 3x2x2 -> quadratic -> pool 3x1x1 -> dense 2, with a sum of the convolution with itself to the
// side.
Graph small_graph() {
  Graph g;
  g.model_name = "small";
  g.nodes.push_back({OpKind::kInput, "x", {}, {2, 4, 4}, {}});
  ConvParams conv;
  conv.out_channels = 3, conv.in_channels = 2, conv.kernel_h = conv.kernel_w = 3;
  conv.weights.assign(54, 0.5f), conv.bias.assign(3, 0.0f);
  g.nodes.push_back({OpKind::kConv, "conv", {0}, {3, 2, 2}, conv});
  g.nodes.push_back({OpKind::kAdd, "sum", {1, 1}, {3, 2, 2}, {}});
  g.nodes.push_back({OpKind::kQuadratic, "act", {2}, {3, 2, 2}, QuadraticParams{{1, 1, 1}, {0, 0, 0}, {0, 0, 0}}});
  g.nodes.push_back({OpKind::kPolynomial, "cubic", {3}, {3, 2, 2}, PolynomialParams{{{0}, {1}, {0}, {0.1}}}});
  g.nodes.push_back({OpKind::kAveragePool, "pool", {4}, {3, 1, 1}, PoolParams{2, 2, 2, 2}});
  g.nodes.push_back({OpKind::kDense, "dense", {5}, {2, 1, 1}, DenseParams{2, 3, std::vector<float>(6, 1.0f), {0, 0}}});
  g.output = 6;
  return g;
}

TEST(Graph, AGraphThatKeepsTheRulesIsValid) {
  const Graph g = small_graph();
  EXPECT_TRUE(validate(g).ok()) << validate(g).error().to_string();
  EXPECT_EQ(consumers(g)[1], (std::vector<int>{2, 2}));
  EXPECT_EQ(multiply_accumulates(g), 12u * 18 + 2 * 12 + 3 * 12 + 3 * 4 + 6);
  EXPECT_THAT(to_string(g), HasSubstr("1 conv: conv 3x2x2 <- 0 kernel 3x3"));
}

TEST(Graph, EveryBrokenRuleIsNamed) {
  struct Case {
    const char* says;
    std::function<void(Graph&)> spoil;
  };
  const auto conv = [](Graph& g) -> ConvParams& { return std::get<ConvParams>(g.nodes[1].params); };
  const Case cases[] = {
      {"without nodes", [](Graph& g) { g.nodes.clear(); }},
      {"output", [](Graph& g) { g.output = 7; }},
      {"output", [](Graph& g) { g.output = -1; }},
      {"twice", [](Graph& g) { g.nodes[2].name = "conv"; }},
      {"node 0", [](Graph& g) { g.nodes[0].kind = OpKind::kAdd; }},
      {"node 0", [](Graph& g) { g.nodes[3].kind = OpKind::kInput; }},
      {"number of inputs", [](Graph& g) { g.nodes[2].inputs = {1}; }},
      {"come before",
       [](Graph& g) {
         g.nodes[2].inputs = {1, 2};
       }},
      {"come before",
       [](Graph& g) {
         g.nodes[2].inputs = {1, -1};
       }},
      {"out of range",
       [](Graph& g) {
         g.nodes[0].shape = {0, 4, 4};
       }},
      {"out of range",
       [](Graph& g) {
         g.nodes[0].shape = {1 << 20, 1 << 20, 1};
       }},
      {"another kind", [](Graph& g) { g.nodes[1].params = PoolParams{}; }},
      {"another kind", [](Graph& g) { g.nodes[2].params = PoolParams{}; }},
      {"three shapes",
       [](Graph& g) {
         g.nodes[2].inputs = {0, 1};
       }},
      {"channels", [&](Graph& g) { conv(g).in_channels = 3; }},
      {"kernel", [&](Graph& g) { conv(g).kernel_h = 5; }},
      {"stride", [&](Graph& g) { conv(g).stride_w = 0; }},
      {"padding", [&](Graph& g) { conv(g).pad_left = -1; }},
      {"output shape", [&](Graph& g) { conv(g).pad_left = 1; }},
      {"number of weights", [&](Graph& g) { conv(g).weights.pop_back(); }},
      {"number of biases", [&](Graph& g) { conv(g).bias.push_back(0); }},
      {"finite", [&](Graph& g) { conv(g).weights[7] = std::numeric_limits<float>::infinity(); }},
      {"keeps its shape",
       [](Graph& g) {
         g.nodes[3].shape = {3, 1, 1};
       }},
      {"coefficients", [](Graph& g) { std::get<QuadraticParams>(g.nodes[3].params).b.pop_back(); }},
      {"finite",
       [](Graph& g) { std::get<QuadraticParams>(g.nodes[3].params).c[0] = std::numeric_limits<float>::quiet_NaN(); }},
      {"degree below 3",
       [](Graph& g) {
         std::get<PolynomialParams>(g.nodes[4].params).coefficients = {{1}, {2}, {3}};
       }},
      {"window", [](Graph& g) { std::get<PoolParams>(g.nodes[5].params).kernel_h = 3; }},
      {"positive", [](Graph& g) { std::get<PoolParams>(g.nodes[5].params).stride_h = 0; }},
      {"features", [](Graph& g) { std::get<DenseParams>(g.nodes[6].params).in_features = 4; }},
      {"vector",
       [](Graph& g) {
         g.nodes[6].shape = {1, 2, 1};
       }},
  };
  for (const Case& c : cases) {
    Graph g = small_graph();
    c.spoil(g);
    const Status status = validate(g);
    ASSERT_FALSE(status.ok()) << c.says;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(status.error().message, HasSubstr(c.says));
  }
}

TEST(Graph, DeadNodesGoAndOrderIsRestored) {
  Graph g = small_graph();
  g.nodes.push_back({OpKind::kAdd, "dead", {1, 2}, {3, 2, 2}, {}});
  std::swap(g.nodes[3], g.nodes[7]);  // "act" behind everything that reads it
  for (Node& node : g.nodes) {
    for (int& input : node.inputs) {
      if (input == 3) input = 7;
    }
  }
  g = without_dead_nodes(std::move(g));
  EXPECT_EQ(g.nodes.size(), 7u);
  EXPECT_EQ(g.output, 6);
  EXPECT_TRUE(validate(g).ok()) << validate(g).error().to_string();
}

}  // namespace
}  // namespace brainlock::compiler
