// Forms in which PyTorch, Keras (through tf2onnx) and other exporters write the networks that are covered, against plain
// loops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "onnx_expect.hpp"

namespace brainlock::compiler {
namespace {

using testing::HasSubstr;
using Attributes = OnnxBuilder::Attributes;
using Ints = std::vector<std::int64_t>;

std::string refusal_of(const OnnxBuilder& model) {
  auto graph = import_onnx(model.bytes());
  EXPECT_FALSE(graph.ok());
  return graph.ok() ? "" : graph.error().message;
}

std::vector<double> widened(const std::vector<float>& x) { return {x.begin(), x.end()}; }

// C,H,W to H,W,C.
template <typename T>
std::vector<T> channels_last(const std::vector<T>& x, int channels) {
  const std::size_t plane = x.size() / static_cast<std::size_t>(channels);
  std::vector<T> out;
  for (std::size_t p = 0; p < plane; ++p)
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) out.push_back(x[c * plane + p]);
  return out;
}

// A map with rows and columns of zeros around it.
std::vector<double> padded(const std::vector<double>& x, int channels, int h, int w, int top, int left, int bottom, int right) {
  const int columns = w + left + right;
  std::vector<double> out(static_cast<std::size_t>(channels * (h + top + bottom) * columns), 0.0);
  for (int c = 0; c < channels; ++c)
    for (int y = 0; y < h; ++y)
      for (int i = 0; i < w; ++i)
        out[static_cast<std::size_t>((c * (h + top + bottom) + y + top) * columns + i + left)] = x[static_cast<std::size_t>((c * h + y) * w + i)];
  return out;
}

TEST(OnnxExporters, GroupsAndDilationsMatchTheDefinition) {
  Rng rng(101);
  for (int round = 0; round < 60; ++round) {
    const int groups = random_int(rng, 1, 3), in_each = random_int(rng, 1, 2), out_each = random_int(rng, 1, 2);
    const int in = groups * in_each, out = groups * out_each, h = random_int(rng, 5, 9), w = random_int(rng, 5, 9);
    const int kh = random_int(rng, 1, 3), kw = random_int(rng, 1, 3), dh = random_int(rng, 1, 2), dw = random_int(rng, 1, 2);
    const int sh = random_int(rng, 1, 2), sw = random_int(rng, 1, 2);
    const bool same = round % 3 == 0;
    const int reach_h = (kh - 1) * dh + 1, reach_w = (kw - 1) * dw + 1;
    const int top = same ? std::max(0, (h + sh - 1) / sh * sh - sh + reach_h - h) / 2 : random_int(rng, 0, 2);
    const int bottom = same ? std::max(0, (h + sh - 1) / sh * sh - sh + reach_h - h) - top : random_int(rng, 0, 2);
    const int left = same ? std::max(0, (w + sw - 1) / sw * sw - sw + reach_w - w) / 2 : random_int(rng, 0, 2);
    const int right = same ? std::max(0, (w + sw - 1) / sw * sw - sw + reach_w - w) - left : random_int(rng, 0, 2);
    const auto x = random_reals(rng, static_cast<std::size_t>(in * h * w)), weights = random_reals(rng, static_cast<std::size_t>(out * in_each * kh * kw)),
               bias = random_reals(rng, static_cast<std::size_t>(out));
    OnnxBuilder model;
    model.input("x", {-1, in, h, w}).output("y").reals("w", {out, in_each, kh, kw}, weights).reals("b", {out}, bias);
    Attributes attributes{{"group", std::int64_t{groups}}, {"dilations", Ints{dh, dw}}, {"strides", Ints{sh, sw}}, {"kernel_shape", Ints{kh, kw}}};
    if (same)
      attributes.push_back({"auto_pad", std::string("SAME_UPPER")});
    else
      attributes.push_back({"pads", Ints{top, left, bottom, right}});
    model.node("Conv", {"x", "w", "b"}, {"y"}, attributes);
    std::vector<double> expected;
    for (int o = 0; o < out; ++o)
      for (int oy = 0; oy * sh + reach_h <= h + top + bottom; ++oy)
        for (int ox = 0; ox * sw + reach_w <= w + left + right; ++ox) {
          double sum = static_cast<double>(bias[static_cast<std::size_t>(o)]);
          for (int i = 0; i < in_each; ++i)
            for (int ky = 0; ky < kh; ++ky)
              for (int kx = 0; kx < kw; ++kx) {
                const int y = oy * sh + ky * dh - top, at = ox * sw + kx * dw - left, channel = o / out_each * in_each + i;
                if (y < 0 || y >= h || at < 0 || at >= w) continue;
                sum += static_cast<double>(weights[static_cast<std::size_t>(((o * in_each + i) * kh + ky) * kw + kx)]) *
                       static_cast<double>(x[static_cast<std::size_t>((channel * h + y) * w + at)]);
              }
          expected.push_back(sum);
        }
    expect_computes(model, x, expected, "round " + std::to_string(round));
  }
}

// Keras: images as height, width, channels, turned for each convolution, normalised before the first.
TEST(OnnxExporters, AnInputOfChannelsLastIsTheImageThatItIsTurnedTo) {
  Rng rng(102);
  const ConvCase c{3, 6, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1};
  const auto image = random_reals(rng, 90), w = random_reals(rng, 108), mean = random_reals(rng, 3), factor = random_reals(rng, 3, 0.5f, 2),
             d = random_reals(rng, 8);
  OnnxBuilder model;
  model.input("x", {-1, 6, 5, 3}).output("y").reals("w", {4, 3, 3, 3}, w).reals("mean", {3}, mean).reals("factor", {1, 1, 1, 3}, factor);
  model.reals("d", {4, 2}, d);
  model.node("Sub", {"x", "mean"}, {"n1"}).node("Mul", {"n1", "factor"}, {"n2"});
  model.node("Transpose", {"n2"}, {"t1"}, {{"perm", Ints{0, 3, 1, 2}}}).node("Conv", {"t1", "w"}, {"c1"}, {{"pads", Ints{1, 1, 1, 1}}});
  model.node("Transpose", {"c1"}, {"t2"}, {{"perm", Ints{0, 2, 3, 1}}}).node("Mul", {"t2", "t2"}, {"q"});
  model.node("ReduceMean", {"q"}, {"m"}, {{"axes", Ints{1, 2}}, {"keepdims", std::int64_t{0}}}).node("MatMul", {"m", "d"}, {"y"});
  std::vector<float> normal(90);
  for (std::size_t e = 0; e < 90; ++e) normal[e] = (image[e] - mean[e / 30]) * factor[e / 30];
  const auto map = conv_by_definition(c, normal, w, {});
  std::vector<double> expected(2, 0.0);
  for (std::size_t o = 0; o < 4; ++o)
    for (std::size_t p = 0; p < 30; ++p)
      for (std::size_t m = 0; m < 2; ++m) expected[m] += map[o * 30 + p] * map[o * 30 + p] / 30 * static_cast<double>(d[o * 2 + m]);
  expect_computes(model, image, expected, "", 1e-5);
  const Graph graph = import_ok(model);
  ASSERT_FALSE(graph.nodes.empty());
  EXPECT_EQ(graph.nodes[0].shape, (TensorShape{3, 6, 5}));
}

// What else reads the input sees it in its own order, as before.
TEST(OnnxExporters, AnInputThatIsTurnedAndReadAsItIsKeepsBothOrders) {
  Rng rng(103);
  const auto image = random_reals(rng, 24), w = random_reals(rng, 4), d = random_reals(rng, 24), shift = random_reals(rng, 24);
  OnnxBuilder model;
  model.input("x", {1, 3, 4, 2}).output("y").reals("w", {2, 2, 1, 1}, w).reals("d", {24, 1}, d).reals("shift", {1, 3, 4, 2}, shift);
  model.node("Add", {"x", "shift"}, {"own"}).node("Transpose", {"x"}, {"t"}, {{"perm", Ints{0, 3, 1, 2}}}).node("Conv", {"t", "w"}, {"c"});
  model.node("Transpose", {"c"}, {"back"}, {{"perm", Ints{0, 2, 3, 1}}});
  model.node("Flatten", {"back"}, {"f1"}).node("MatMul", {"f1", "d"}, {"y1"}).node("Flatten", {"own"}, {"f2"}).node("MatMul", {"f2", "d"}, {"y2"});
  model.node("Add", {"y1", "y2"}, {"y"});
  const auto conv = channels_last(conv_by_definition({2, 3, 4, 2, 1, 1, 1, 1, 0, 0, 0, 0}, image, w, {}), 2);
  const auto own = channels_last(image, 2);
  double expected = 0;
  for (std::size_t e = 0; e < 24; ++e) expected += (conv[e] + static_cast<double>(own[e]) + static_cast<double>(shift[e])) * static_cast<double>(d[e]);
  expect_computes(model, image, {expected});
}

// Pad as attribute, as input, with axes, and as PyTorch computes it (F.pad).
TEST(OnnxExporters, PaddingOfItsOwnGoesIntoTheConvolution) {
  Rng rng(105);
  const ConvCase c{2, 5, 4, 3, 3, 3, 2, 1, 1 + 1, 0, 2 + 1, 3};   // the convolution pads by 1, 0, 1, 0 itself
  const auto x = random_reals(rng, 40), w = random_reals(rng, 54);
  const auto expected = conv_by_definition(c, x, w, {});
  for (int form = 0; form < 4; ++form) {
    OnnxBuilder model(form == 0 ? 9 : form == 1 ? 13 : form == 2 ? 18 : 12);
    model.input("x", {1, 2, 5, 4}).output("y").reals("w", {3, 2, 3, 3}, w);
    const Ints all{0, 0, 1, 0, 0, 0, 2, 3};
    if (form == 0) {
      model.node("Pad", {"x"}, {"p"}, {{"pads", all}, {"mode", std::string("constant")}, {"value", 0.0f}});
    } else if (form == 1) {
      model.integers("pads", {8}, all).reals("zero", {}, {0}).node("Pad", {"x", "pads", "zero"}, {"p"});
    } else if (form == 2) {
      model.integers("pads", {4}, {1, 0, 2, 3}).integers("axes", {2}, {-2, 3}).node("Pad", {"x", "pads", "", "axes"}, {"p"});
    } else {   // [left, right, top, bottom], with zeros behind, in pairs, backwards, transposed
      model.integers("own", {4}, {0, 3, 1, 2}).integers("four", {1}, {4}).integers("pairs", {2}, {-1, 2});
      model.integers("minus", {1}, {-1}).integers("far", {1}, {std::numeric_limits<std::int64_t>::min() + 1}).integers("zero", {1}, {0});
      model.node("ConstantOfShape", {"four"}, {"zeros_real"}).node("Cast", {"zeros_real"}, {"zeros"}, {{"to", std::int64_t{7}}});
      model.node("Concat", {"own", "zeros"}, {"list"}, {{"axis", std::int64_t{0}}}).node("Reshape", {"list", "pairs"}, {"two"});
      model.node("Slice", {"two", "minus", "far", "zero", "minus"}, {"back"}).node("Transpose", {"back"}, {"turned"}, {{"perm", Ints{1, 0}}});
      model.node("Reshape", {"turned", "minus"}, {"pads"}).node("Pad", {"x", "pads"}, {"p"});
    }
    model.node("Conv", {"p", "w"}, {"y"}, {{"pads", Ints{1, 0, 1, 0}}, {"strides", Ints{2, 1}}});
    expect_computes(model, x, expected, "form " + std::to_string(form));
    EXPECT_EQ(import_ok(model).nodes.size(), 2u) << "form " << form;
  }
}

// F.pad of all axes at once: the list of zeros behind it is empty.
TEST(OnnxExporters, PaddingMayBeComputedFromAnEmptyList) {
  const std::vector<float> x{1, 2};
  OnnxBuilder model(12);
  model.input("x", {1, 1, 1, 2}).output("y").integers("own", {8}, {0, 0, 0, 1, 0, 0, 0, 0}).integers("none", {1}, {0});
  model.node("ConstantOfShape", {"none"}, {"zeros_real"}).node("Cast", {"zeros_real"}, {"zeros"}, {{"to", std::int64_t{7}}});
  model.node("Concat", {"own", "zeros"}, {"pads"}, {{"axis", std::int64_t{0}}}).node("Pad", {"x", "pads"}, {"y"});
  expect_computes(model, x, {0, 1, 2});
}

TEST(OnnxExporters, PaddingWithoutAConvolutionBehindItIsALayer) {
  Rng rng(106);
  const auto x = random_reals(rng, 24);
  OnnxBuilder model;
  model.input("x", {1, 2, 3, 4}).output("y").integers("pads", {8}, {0, 1, 0, 2, 0, 1, 1, 0});
  model.node("Mul", {"x", "x"}, {"q"}).node("Pad", {"q", "pads"}, {"y"});   // a channel before and behind, too
  std::vector<double> squares;
  for (float v : x) squares.push_back(static_cast<double>(v) * static_cast<double>(v));
  std::vector<double> expected(24, 0.0);
  const auto inner = padded(squares, 2, 3, 4, 0, 2, 1, 0);
  expected.insert(expected.end(), inner.begin(), inner.end());
  expected.insert(expected.end(), 24, 0.0);
  expect_computes(model, x, expected);
}

TEST(OnnxExporters, PaddedAveragePoolsCountTheirPadding) {
  Rng rng(107);
  const auto x = random_reals(rng, 2 * 5 * 6);
  for (int form = 0; form < 2; ++form) {   // as the pool's own, and as PyTorch wrote it for old opsets
    OnnxBuilder model(form == 0 ? 11 : 9);
    model.input("x", {1, 2, 5, 6}).output("y");
    if (form == 0) {
      model.node("AveragePool", {"x"}, {"y"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"count_include_pad", std::int64_t{1}}});
    } else {
      model.node("Pad", {"x"}, {"p"}, {{"pads", Ints{0, 0, 1, 1, 0, 0, 1, 1}}});
      model.node("AveragePool", {"p"}, {"y"}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}});
    }
    const auto wide = padded(widened(x), 2, 5, 6, 1, 1, 1, 1);
    std::vector<double> expected;
    for (int c = 0; c < 2; ++c)
      for (int oy = 0; oy < 3; ++oy)
        for (int ox = 0; ox < 3; ++ox) {
          double sum = 0;
          for (int k = 0; k < 9; ++k) sum += wide[static_cast<std::size_t>((c * 7 + 2 * oy + k / 3) * 8 + 2 * ox + k % 3)];
          expected.push_back(sum / 9);
        }
    expect_computes(model, x, expected, "form " + std::to_string(form));
  }
}

// The shortcut of a ResNet of kind A: x[:, :, ::2, ::2] with channels of zeros around it.
TEST(OnnxExporters, AShortcutMayTakeEverySecondPixelAndAddChannels) {
  Rng rng(108);
  const auto x = random_reals(rng, 2 * 5 * 6), w = random_reals(rng, 4 * 2 * 9);
  for (int opset : {9, 13}) {
    OnnxBuilder model(opset);
    model.input("x", {-1, 2, 5, 6}).output("y").reals("w", {4, 2, 3, 3}, w);
    const std::int64_t far = std::numeric_limits<std::int64_t>::max();
    if (opset == 9) {   // Slice has no steps yet
      model.node("AveragePool", {"x"}, {"s"}, {{"kernel_shape", Ints{1, 1}}, {"strides", Ints{2, 2}}});
      model.node("Pad", {"s"}, {"p"}, {{"pads", Ints{0, 1, 0, 0, 0, 1, 0, 0}}});
    } else {
      model.integers("starts", {2}, {0, 0}).integers("ends", {2}, {far, 6}).integers("axes", {2}, {2, -1}).integers("steps", {2}, {2, 2});
      model.node("Slice", {"x", "starts", "ends", "axes", "steps"}, {"s"}).integers("pads", {8}, {0, 1, 0, 0, 0, 1, 0, 0}).node("Pad", {"s", "pads"}, {"p"});
    }
    model.node("Conv", {"x", "w"}, {"c"}, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}).node("Mul", {"c", "c"}, {"q"}).node("Add", {"q", "p"}, {"y"});
    const auto c = conv_by_definition({2, 5, 6, 4, 3, 3, 2, 2, 1, 1, 1, 1}, x, w, {});
    std::vector<double> expected;
    for (int o = 0; o < 4; ++o)
      for (int p = 0; p < 9; ++p) {
        const double v = c[static_cast<std::size_t>(o * 9 + p)];
        const double skip = o == 1 || o == 2 ? static_cast<double>(x[static_cast<std::size_t>(((o - 1) * 5 + p / 3 * 2) * 6 + p % 3 * 2)]) : 0.0;
        expected.push_back(v * v + skip);
      }
    expect_computes(model, x, expected, "opset " + std::to_string(opset));
  }
}

TEST(OnnxExporters, ChannelsOfBranchesAreJoined) {
  Rng rng(109);
  const auto x = random_reals(rng, 2 * 9), v = random_reals(rng, 3 * 2), w = random_reals(rng, 2 * 2);
  OnnxBuilder model;
  model.input("x", {1, 2, 3, 3}).output("y").reals("v", {3, 2, 1, 1}, v).reals("w", {2, 2, 1, 1}, w);
  model.node("Conv", {"x", "v"}, {"a"}).node("Conv", {"x", "w"}, {"b"}).node("Mul", {"b", "b"}, {"bb"});
  model.node("Concat", {"bb", "a", "bb"}, {"y"}, {{"axis", std::int64_t{1}}});
  const auto a = conv_by_definition({2, 3, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0}, x, v, {});
  auto b = conv_by_definition({2, 3, 3, 2, 1, 1, 1, 1, 0, 0, 0, 0}, x, w, {});
  for (double& each : b) each *= each;
  std::vector<double> expected = b;
  expected.insert(expected.end(), a.begin(), a.end());
  expected.insert(expected.end(), b.begin(), b.end());
  expect_computes(model, x, expected);
}

TEST(OnnxExporters, MeansOfPlanesAreFoundInAnyOrder) {
  Rng rng(110);
  const auto x = random_reals(rng, 3 * 4 * 2);
  struct Form {
    int opset;
    Ints perm, axes;
    bool keep;
  };
  for (const Form& form : {Form{11, {0, 2, 3, 1}, {1, 2}, false}, Form{18, {0, 3, 2, 1}, {-2, 1}, true}, Form{18, {0, 1, 2, 3}, {-1, 2}, true}}) {
    OnnxBuilder model(form.opset);
    model.input("x", {1, 3, 4, 2}).output("y").integers("to", {2}, {0, -1});
    model.node("Mul", {"x", "x"}, {"q"}).node("Transpose", {"q"}, {"t"}, {{"perm", form.perm}});
    if (form.opset < 18) {
      model.node("ReduceMean", {"t"}, {"m"}, {{"axes", form.axes}, {"keepdims", std::int64_t{form.keep}}});
    } else {
      model.integers("axes", {2}, form.axes).node("ReduceMean", {"t", "axes"}, {"m"}, {{"keepdims", std::int64_t{form.keep}}});
    }
    model.node("Reshape", {"m", "to"}, {"y"});
    std::vector<double> expected(3, 0.0);
    for (std::size_t e = 0; e < 24; ++e) expected[e / 8] += static_cast<double>(x[e]) * static_cast<double>(x[e]) / 8;
    expect_computes(model, x, expected);
  }
}

TEST(OnnxExporters, DenseLayersTakeAxesOfOneInFront) {
  Rng rng(111);
  const auto x = random_reals(rng, 5), w = random_reals(rng, 15), b = random_reals(rng, 3);
  OnnxBuilder model;
  model.input("x", {-1, 1, 5}).output("y").reals("w", {5, 3}, w).reals("b", {3}, b);
  model.node("MatMul", {"x", "w"}, {"m"}).node("Add", {"m", "b"}, {"y"});
  std::vector<double> expected;
  for (std::size_t m = 0; m < 3; ++m) {
    expected.push_back(static_cast<double>(b[m]));
    for (std::size_t k = 0; k < 5; ++k) expected[m] += static_cast<double>(x[k]) * static_cast<double>(w[k * 3 + m]);
  }
  expect_computes(model, x, expected);
}

// --- weights that are computed or stored in other ways ---------------------------------------------------------------

TEST(OnnxExporters, ArithmeticOnWeightsBroadcasts) {
  Rng rng(112);
  const ConvCase c{2, 4, 4, 3, 2, 2, 1, 1, 0, 0, 0, 0};
  const auto x = random_reals(rng, 32), w = random_reals(rng, 24), g = random_reals(rng, 3, 0.5f, 2);
  OnnxBuilder model;   // kernels as height, width, in, out, scaled for each output
  std::vector<float> stored(24);
  for (std::size_t o = 0; o < 3; ++o)
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t k = 0; k < 4; ++k) stored[(k * 2 + i) * 3 + o] = w[(o * 2 + i) * 4 + k];
  model.input("x", {1, 2, 4, 4}).output("y").reals("hwio", {2, 2, 2, 3}, stored).reals("g", {3}, g).reals("one", {1, 1, 1, 1, 1}, {1});
  model.node("Mul", {"hwio", "g"}, {"scaled"}).node("Transpose", {"scaled"}, {"w"}, {{"perm", Ints{3, 2, 0, 1}}});
  model.integers("three", {1}, {3}).node("Expand", {"one_number", "three"}, {"b"}).reals("one_number", {1}, {0.25f});
  model.node("Conv", {"x", "w", "b"}, {"y"});
  std::vector<float> scaled(24);
  for (std::size_t e = 0; e < 24; ++e) scaled[e] = w[e] * g[e / 8];
  expect_computes(model, x, conv_by_definition(c, x, scaled, {0.25f, 0.25f, 0.25f}));
}

TEST(OnnxExporters, ConstantSlicesFollowTheDefinition) {
  // [[0 1 2 3], [4 5 6 7], [8 9 10 11]] cut in several ways and used as a 1-feature dense layer.
  std::vector<float> table(12);
  for (std::size_t k = 0; k < 12; ++k) table[k] = static_cast<float>(k);
  struct Cut {
    Ints starts, ends, axes, steps;
    std::vector<double> left;
  };
  const std::int64_t low = std::numeric_limits<std::int64_t>::min(), high = std::numeric_limits<std::int64_t>::max();
  const Cut cuts[] = {
      {{1}, {high}, {0}, {1}, {4, 5, 6, 7, 8, 9, 10, 11}},
      {{-1}, {low + 1}, {0}, {-2}, {8, 9, 10, 11, 0, 1, 2, 3}},
      {{0, 1}, {2, -1}, {0, 1}, {1, 1}, {1, 2, 5, 6}},
      {{high, high}, {-4, -3}, {0, 1}, {-1, -2}, {11, 7, 3}},
      {{-100, 100}, {100, 0}, {0, -1}, {2, -3}, {3, 11}},
  };
  for (const Cut& cut : cuts) {
    OnnxBuilder model;
    const auto n = static_cast<std::int64_t>(cut.starts.size());
    model.input("x", {1, 1}).output("y").reals("t", {3, 4}, table).integers("one", {2}, {1, -1});
    model.integers("s", {n}, cut.starts).integers("e", {n}, cut.ends).integers("a", {n}, cut.axes).integers("k", {n}, cut.steps);
    model.node("Slice", {"t", "s", "e", "a", "k"}, {"part"}).node("Reshape", {"part", "one"}, {"w"}).node("MatMul", {"x", "w"}, {"y"});
    expect_computes(model, {1}, cut.left);
  }
}

TEST(OnnxExporters, WeightsOfEightBitsAreDequantised) {
  const std::vector<float> x{1, -2, 0.5f};
  for (int form = 0; form < 3; ++form) {
    OnnxBuilder model;
    model.input("x", {1, 3}).output("y");
    // Rows of w: (in, out) = 3 x 2.
    if (form == 0) {
      model.octets("q", {3, 2}, {-128, 127, 0, 5, -7, 100}, true).reals("s", {2}, {0.5f, 0.25f}).octets("z", {2}, {0, 3}, true);
      model.node("DequantizeLinear", {"q", "s", "z"}, {"w"}, {{"axis", std::int64_t{-1}}});
    } else if (form == 1) {
      model.octets("q", {3, 2}, {0, 255, 128, 5, 130, 100}, false).reals("s", {}, {0.125f}).octets("z", {}, {128}, false);
      model.node("DequantizeLinear", {"q", "s", "z"}, {"w"});
    } else {
      model.octets("q", {3, 2}, {-128, 127, 0, 5, -7, 100}, true).reals("s", {3}, {0.5f, 1, 2});
      model.node("DequantizeLinear", {"q", "s"}, {"w"}, {{"axis", std::int64_t{0}}});
    }
    model.node("MatMul", {"x", "w"}, {"y"});
    const std::vector<double> expected = form == 0   ? std::vector<double>{-64 - 1.75, 31 - 1 + 12.125}
                                         : form == 1 ? std::vector<double>{-16 + 0.125, 15.875 + 30.75 - 1.75}
                                                     : std::vector<double>{-64 - 7, 63.5 - 10 + 100};
    expect_computes(model, x, expected, "form " + std::to_string(form));
  }
}

TEST(OnnxExporters, BrainFloatsAreTheUpperHalfOfFloats) {
  OnnxBuilder model;
  model.input("x", {1, 2}).output("y").reals("w", {2, 2}, {0.5f, -1.25f, 2, 0.0625f}, Storage::kBrainHalf).node("MatMul", {"x", "w"}, {"y"});
  expect_computes(model, {3, -1}, {-0.5, -3.8125});
}

// --- what must not be taken for something else ------------------------------------------------------------------------

TEST(OnnxExporters, CastsOfTheInputToIntegersAreRefused) {
  for (int to : {2, 3, 6, 7, 9}) {   // they cut off fractions
    OnnxBuilder model;
    model.input("x", {1, 2}).output("y").node("Cast", {"x"}, {"i"}, {{"to", std::int64_t{to}}}).node("Cast", {"i"}, {"y"}, {{"to", std::int64_t{1}}});
    EXPECT_THAT(refusal_of(model), HasSubstr("rounds"));
  }
  for (int to : {1, 10, 11, 16}) {
    OnnxBuilder model;
    model.input("x", {1, 2}).output("y").reals("one", {1}, {1}).node("Cast", {"x"}, {"r"}, {{"to", std::int64_t{to}}});
    model.node("CastLike", {"r", "one"}, {"l"}).node("Mul", {"l", "r"}, {"y"});
    expect_computes(model, {3, -2}, {9, 4});
  }
}

TEST(OnnxExporters, NormalisationByTheBatchOfOldOpsetsIsRefused) {
  OnnxBuilder model(9);   // more outputs than one say so
  model.input("x", {1, 2, 2, 2}).output("y").reals("o", {2}, {1, 2});
  model.node("BatchNormalization", {"x", "o", "o", "o", "o"}, {"y", "mean", "variance", "saved_mean", "saved_variance"});
  EXPECT_THAT(refusal_of(model), HasSubstr("training mode"));
}

TEST(OnnxExporters, OtherPaddingsAndCutsSayWhy) {
  struct Bad {
    const char* what;
    void (*write)(OnnxBuilder&);
    const char* says;
  };
  const Bad cases[] = {
      {"reflected", [](OnnxBuilder& m) { m.integers("p", {8}, {0, 0, 1, 1, 0, 0, 1, 1}).node("Pad", {"x", "p"}, {"y"}, {{"mode", std::string("reflect")}}); }, "reflect"},
      {"ones", [](OnnxBuilder& m) { m.integers("p", {8}, {0, 0, 1, 1, 0, 0, 1, 1}).reals("one", {}, {1}).node("Pad", {"x", "p", "one"}, {"y"}); }, "other than zero"},
      {"cropping", [](OnnxBuilder& m) { m.integers("p", {8}, {0, 0, -1, 0, 0, 0, 0, 0}).node("Pad", {"x", "p"}, {"y"}); }, "cuts"},
      {"batch", [](OnnxBuilder& m) { m.integers("p", {8}, {1, 0, 0, 0, 0, 0, 0, 0}).node("Pad", {"x", "p"}, {"y"}); }, "batch"},
      {"short", [](OnnxBuilder& m) { m.integers("p", {3}, {0, 0, 0}).node("Pad", {"x", "p"}, {"y"}); }, "pads"},
      {"huge", [](OnnxBuilder& m) { m.integers("p", {8}, {0, 0, std::int64_t{1} << 40, 0, 0, 0, 0, 0}).node("Pad", {"x", "p"}, {"y"}); }, "pads"},
      {"pool", [](OnnxBuilder& m) { m.node("AveragePool", {"x"}, {"y"}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}); }, "count_include_pad"},
      {"groups", [](OnnxBuilder& m) { m.reals("w", {4, 2, 1, 1}, std::vector<float>(8, 1.0f)).node("Conv", {"x", "w"}, {"y"}, {{"group", std::int64_t{3}}}); }, "groups"},
      {"no groups", [](OnnxBuilder& m) { m.reals("w", {4, 4, 1, 1}, std::vector<float>(16, 1.0f)).node("Conv", {"x", "w"}, {"y"}, {{"group", std::int64_t{0}}}); }, "groups"},
      {"dilation", [](OnnxBuilder& m) { m.reals("w", {4, 4, 3, 3}, std::vector<float>(144, 1.0f)).node("Conv", {"x", "w"}, {"y"}, {{"dilations", Ints{0, 1}}}); }, "dilations"},
      {"far", [](OnnxBuilder& m) { m.reals("w", {4, 4, 3, 3}, std::vector<float>(144, 1.0f)).node("Conv", {"x", "w"}, {"y"}, {{"dilations", Ints{4000, 1}}}); }, "dilations"},
  };
  for (const Bad& bad : cases) {
    OnnxBuilder m;
    m.input("x", {-1, 4, 8, 8}).output("y");
    bad.write(m);
    const std::string message = refusal_of(m);
    EXPECT_THAT(message, HasSubstr(bad.says)) << bad.what;
    EXPECT_THAT(message, HasSubstr("instead: ")) << bad.what;
  }
}

// --- what is said ------------------------------------------------------------------------------------------------------

TEST(OnnxExporters, RefusalsNameTheNextStep) {
  OnnxBuilder softmax;
  softmax.input("x", {1, 2}).output("y").node("Mul", {"x", "x"}, {"logits"}).node("Softmax", {"logits"}, {"y"});
  EXPECT_THAT(refusal_of(softmax), HasSubstr("apply it after decryption"));
  EXPECT_THAT(refusal_of(softmax), HasSubstr("'logits'"));
  EXPECT_THAT(refusal_of(softmax), HasSubstr("extract_model"));

  OnnxBuilder two;
  two.input("x", {1, 2}).output("y").output("z").node("Mul", {"x", "x"}, {"y"}).node("Neg", {"x"}, {"z"});
  EXPECT_THAT(refusal_of(two), HasSubstr("extract_model"));

  OnnxBuilder function;
  function.input("x", {1, 2}).output("y").function("pkg.torch", "aten_square").node("aten_square", {"x"}, {"y"}, {}, "", "pkg.torch");
  EXPECT_THAT(refusal_of(function), HasSubstr("function of the model"));
  EXPECT_THAT(refusal_of(function), HasSubstr("inline_local_functions"));

  OnnxBuilder stranger;
  stranger.input("x", {1, 2}).output("y").node("FusedConv", {"x"}, {"y"}, {}, "", "com.microsoft");
  EXPECT_THAT(refusal_of(stranger), HasSubstr("com.microsoft"));
  EXPECT_THAT(refusal_of(stranger), HasSubstr("standard operators"));

  OnnxBuilder external;
  external.input("x", {1, 2}).output("y").reals("w", {2}, {1, 2}).make_external("w").node("Mul", {"x", "w"}, {"y"});
  EXPECT_THAT(refusal_of(external), HasSubstr("external_data=False"));

  OnnxBuilder lone;   // an image without a batch
  lone.input("x", {3, 8, 8}).output("y").node("Mul", {"x", "x"}, {"y"});
  EXPECT_THAT(refusal_of(lone), HasSubstr("[1, 3, 8, 8]"));
}

TEST(OnnxExporters, AnInputThatOnlyAForgottenHeadReadsDoesNotMatter) {
  OnnxBuilder model;
  model.input("x", {1, 2}).input("labels", {1, 2}).output("y").node("Mul", {"x", "x"}, {"y"}).node("Sub", {"y", "labels"}, {"loss"});
  expect_computes(model, {3, -2}, {9, 4});
}

TEST(OnnxExporters, NewestOpsetsAreRead) {
  for (int opset : {22, 23}) {
    OnnxBuilder model(opset);
    model.input("x", {-1, 2}).output("y").node("Mul", {"x", "x"}, {"y"});
    expect_computes(model, {3, -2}, {9, 4});
  }
}

// Thousands of affine maps in a row, and as many sums with the first.
TEST(OnnxExporters, SumsAcrossLongChainsTakeNoQuadraticTime) {
  OnnxBuilder m;
  std::vector<float> scale(64, 1.0f);
  scale[0] = 0.5f;
  m.input("x", {1, 64}).reals("s", {64}, scale);
  for (int i = 0; i < 4500; ++i) m.node("Mul", {i == 0 ? std::string("x") : numbered("t", static_cast<std::size_t>(i)), "s"}, {numbered("t", static_cast<std::size_t>(i) + 1)});
  for (int i = 0; i < 4500; ++i) m.node("Add", {i == 0 ? std::string("t4500") : numbered("u", static_cast<std::size_t>(i)), i == 0 ? std::string("x") : numbered("t", 4500)}, {numbered("u", static_cast<std::size_t>(i) + 1)});
  for (int i = 0; i < 900; ++i) m.node("Add", {"t4500", i % 2 == 0 ? std::string("x") : std::string("t1")}, {numbered("v", static_cast<std::size_t>(i))});
  std::string sum = "u4500";
  for (int i = 0; i < 90; ++i) {
    m.node("Add", {sum, numbered("v", static_cast<std::size_t>(i))}, {numbered("w", static_cast<std::size_t>(i))});
    sum = numbered("w", static_cast<std::size_t>(i));
  }
  m.output(sum);
  const auto start = std::chrono::steady_clock::now();
  (void)import_onnx(m.bytes());   // taken or refused
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace brainlock::compiler
