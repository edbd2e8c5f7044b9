// What is made of chosen and joined elements: layers of their own for as few of them as can be; and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "select_net.hpp"
#include "stages.hpp"

namespace brainlock::compiler {
namespace {

using namespace by_definition;
using testing::HasSubstr;

constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();

std::string refusal_of(const OnnxBuilder& model) {
  auto graph = import_onnx(model.bytes());
  EXPECT_FALSE(graph.ok());
  return graph.ok() ? "" : graph.error().message;
}

std::size_t count(const Graph& graph, OpKind kind) {
  return static_cast<std::size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) { return n.kind == kind; }));
}

TEST(SelectedLayers, OutputsOfADenseLayerAreALayerOfTheirRows) {
  for (const Source source : {Source::kDense, Source::kNormalised, Source::kQuadratic}) {
    Net net(13, 8, {1, 4, 6}, source);
    net.model.integers("sizes", {3}, {1, 3, 2})
        .node("Split", {"s", "sizes"}, {"a", "b", "c"}, {{"axis", std::int64_t{-1}}});
    net.expect("b", taken(net.s, 2, {1, 2, 3}), "rows");
    const Graph graph = import_ok(net.model), normal = normalise_ok(graph);
    ASSERT_EQ(count(graph, OpKind::kDense), 2U)
        << to_string(graph);  // the chosen rows and the answer: the rest is not computed
    EXPECT_EQ(graph.nodes[1].kind, OpKind::kDense);
    EXPECT_EQ(graph.nodes[1].dense().out_features, 12);
    EXPECT_EQ(count(graph, OpKind::kQuadratic), source == Source::kQuadratic ? 2U : 1U) << to_string(graph);
    EXPECT_EQ(normal.nodes.size(), source == Source::kQuadratic ? 4U : 2U) << to_string(normal);
  }
}

TEST(SelectedLayers, ChannelsOfAConvolutionAreAConvolution) {
  Net net(13, 9, {1, 6, 5, 5}, Source::kConv);
  net.model.node("Mul", {"s", "s"}, {"q"}).node("Split", {"q"}, {"a", "b", "c"}, {{"axis", std::int64_t{1}}});
  const Tensor w = net.constant("k", {1, 2, 2, 2});
  net.model.node("Conv", {"b", "k"}, {"d"});  // maps stay maps
  const Tensor b = taken(combined(net.s, net.s, std::multiplies<>()), 1, {2, 3});
  net.expect("d",
             made({1, 1, 4, 4},
                  [&](const Ints& i) {
                    double sum = 0;
                    for_each_index({2, 2, 2}, [&](const Ints& k) {
                      sum += at(w, {0, k[0], k[1], k[2]}) * at(b, {0, k[0], i[2] + k[1], i[3] + k[2]});
                    });
                    return sum;
                  }),
             "channels");
  const Graph graph = import_ok(net.model);
  EXPECT_EQ(count(graph, OpKind::kConv), 3U) << to_string(graph);
  EXPECT_EQ(graph.nodes[2].shape, (TensorShape{2, 5, 5})) << to_string(graph);
}

// A part of a map is a map, which convolutions may follow; and joined rows and columns are one.
TEST(SelectedLayers, PartsOfMapsAreMaps) {
  Net net(13, 10, {1, 3, 6, 6}, Source::kConv);
  net.model.integers("starts", {2}, {1, 2})
      .integers("ends", {2}, {5, 6})
      .integers("axes", {2}, {2, 3})
      .integers("flip", {3}, {2, 0, 2});
  net.model.node("Slice", {"s", "starts", "ends", "axes"}, {"c"})
      .node("Gather", {"c", "flip"}, {"g"}, {{"axis", std::int64_t{1}}});
  net.model.node("Concat", {"g", "g"}, {"j"}, {{"axis", std::int64_t{3}}});
  const Tensor w = net.constant("k", {1, 3, 4, 8});
  net.model.node("Conv", {"j", "k"}, {"d"});
  const Tensor g = taken(taken(taken(net.s, 2, {1, 2, 3, 4}), 3, {2, 3, 4, 5}), 1, {2, 0, 2}), j = joined({g, g}, 3);
  double sum = 0;
  for (std::size_t e = 0; e < j.v.size(); ++e) sum += j.v[e] * w.v[e];
  net.expect("d", {{1}, {sum}}, "maps");
  // A dense layer takes what only cuts: the map is no value.
  Net dense(13, 11, {1, 3, 6, 6}, Source::kConv);
  dense.model.node("Mul", {"s", "s"}, {"q"})
      .integers("starts", {2}, {1, 2})
      .integers("ends", {2}, {5, 6})
      .integers("axes", {2}, {2, 3});
  dense.model.node("Slice", {"q", "starts", "ends", "axes"}, {"c"});
  const Tensor q = combined(dense.s, dense.s, std::multiplies<>());
  dense.expect("c", taken(taken(q, 2, {1, 2, 3, 4}), 3, {2, 3, 4, 5}), "cut");
  EXPECT_EQ(count(import_ok(dense.model), OpKind::kConv), 3U);
  const Graph normal = normalise_ok(import_ok(dense.model));
  EXPECT_EQ(count(normal, OpKind::kConv), 2U) << to_string(normal);
}

// The same map cut out for two layers is still no value.
TEST(SelectedLayers, ACutGoesIntoAllItsReaders) {
  Net net(13, 15, {1, 2, 4, 4}, Source::kConv);
  const Tensor a = net.constant("a", {12, 2}), b = net.constant("b", {12, 2});
  net.model.node("Mul", {"s", "s"}, {"q"})
      .integers("start", {1}, {1})
      .integers("end", {1}, {4})
      .integers("axis", {1}, {3});
  net.model.node("Slice", {"q", "start", "end", "axis"}, {"c"})
      .integers("rows", {2}, {2, 12})
      .node("Reshape", {"c", "rows"}, {"f"});
  net.model.node("MatMul", {"f", "a"}, {"u"}).node("MatMul", {"f", "b"}, {"v"}).node("Mul", {"u", "v"}, {"p"});
  const Tensor f = reshaped(taken(combined(net.s, net.s, std::multiplies<>()), 3, {1, 2, 3}), {2, 12});
  net.expect("p", combined(product(f, a), product(f, b), std::multiplies<>()), "readers");
  const Graph normal = normalise_ok(import_ok(net.model));
  EXPECT_EQ(count(normal, OpKind::kConv), 2U) << to_string(normal);
}

// Orders alone are no layers.
TEST(SelectedLayers, APermutationIsAView) {
  Net net(13, 12, {1, 4, 3}, Source::kSum);
  net.model.integers("order", {4}, {2, 0, 3, -3}).node("Gather", {"s", "order"}, {"g"}, {{"axis", std::int64_t{1}}});
  net.expect("g", taken(net.s, 1, {2, 0, 3, 1}), "permutation");
  EXPECT_EQ(count(import_ok(net.model), OpKind::kDense), 3U);
}

// Vectors joined cost no level.
TEST(SelectedLayers, JoinedVectorsAreNoLevel) {
  for (const bool join : {false, true}) {
    OnnxBuilder m;
    Rng rng(13);
    m.input("x", {1, 4})
        .output("y")
        .reals("a", {4, 3}, random_reals(rng, 12))
        .reals("b", {4, 3}, random_reals(rng, 12))
        .reals("c", {1, 2}, {1, 2});
    m.reals("d", {8, 2}, random_reals(rng, 16)).reals("e", {4, 8}, random_reals(rng, 32));
    m.node("MatMul", {"x", "a"}, {"u"})
        .node("MatMul", {"x", "b"}, {"v"})
        .node("Concat", {"u", "c", "v"}, {"j"}, {{"axis", std::int64_t{1}}});
    m.node("MatMul", {"x", "e"}, {"plain"});
    m.node("Mul", {join ? "j" : "plain", join ? "j" : "plain"}, {"q"}).node("MatMul", {"q", "d"}, {"y"});
    const auto stages = make_stages(normalise_ok(import_ok(m)));
    ASSERT_TRUE(stages.ok()) << stages.error().to_string();
    EXPECT_EQ(stages->ranks(), 2U);
  }
}

// --- what is refused
// ----------------------------------------------------------------------------------------------------

TEST(SelectedLayers, WhatIsNoConstantChoiceSaysWhy) {
  struct Bad {
    const char* what;
    void (*write)(OnnxBuilder&);
    const char* says;
  };
  const Bad cases[] = {
      {"indices of the input",
       [](OnnxBuilder& m) {
         m.reals("table", {9, 2}, std::vector<float>(18, 1.0F)).node("Gather", {"table", "x"}, {"y"});
       },
       "look-up"},
      {"indices that depend on the input",
       [](OnnxBuilder& m) {
         m.node("Gather", {"x", "x"}, {"y"});
       },
       "depend on the input"},
      {"real indices",
       [](OnnxBuilder& m) {
         m.reals("i", {1}, {1}).node("Gather", {"x", "i"}, {"y"});
       },
       "no integers"},
      {"an index too far",
       [](OnnxBuilder& m) {
         m.integers("i", {}, {4}).node("Gather", {"x", "i"}, {"y"}, {{"axis", std::int64_t{1}}});
       },
       "element 4 of 4"},
      {"an index too low",
       [](OnnxBuilder& m) {
         m.integers("i", {}, {-5}).node("Gather", {"x", "i"}, {"y"}, {{"axis", std::int64_t{1}}});
       },
       "element -5 of 4"},
      {"no index",
       [](OnnxBuilder& m) {
         m.integers("i", {0}, {}).node("Gather", {"x", "i"}, {"y"});
       },
       "nothing"},
      {"too many axes",
       [](OnnxBuilder& m) {
         m.integers("i", {1, 1, 1, 1, 1, 1}, {0}).node("Gather", {"x", "i"}, {"y"});
       },
       "out of proportion"},
      {"an axis too far",
       [](OnnxBuilder& m) {
         m.integers("i", {}, {0}).node("Gather", {"x", "i"}, {"y"}, {{"axis", std::int64_t{4}}});
       },
       "axis 4"},
      {"places of the input",
       [](OnnxBuilder& m) {
         m.integers("i", {1, 4, 8, 8}, Ints(256, 0)).node("GatherElements", {"x", "i"}, {"y"});
       },
       "lists of their places"},
      {"parts that do not add up",
       [](OnnxBuilder& m) {
         m.integers("p", {2}, {1, 2}).node("Split", {"x", "p"}, {"y", "z"}, {{"axis", std::int64_t{1}}});
       },
       "add up"},
      {"parts that overflow",
       [](OnnxBuilder& m) {
         m.integers("p", {3}, {kFar, kFar, 6}).node("Split", {"x", "p"}, {"y", "z", "u"}, {{"axis", std::int64_t{1}}});
       },
       "add up"},
      {"an empty part",
       [](OnnxBuilder& m) {
         m.integers("p", {2}, {0, 4}).node("Split", {"x", "p"}, {"y", "z"}, {{"axis", std::int64_t{1}}});
       },
       "add up"},
      {"more parts than outputs",
       [](OnnxBuilder& m) {
         m.integers("p", {2}, {2, 2}).node("Split", {"x", "p"}, {"y"}, {{"axis", std::int64_t{1}}});
       },
       "outputs"},
      {"unequal parts",
       [](OnnxBuilder& m) {
         m.node("Split", {"x"}, {"y", "z", "u"}, {{"axis", std::int64_t{1}}});
       },
       "equal parts"},
      {"five parts of four",
       [](OnnxBuilder& m) {
         m.node("Split", {"x"}, {"y", "z", "u", "v", "w"},
                {{"axis", std::int64_t{1}}, {"num_outputs", std::int64_t{5}}});
       },
       "equal parts"},
      {"parts of the input",
       [](OnnxBuilder& m) {
         m.node("Split", {"x", "x"}, {"y", "z"});
       },
       "no constant"},
      {"split of another type",
       [](OnnxBuilder& m) {
         m.node("Split", {"x"}, {"y", "z"}, {{"split", std::int64_t{2}}});
       },
       "wrong type"},
      {"a cut of nothing",
       [](OnnxBuilder& m) {
         m.integers("s", {1}, {9})
             .integers("e", {1}, {12})
             .integers("a", {1}, {2})
             .node("Slice", {"x", "s", "e", "a"}, {"y"});
       },
       "nothing"},
      {"a cut by the input",
       [](OnnxBuilder& m) {
         m.integers("s", {1}, {0}).node("Slice", {"x", "s", "x"}, {"y"});
       },
       "no constant"},
      {"other sizes",
       [](OnnxBuilder& m) {
         m.node("GlobalAveragePool", {"x"}, {"p"}).node("Concat", {"x", "p"}, {"y"}, {{"axis", std::int64_t{1}}});
       },
       "joins"},
      {"other ranks",
       [](OnnxBuilder& m) {
         m.reals("c", {4}, {1, 2, 3, 4}).node("Concat", {"x", "c"}, {"y"}, {{"axis", std::int64_t{1}}});
       },
       "joins"},
      {"no axis",
       [](OnnxBuilder& m) {
         m.node("Concat", {"x", "x"}, {"y"});
       },
       "axis"},
      {"a shape of the input",
       [](OnnxBuilder& m) {
         m.node("Expand", {"x", "x"}, {"y"});
       },
       "no constant"},
      {"another shape",
       [](OnnxBuilder& m) {
         m.integers("to", {2}, {3, 8}).node("Expand", {"x", "to"}, {"y"});
       },
       "broadcast"},
      {"a negative shape",
       [](OnnxBuilder& m) {
         m.integers("to", {1}, {-8}).node("Expand", {"x", "to"}, {"y"});
       },
       "broadcast"},
      {"a single number",
       [](OnnxBuilder& m) {
         m.integers("none", {0}, {})
             .node("GlobalAveragePool", {"x"}, {"p"})
             .integers("i", {}, {0})
             .node("Gather", {"p", "i"}, {"c"}, {{"axis", std::int64_t{1}}});
         m.node("Reshape", {"c", "none"}, {"n"}).reals("w", {1, 1}, {1}).node("MatMul", {"n", "w"}, {"y"});
       },
       "single number"},
  };
  for (const Bad& bad : cases) {
    OnnxBuilder m(18);
    m.input("x", {-1, 4, 8, 8}).output("y");
    bad.write(m);
    const std::string message = refusal_of(m);
    EXPECT_THAT(message, HasSubstr(bad.says)) << bad.what;
    EXPECT_THAT(message, HasSubstr("instead: ")) << bad.what;
  }
}

TEST(SelectedLayers, SmallFilesMakeNoLargeConstants) {
  OnnxBuilder repeated;  // 64 numbers 2^19 times
  repeated.input("x", {1, 1, 8, 8})
      .output("y")
      .integers("to", {4}, {1, 1 << 19, 8, 8})
      .node("Expand", {"x", "to"}, {"y"});
  EXPECT_THAT(refusal_of(repeated), HasSubstr("out of proportion"));
  OnnxBuilder table;
  table.input("x", {1, 2}).output("y").reals("t", {1, 1}, {1}).integers("to", {3}, {1 << 13, 1 << 13, 1 << 13});
  table.node("Expand", {"t", "to"}, {"e"}).node("Add", {"x", "e"}, {"y"});
  EXPECT_THAT(refusal_of(table), HasSubstr("out of proportion"));
  OnnxBuilder doubled;  // 2^40 in the end
  doubled.input("x", {1, 2}).output("t40");
  for (int i = 0; i < 40; ++i) {
    const std::string from = i == 0 ? "x" : numbered("t", static_cast<std::size_t>(i));
    doubled.node("Concat", {from, from}, {numbered("t", static_cast<std::size_t>(i) + 1)}, {{"axis", std::int64_t{1}}});
  }
  EXPECT_THAT(refusal_of(doubled), HasSubstr("out of proportion"));
  OnnxBuilder wide;  // 10,000 times all the rows of one layer but one
  Rng rng(14);
  wide.input("x", {1, 64}).reals("w", {64, 64}, random_reals(rng, 4096)).node("MatMul", {"x", "w"}, {"s"});
  wide.integers("starts", {1}, {1}).integers("ends", {1}, {64}).integers("axes", {1}, {1});
  for (std::size_t i = 0; i < 4000; ++i) wide.node("Slice", {"s", "starts", "ends", "axes"}, {numbered("c", i)});
  for (std::size_t i = 0; i < 4000; ++i)
    wide.node("Add", {i == 0 ? std::string("c0") : numbered("a", i - 1), numbered("c", i)}, {numbered("a", i)});
  wide.output("a3999");
  (void)import_onnx(wide.bytes());  // taken or refused, in little memory
  OnnxBuilder many;                 // a hundred thousand parts
  std::vector<std::string> parts(100'000, "s");
  many.input("x", {1, 1})
      .output("y")
      .reals("s", {1, 1}, {2})
      .node("Concat", parts, {"c"}, {{"axis", std::int64_t{1}}})
      .node("Add", {"x", "c"}, {"y"});
  EXPECT_THAT(refusal_of(many), HasSubstr("broadcast"));
  OnnxBuilder empty;  // no elements in very many places
  empty.input("x", {1, 1})
      .output("y")
      .integers("to", {3}, {2'000'000'000, 1, 0})
      .node("ConstantOfShape", {"to"}, {"e"});
  empty.integers("i", {1}, {0})
      .node("Gather", {"e", "i"}, {"g"}, {{"axis", std::int64_t{1}}})
      .node("Add", {"x", "g"}, {"y"});
  EXPECT_THAT(refusal_of(empty), HasSubstr("no elements"));
}

}  // namespace
}  // namespace brainlock::compiler
