// Elements chosen and joined by constant indices: each operator in the forms of each opset against plain loops, on all
// that a value can be.
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "select_net.hpp"

namespace brainlock::compiler {
namespace {

using namespace by_definition;
using Attributes = OnnxBuilder::Attributes;

constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();

Ints steps(std::int64_t first, std::int64_t count, std::int64_t step = 1) {
  Ints out;
  for (std::int64_t k = 0; k < count; ++k) out.push_back(first + k * step);
  return out;
}

std::string described(const char* op, std::size_t form, Source source, std::size_t part = 0) {
  return numbered(std::string(op) + " form ", form) + numbered(" source ", static_cast<std::size_t>(source)) +
         numbered(" part ", part);
}

// --- each operator by its definition
// ----------------------------------------------------------------------------------

TEST(OnnxSelect, SplitInTheFormsOfAllOpsets) {
  struct Form {
    int opset;
    Ints dims;
    std::int64_t axis;
    Ints sizes;   ///< of the parts
    int written;  ///< 0: not at all, 1: as attribute, 2: as input, 3: their number
  };
  const Form forms[] = {
      {9, {1, 6, 2, 2}, 1, {2, 2, 2}, 0},  {11, {1, 6, 2, 2}, 1, {1, 3, 2}, 1},
      {13, {1, 6, 2, 2}, -3, {4, 2}, 2},   {13, {1, 3, 8}, -1, {4, 4}, 0},
      {18, {1, 3, 7}, 2, {3, 3, 1}, 3},    {18, {1, 5, 3}, 1, {1, 4}, 2},
      {13, {3, 1, 2, 4}, 0, {1, 1, 1}, 0}, {18, {1, 2, 3, 3}, 2, {2, 1}, 3},
      {13, {1, 2, 3, 4}, 3, {1, 3}, 2},    {19, {4, 3}, 0, {4}, 3},
  };
  for (std::size_t f = 0; f < std::size(forms); ++f)
    for (const Source source : kSources)
      for (std::size_t part = 0; part < forms[f].sizes.size(); ++part) {
        const Form& form = forms[f];
        if (source == Source::kInput && form.dims[0] != 1) continue;
        Net net(form.opset, static_cast<unsigned>(f), form.dims, source);
        std::vector<std::string> inputs{"s"}, outputs;
        Attributes attributes{{"axis", form.axis}};
        if (form.written == 1) attributes.push_back({"split", form.sizes});
        if (form.written == 2) {
          net.model.integers("sizes", {static_cast<std::int64_t>(form.sizes.size())}, form.sizes);
          inputs.push_back("sizes");
        }
        if (form.written == 3) attributes.push_back({"num_outputs", static_cast<std::int64_t>(form.sizes.size())});
        for (std::size_t k = 0; k < form.sizes.size(); ++k) outputs.push_back(numbered("part", k));
        net.model.node("Split", inputs, outputs, attributes);
        const auto axis = static_cast<std::size_t>(
            form.axis < 0 ? form.axis + static_cast<std::int64_t>(form.dims.size()) : form.axis);
        const std::int64_t start = std::accumulate(
            form.sizes.begin(), form.sizes.begin() + static_cast<std::ptrdiff_t>(part), std::int64_t{0});
        if (source == Source::kPositions && form.sizes.size() == 1) continue;  // nobody moves its squares to a vector
        net.expect(outputs[part], taken(net.s, axis, steps(start, form.sizes[part])),
                   described("Split", f, source, part));
      }
}

TEST(OnnxSelect, GatherOfOneOrSeveralIndicesOnAnyAxis) {
  struct Form {
    Ints dims;
    std::int64_t axis;
    Ints shape, indices;  ///< of the indices
  };
  const Form forms[] = {
      {{1, 3, 4}, 1, {}, {0}},           {{1, 3, 4}, 1, {}, {-1}},
      {{1, 3, 4}, -1, {2}, {3, 0}},      {{3, 1, 2, 4}, 0, {}, {1}},
      {{3, 1, 2, 4}, 0, {1}, {-1}},      {{1, 3, 4}, 2, {4}, {1, 1, -4, 2}},
      {{1, 4, 3, 3}, 1, {2}, {3, 1}},    {{1, 4, 3, 3}, 1, {}, {2}},
      {{1, 4, 3, 3}, 3, {3}, {2, 1, 0}}, {{1, 3, 4}, 1, {2, 2}, {0, 1, 2, 1}},
  };
  for (std::size_t f = 0; f < std::size(forms); ++f)
    for (const Source source : kSources) {
      const Form& form = forms[f];
      if (source == Source::kInput && form.dims[0] != 1) continue;
      Net net(13, static_cast<unsigned>(f), form.dims, source);
      net.model.integers("indices", form.shape, form.indices)
          .node("Gather", {"s", "indices"}, {"g"}, {{"axis", form.axis}});
      const auto axis =
          static_cast<std::size_t>(form.axis < 0 ? form.axis + static_cast<std::int64_t>(form.dims.size()) : form.axis);
      Ints places = form.indices;
      for (auto& p : places) p = p < 0 ? p + form.dims[axis] : p;
      const Tensor expected = taken(net.s, axis, places);
      if (source == Source::kPositions && expected.v.size() == net.s.v.size())
        continue;  // a view of what is no activation
      net.expect("g", expected, described("Gather", f, source));
    }
}

TEST(OnnxSelect, SliceOfAnyStartAndStep) {
  struct Form {
    int opset;
    Ints dims, starts, ends, axes, steps;
    std::vector<Ints> left;  ///< indices on the axes named
  };
  const Form forms[] = {
      {9, {1, 5, 3}, {1}, {4}, {1}, {}, {{1, 2, 3}}},
      {9, {1, 5, 3}, {-2}, {kFar}, {1}, {}, {{3, 4}}},
      {13, {1, 5, 3}, {0}, {1}, {1}, {1}, {{0}}},
      {13, {1, 5, 4}, {3, 3}, {-kFar, -kFar}, {1, 2}, {-2, -1}, {{3, 1}, {3, 2, 1, 0}}},
      {13, {1, 4, 5, 6}, {1, 2}, {9, 5}, {2, 3}, {1, 1}, {{1, 2, 3, 4}, {2, 3, 4}}},  // offset rows and columns
      {13, {1, 4, 5, 6}, {0}, {1}, {1}, {1}, {{0}}},                                  // one channel
      {13, {1, 4, 5, 6}, {1, 1, 0}, {4, kFar, kFar}, {1, 2, 3}, {2, 3, 2}, {{1, 3}, {1, 4}, {0, 2, 4}}},
      {13, {1, 4, 5, 6}, {-1, 4}, {0, 5}, {1, 2}, {-1, 1}, {{3, 2, 1}, {4}}},
      {13, {1, 4, 5, 6}, {5}, {-kFar}, {-1}, {-2}, {{5, 3, 1}}},
      {13, {3, 1, 2, 4}, {1}, {2}, {0}, {1}, {{1}}},
      {10, {1, 1, 12}, {0}, {kFar}, {2}, {5}, {{0, 5, 10}}},
  };
  for (std::size_t f = 0; f < std::size(forms); ++f)
    for (const Source source : kSources) {
      const Form& form = forms[f];
      if (source == Source::kInput && form.dims[0] != 1) continue;
      if (source == Source::kPositions && form.opset == 10) continue;  // stays a map, which no activation makes
      Net net(form.opset, static_cast<unsigned>(f), form.dims, source);
      if (form.opset < 10) {
        net.model.node("Slice", {"s"}, {"c"}, {{"starts", form.starts}, {"ends", form.ends}, {"axes", form.axes}});
      } else {
        const Ints n{static_cast<std::int64_t>(form.starts.size())};
        net.model.integers("starts", n, form.starts).integers("ends", n, form.ends).integers("axes", n, form.axes);
        net.model.integers("steps", n, form.steps).node("Slice", {"s", "starts", "ends", "axes", "steps"}, {"c"});
      }
      Tensor expected = net.s;
      for (std::size_t k = 0; k < form.axes.size(); ++k) {
        const std::int64_t axis =
            form.axes[k] < 0 ? form.axes[k] + static_cast<std::int64_t>(form.dims.size()) : form.axes[k];
        expected = taken(expected, static_cast<std::size_t>(axis), form.left[k]);
      }
      net.expect("c", expected, described("Slice", f, source));
    }
}

TEST(OnnxSelect, ConcatAlongAnyAxisAndWithConstants) {
  struct Form {
    Ints dims;
    std::int64_t axis;
    std::vector<Ints> constants;  ///< dims of constants in front, those after the first behind
    bool twice;                   ///< the value and its negative
  };
  const Form forms[] = {
      {{1, 3, 4}, 1, {{1, 1, 4}}, false},  // a class token
      {{1, 3, 4}, 1, {{1, 1, 4}, {1, 2, 4}}, true},
      {{1, 3, 4}, -1, {}, true},
      {{1, 2, 3, 3}, 1, {}, true},
      {{1, 2, 3, 3}, 2, {}, true},
      {{1, 2, 3, 3}, 3, {{1, 2, 3, 2}}, true},
      {{2, 1, 4}, 0, {}, true},
      {{1, 6}, 0, {{2, 6}}, false},
      {{1, 6}, 1, {{1, 1}}, true},
  };
  for (std::size_t f = 0; f < std::size(forms); ++f)
    for (const Source source : kSources) {
      const Form& form = forms[f];
      if (source == Source::kInput && form.dims[0] != 1) continue;
      Net net(13, static_cast<unsigned>(f), form.dims, source);
      std::vector<std::string> inputs{"s"};
      std::vector<Tensor> parts{net.s};
      if (form.twice) {
        net.model.node("Neg", {"s"}, {"minus"});
        inputs.push_back("minus");
        parts.push_back(combined(net.s, net.s, [](double a, double) { return -a; }));
      }
      for (std::size_t k = 0; k < form.constants.size(); ++k) {
        const std::string name = numbered("token", k);
        const Tensor token = net.constant(name, form.constants[k]);
        inputs.insert(k == 0 ? inputs.begin() : inputs.end(), name);
        parts.insert(k == 0 ? parts.begin() : parts.end(), token);
      }
      net.model.node("Concat", inputs, {"j"}, {{"axis", form.axis}});
      const std::int64_t axis = form.axis < 0 ? form.axis + static_cast<std::int64_t>(form.dims.size()) : form.axis;
      net.expect("j", joined(parts, static_cast<std::size_t>(axis)), described("Concat", f, source));
    }
}

TEST(OnnxSelect, ExpandRepeatsElements) {
  for (const Source source : kSources) {
    Net net(13, 3, {1, 3, 1, 2}, source);
    net.model.integers("to", {5}, {2, 1, 3, 4, 1}).node("Expand", {"s", "to"}, {"e"});
    net.expect("e", made({2, 1, 3, 4, 2}, [&](const Ints& i) { return at(net.s, i); }), described("Expand", 0, source));
    if (source == Source::kPositions) continue;
    Net same(13, 4, {1, 3, 1, 2}, source);
    same.model.integers("to", {2}, {1, 2}).node("Expand", {"s", "to"}, {"e"});
    same.expect("e", same.s, described("Expand", 1, source));
  }
}

// Turned, chosen along what was an inner axis, and turned back.
TEST(OnnxSelect, AxesInFrontOfTheBatchAreAxesLikeOthers) {
  for (const Source source : kSources) {
    Net net(13, 5, {1, 4, 6}, source);
    net.model.integers("heads", {5}, {1, 4, 3, 2, 1}).node("Reshape", {"s", "heads"}, {"r"});
    net.model.node("Transpose", {"r"}, {"t"}, {{"perm", Ints{2, 0, 3, 1, 4}}});
    net.model.integers("one", {1}, {1})
        .integers("zero", {1}, {0})
        .integers("far", {1}, {kFar})
        .integers("rows", {2}, {2, 8});
    net.model.node("Slice", {"t", "one", "far", "zero"}, {"c"}).node("Mul", {"c", "c"}, {"q"});
    net.model.node("Squeeze", {"q", "one"}, {"sq"}).node("Reshape", {"sq", "rows"}, {"flat"});
    net.model.node("ReduceMean", {"flat"}, {"m"}, {{"axes", Ints{0}}, {"keepdims", std::int64_t{0}}});
    Tensor t = taken(transposed(reshaped(net.s, {1, 4, 3, 2, 1}), {2, 0, 3, 1, 4}), 0, {1, 2});
    t = reshaped(combined(t, t, std::multiplies<>()), {2, 8});
    net.expect("m",
               made({8},
                    [&](const Ints& i) {
                      return (at(t, {0, i[0]}) + at(t, {1, i[0]})) / 2;
                    }),
               described("Axes", 0, source));
  }
}

TEST(OnnxSelect, GemmTakesARowForEachToken) {
  for (const bool turned : {false, true}) {
    Net net(13, 6, {3, 4}, Source::kQuadratic);
    const Tensor w = net.constant("weights", turned ? Ints{2, 4} : Ints{4, 2}), b = net.constant("bias", {2});
    net.model.node("Gemm", {"s", "weights", "bias"}, {"g"},
                   {{"transB", std::int64_t{turned}}, {"alpha", 0.5F}, {"beta", 2.0F}});
    const Tensor p = product(net.s, turned ? transposed(w, {1, 0}) : w);
    net.expect("g", combined(p, b, [](double x, double c) { return 0.5 * x + 2 * c; }), "Gemm");
  }
}

TEST(OnnxSelect, AVectorWithoutABatchIsMultipliedToo) {
  Net net(13, 16, {1, 3, 4}, Source::kQuadratic);
  const Tensor w = net.constant("weights", {4, 2});
  net.model.integers("zero", {}, {0}).node("Gather", {"s", "zero"}, {"b"}, {{"axis", std::int64_t{0}}});
  net.model.node("Gather", {"b", "zero"}, {"v"}, {{"axis", std::int64_t{0}}}).node("MatMul", {"v", "weights"}, {"u"});
  net.expect("u", product(reshaped(taken(net.s, 1, {0}), {1, 4}), w), "vector");
}

// What exporters compute of constants: a class token that is expanded to the batch (with -1 for what it keeps), indices
// into a table of positions.
TEST(OnnxSelect, ConstantsAreChosenAndJoinedToo) {
  Net net(13, 7, {1, 3, 4}, Source::kDense);
  OnnxBuilder& m = net.model;
  const Tensor token = net.constant("token", {1, 1, 4}), table = net.constant("table", {6, 4});
  m.integers("zero", {}, {0})
      .integers("first", {1}, {0})
      .integers("minus", {1}, {-1})
      .integers("three", {1}, {3})
      .integers("minus_one", {}, {-1});
  m.node("Shape", {"s"}, {"shape"}).node("Gather", {"shape", "zero"}, {"batch"}, {{"axis", std::int64_t{0}}});
  m.node("Unsqueeze", {"batch", "first"}, {"b"})
      .node("Concat", {"b", "minus", "minus"}, {"sizes"}, {{"axis", std::int64_t{0}}});
  m.node("ConstantOfShape", {"three"}, {"nothing"}).node("Cast", {"nothing"}, {"zeros"}, {{"to", std::int64_t{7}}});
  m.integers("one", {1}, {1}).node("Add", {"zeros", "one"}, {"ones"}).node("Mul", {"ones", "minus_one"}, {"negative"});
  m.node("Equal", {"sizes", "negative"}, {"open"})
      .node("Where", {"open", "ones", "sizes"}, {"to"})
      .node("Expand", {"token", "to"}, {"expanded"});
  m.node("Concat", {"expanded", "s"}, {"tokens"}, {{"axis", std::int64_t{1}}});
  m.integers("places", {4}, {5, 0, -2, 3})
      .node("Gather", {"table", "places"}, {"positions"})
      .integers("halves", {2}, {1, 3});
  m.node("Split", {"positions", "halves"}, {"p1", "p2"}, {{"axis", std::int64_t{0}}})
      .node("Concat", {"p2", "p1"}, {"order"}, {{"axis", std::int64_t{0}}});
  m.node("Add", {"tokens", "order"}, {"sum"});
  net.expect("sum", combined(joined({token, net.s}, 1), taken(table, 0, {0, 4, 3, 5}), std::plus<>()), "constants");
}

}  // namespace
}  // namespace brainlock::compiler
