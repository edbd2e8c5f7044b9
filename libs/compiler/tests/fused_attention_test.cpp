// Attention of several heads with one projection for queries, keys and values, in the forms in which exporters write
// it: each computes what plain loops compute, and costs what three projections cost.
#include <gtest/gtest.h>

#include "brainlock/plan/slot_interpreter.hpp"
#include "lowering.hpp"
#include "onnx_expect.hpp"
#include "stages.hpp"
#include "tensor_by_definition.hpp"

namespace brainlock::compiler {
namespace {

using namespace by_definition;
using Ints = std::vector<std::int64_t>;

enum class Form {
  kSeparate,     ///< three projections
  kGather,       ///< Reshape to [1, T, 3, h, k], Transpose to [3, 1, h, T, k], Gather of 0, 1, 2 (timm)
  kUnbind,       ///< the same with Split and Squeeze
  kSlice,        ///< the same with Slice and Squeeze
  kSplit,        ///< Split along the last axis, Reshape and Transpose for each
  kTokensFirst,  ///< nn.MultiheadAttention: [T, 1, F], heads as batch, Gemm
};
constexpr Form kForms[] = {Form::kSeparate, Form::kGather, Form::kUnbind,
                           Form::kSlice,    Form::kSplit,  Form::kTokensFirst};

/// What the tokens are, and what is read of them.
enum class Tokens {
  kOfMap,      ///< the positions of a map
  kWithClass,  ///< a class token in front, which is read in the end
  kMean        ///< numbers for each position added, and the mean over the tokens
};
constexpr Tokens kTokens[] = {Tokens::kOfMap, Tokens::kWithClass, Tokens::kMean};

/// An image, a convolution, squares, tokens, a block of attention with squared scores and what goes past it, and a
/// head.
class Net {
 public:
  static constexpr std::int64_t kHeads = 2, kEach = 2, kFeatures = 4;

  Net(unsigned seed, Form form, Tokens tokens) : model(13), rng_(seed), form_(form) {
    image = random_reals(rng_, 8, 0, 1);
    model.input("x", {1, 2, 2, 2})
        .output("y")
        .integers("zero", {1}, {0})
        .integers("one", {1}, {1})
        .integers("two", {1}, {2})
        .integers("three", {1}, {3});
    const Tensor w = constant("w", {3, 2, 1, 1}), v = constant("v", {kFeatures, 3, 1, 1});
    integers("flat", {1, kFeatures, 4});
    model.node("Conv", {"x", "w"}, {"c"})
        .node("Mul", {"c", "c"}, {"cc"})
        .node("Conv", {"cc", "v"}, {"m"})
        .node("Reshape", {"m", "flat"}, {"r"});
    model.node("Transpose", {"r"}, {"t0"}, {{"perm", Ints{0, 2, 1}}});
    Tensor c = product(reshaped(w, {3, 2}), Tensor{{2, 4}, {image.begin(), image.end()}});
    c = combined(c, c, std::multiplies<>());
    Tensor t = transposed(reshaped(product(reshaped(v, {kFeatures, 3}), c), {1, kFeatures, 4}), {0, 2, 1});
    std::string last = "t0";
    if (tokens == Tokens::kWithClass) {
      const Tensor token = constant("token", {1, 1, kFeatures});
      integers("batch", {1, 1, 1});
      model.node("Expand", {"token", "batch"}, {"expanded"})
          .node("Concat", {"expanded", last}, {"tokens"}, {{"axis", std::int64_t{1}}});
      t = joined({token, t}, 1);
      last = "tokens";
    }
    if (tokens != Tokens::kOfMap) {
      const Tensor p = constant("positions", {1, t.dims[1], kFeatures});
      model.node("Add", {last, "positions"}, {"placed"});
      t = combined(t, p, std::plus<>());
      last = "placed";
    }
    count_ = t.dims[1];
    t = combined(t, attention(last, t), std::plus<>());
    model.node("Add", {last, "attended"}, {"block"});
    if (tokens == Tokens::kWithClass) {
      model.integers("class_at", {}, {0}).node("Gather", {"block", "class_at"}, {"read"}, {{"axis", std::int64_t{1}}});
      t = reshaped(taken(t, 1, {0}), {1, kFeatures});
    } else if (tokens == Tokens::kMean) {
      model.node("ReduceMean", {"block"}, {"read"}, {{"axes", Ints{1}}, {"keepdims", std::int64_t{0}}});
      const Tensor all = t;
      t = made({1, kFeatures}, [&](const Ints& i) {
        double sum = 0;
        for (std::int64_t k = 0; k < count_; ++k) sum += at(all, {0, k, i[1]});
        return sum / static_cast<double>(count_);
      });
    } else {
      model.node("Flatten", {"block"}, {"read"});
      t = reshaped(t, {1, count_ * kFeatures});
    }
    const Tensor head = constant("head", {t.dims[1], 3});
    model.node("MatMul", {"read", "head"}, {"y"});
    expected = product(t, head).v;
  }

  OnnxBuilder model;
  std::vector<float> image;
  std::vector<double> expected;

 private:
  Tensor constant(const std::string& name, const Ints& dims) {
    const auto values = random_reals(rng_, static_cast<std::size_t>(count_of(dims)));
    model.reals(name, dims, values);
    return {dims, {values.begin(), values.end()}};
  }
  void integers(const std::string& name, const Ints& values) {
    model.integers(name, {static_cast<std::int64_t>(values.size())}, values);
  }
  void floats(const std::string& name, const Tensor& t) { model.reals(name, t.dims, {t.v.begin(), t.v.end()}); }

  // [1, T, F] to "attended" of the same dims.
  Tensor attention(const std::string& tokens, const Tensor& t) {
    const Tensor w = constant("qkv_weights", {kFeatures, 3 * kFeatures}), b = constant("qkv_bias", {3 * kFeatures});
    const Tensor wo = constant("out_weights", {kFeatures, kFeatures}), bo = constant("out_bias", {kFeatures});
    model.reals("scale", {}, {0.5F});
    if (form_ == Form::kTokensFirst) {
      write_tokens_first(tokens, wo);
    } else {
      write_heads(tokens, w, b);
      model.node("Mul", {"q", "scale"}, {"qs"}).node("Transpose", {"k"}, {"kt"}, {{"perm", Ints{0, 1, 3, 2}}});
      model.node("MatMul", {"qs", "kt"}, {"scores"})
          .node("Mul", {"scores", "scores"}, {"squares"})
          .node("MatMul", {"squares", "v_"}, {"heads"});
      integers("joined", {1, count_, kFeatures});
      model.node("Transpose", {"heads"}, {"turned"}, {{"perm", Ints{0, 2, 1, 3}}})
          .node("Reshape", {"turned", "joined"}, {"o"});
      model.node("MatMul", {"o", "out_weights"}, {"projected"}).node("Add", {"projected", "out_bias"}, {"attended"});
    }
    Tensor out{{1, count_, kFeatures}, {}};
    const Tensor all = combined(product(t, w), b, std::plus<>());
    for_each_index(out.dims, [&](const Ints& i) {
      const std::int64_t first = i[2] / kEach * kEach;  // of the head's features
      double sum = 0;
      for (std::int64_t j = 0; j < count_; ++j) {
        double score = 0;
        for (std::int64_t k = first; k < first + kEach; ++k)
          score += 0.5 * at(all, {0, i[1], k}) * at(all, {0, j, kFeatures + k});
        sum += score * score * at(all, {0, j, 2 * kFeatures + i[2]});
      }
      out.v.push_back(sum);
    });
    return combined(product(out, wo), bo, std::plus<>());
  }

  // "q", "k" and "v_" of [1, h, T, k].
  void write_heads(const std::string& tokens, const Tensor& w, const Tensor& b) {
    const std::vector<std::string> names{"q", "k", "v_"};
    integers("one_head_each", {1, count_, kHeads, kEach});
    if (form_ == Form::kSeparate) {
      for (std::size_t n = 0; n < 3; ++n) {
        Ints columns(static_cast<std::size_t>(kFeatures));
        std::iota(columns.begin(), columns.end(), static_cast<std::int64_t>(n) * kFeatures);
        floats(names[n] + "_weights", taken(w, 1, columns));
        floats(names[n] + "_bias", taken(b, 0, columns));
        model.node("MatMul", {tokens, names[n] + "_weights"}, {names[n] + "0"})
            .node("Add", {names[n] + "0", names[n] + "_bias"}, {names[n] + "1"});
      }
    } else {
      model.node("MatMul", {tokens, "qkv_weights"}, {"qkv0"}).node("Add", {"qkv_bias", "qkv0"}, {"qkv"});
    }
    if (form_ == Form::kSplit) {
      integers("thirds", {kFeatures, kFeatures, kFeatures});
      model.node("Split", {"qkv", "thirds"}, {"q1", "k1", "v_1"}, {{"axis", std::int64_t{-1}}});
    }
    if (form_ == Form::kSplit || form_ == Form::kSeparate) {
      for (const std::string& name : names)
        model.node("Reshape", {name + "1", "one_head_each"}, {name + "2"})
            .node("Transpose", {name + "2"}, {name}, {{"perm", Ints{0, 2, 1, 3}}});
      return;
    }
    integers("five", {1, count_, 3, kHeads, kEach});
    model.node("Reshape", {"qkv", "five"}, {"parts"})
        .node("Transpose", {"parts"}, {"first"}, {{"perm", Ints{2, 0, 3, 1, 4}}});
    if (form_ == Form::kUnbind) model.node("Split", {"first"}, {"q3", "k3", "v_3"}, {{"axis", std::int64_t{0}}});
    const std::vector<std::string> places{"zero", "one", "two", "three"};
    for (std::size_t n = 0; n < 3; ++n) {
      if (form_ == Form::kGather) {
        model.integers(names[n] + "_at", {}, {static_cast<std::int64_t>(n)})
            .node("Gather", {"first", names[n] + "_at"}, {names[n]}, {{"axis", std::int64_t{0}}});
      } else {
        if (form_ == Form::kSlice) model.node("Slice", {"first", places[n], places[n + 1], "zero"}, {names[n] + "3"});
        model.node("Squeeze", {names[n] + "3", "zero"}, {names[n]});
      }
    }
  }

  // Tokens in front, heads as a batch, the last projection as Gemm of [T, F].
  void write_tokens_first(const std::string& tokens, const Tensor& wo) {
    floats("out_turned", transposed(wo, {1, 0}));
    integers("in_three", {count_, 1, 3, kFeatures});
    integers("heads_in", {count_, kHeads, kEach});
    integers("rows", {count_, kFeatures});
    integers("rows_back", {count_, 1, kFeatures});
    integers("axis_-2", {-2});
    model.node("Transpose", {tokens}, {"tf"}, {{"perm", Ints{1, 0, 2}}})
        .node("MatMul", {"tf", "qkv_weights"}, {"qkv0"})
        .node("Add", {"qkv0", "qkv_bias"}, {"qkv"});
    model.node("Reshape", {"qkv", "in_three"}, {"u"})
        .node("Unsqueeze", {"u", "zero"}, {"u1"})
        .node("Transpose", {"u1"}, {"u2"}, {{"perm", Ints{3, 1, 2, 0, 4}}});
    model.node("Squeeze", {"u2", "axis_-2"}, {"u3"});  // [3, T, 1, F]
    for (const std::string name : {"q", "k", "v_"}) {
      model.integers(name + "_at", {},
                     {name == "q"   ? 0
                      : name == "k" ? 1
                                    : 2})
          .node("Gather", {"u3", name + "_at"}, {name + "0"}, {{"axis", std::int64_t{0}}});
      model.node("Reshape", {name + "0", "heads_in"}, {name + "1"})
          .node("Transpose", {name + "1"}, {name}, {{"perm", Ints{1, 0, 2}}});
    }
    model.node("Mul", {"q", "scale"}, {"qs"}).node("Transpose", {"k"}, {"kt"}, {{"perm", Ints{0, 2, 1}}});
    model.node("MatMul", {"qs", "kt"}, {"scores"})
        .node("Mul", {"scores", "scores"}, {"squares"})
        .node("MatMul", {"squares", "v_"}, {"heads"});
    model.node("Transpose", {"heads"}, {"turned"}, {{"perm", Ints{1, 0, 2}}})
        .node("Reshape", {"turned", "rows"}, {"o"});
    model.node("Gemm", {"o", "out_turned", "out_bias"}, {"g"}, {{"transB", std::int64_t{1}}})
        .node("Reshape", {"g", "rows_back"}, {"back"});
    model.node("Transpose", {"back"}, {"attended"}, {{"perm", Ints{1, 0, 2}}});
  }

  Rng rng_;
  Form form_;
  std::int64_t count_ = 0;  // of tokens
};

std::string named(Form form, Tokens tokens) {
  return numbered(numbered("form ", static_cast<std::size_t>(form)) + " tokens ", static_cast<std::size_t>(tokens));
}

TEST(FusedAttention, IsTakenAsItIsExported) {
  for (const Tokens tokens : kTokens)
    for (const Form form : kForms)
      for (unsigned seed = 1; seed <= 3; ++seed) {
        const Net net(seed, form, tokens);
        expect_computes(net.model, net.image, net.expected, named(form, tokens), 2e-5);
      }
}

// The same layers with the same weights, whatever they were called.
void expect_same(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.nodes.size(), b.nodes.size()) << to_string(a) << to_string(b);
  for (std::size_t i = 0; i < a.nodes.size(); ++i) {
    const Node &x = a.nodes[i], &y = b.nodes[i];
    ASSERT_TRUE(x.kind == y.kind && x.inputs == y.inputs && x.shape == y.shape) << to_string(a) << to_string(b);
    if (x.kind == OpKind::kDense) {
      EXPECT_EQ(x.dense().weights, y.dense().weights) << x.name;
      EXPECT_EQ(x.dense().bias, y.dense().bias) << x.name;
    }
    if (x.kind == OpKind::kConv) {
      EXPECT_EQ(x.conv().weights, y.conv().weights) << x.name;
      EXPECT_EQ(x.conv().bias, y.conv().bias) << x.name;
    }
  }
}

TEST(FusedAttention, IsTheGraphOfThreeProjections) {
  for (const Tokens tokens : kTokens) {
    const Graph separate = normalise_ok(import_ok(Net(1, Form::kSeparate, tokens).model));
    const auto stages = make_stages(separate);
    ASSERT_TRUE(stages.ok()) << stages.error().to_string();
    // Convolution, map (or tokens with numbers added), factors of the scores, scores, factors of the values, answer.
    EXPECT_EQ(stages->ranks(), 6U) << to_string(separate);
    for (const Form form : kForms) {
      SCOPED_TRACE(named(form, tokens));
      const Graph fused = normalise_ok(import_ok(Net(1, form, tokens).model));
      const auto fused_stages = make_stages(fused);
      ASSERT_TRUE(fused_stages.ok()) << fused_stages.error().to_string();
      EXPECT_EQ(fused_stages->ranks(), stages->ranks()) << to_string(fused);
      EXPECT_EQ(fused_stages->stages.size(), stages->stages.size()) << to_string(fused);
      expect_same(fused, separate);
    }
  }
}

TEST(FusedAttention, EveryFlippedByteIsAnErrorOrAValidGraph) {
  Rng rng(5);
  int errors = 0, graphs = 0;
  for (const Form form : {Form::kGather, Form::kSplit, Form::kTokensFirst}) {
    const std::vector<std::byte> whole = Net(1, form, Tokens::kWithClass).model.bytes();
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::vector<std::byte> flipped = whole;
      flipped[at] ^= static_cast<std::byte>(1 << random_int(rng, 0, 7));
      auto graph = import_onnx(flipped);
      ++(graph.ok() ? graphs : errors);
      if (!graph.ok()) continue;
      EXPECT_TRUE(validate(*graph).ok());
      const auto normal = normalise(std::move(graph).value());
      EXPECT_TRUE(!normal.ok() || validate(*normal).ok());
    }
  }
  EXPECT_GT(errors, 1000);
  EXPECT_GT(graphs, 1000);
}

TEST(FusedAttention, SlotBySlot) {
  for (const Tokens tokens : kTokens)
    for (const Form form : {Form::kGather, Form::kSplit, Form::kTokensFirst}) {
      SCOPED_TRACE(named(form, tokens));
      const Net net(2, form, tokens);
      const auto stages = make_stages(normalise_ok(import_ok(net.model)));
      ASSERT_TRUE(stages.ok()) << stages.error().to_string();
      int packed = 0;
      for (const LayoutChoice& choice : enumerate_choices(*stages, 256)) {
        auto lowered = lower(*stages, 256, choice);
        if (!lowered.ok()) continue;
        ++packed;
        const auto got = plan::run_slots(lowered->program, net.image);
        expect_close({got.begin(), got.end()}, net.expected, 1e-3, choice.describe());
      }
      EXPECT_GT(packed, 1);
    }
}

}  // namespace
}  // namespace brainlock::compiler
