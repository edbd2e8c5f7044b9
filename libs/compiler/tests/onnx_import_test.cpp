// Every operator form against plain loops that know nothing of the importer.
#include "brainlock/compiler/onnx_import.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "onnx_expect.hpp"

namespace brainlock::compiler {
namespace {

using Attributes = OnnxBuilder::Attributes;
using Ints = std::vector<std::int64_t>;

TEST(OnnxImport, ConvolutionsOfRandomShapeMatchTheDefinition) {
  Rng rng(1);
  for (int round = 0; round < 120; ++round) {
    ConvCase c{random_int(rng, 1, 4), random_int(rng, 1, 9), random_int(rng, 1, 9), random_int(rng, 1, 5),
               random_int(rng, 1, 4), random_int(rng, 1, 4), random_int(rng, 1, 3), random_int(rng, 1, 3),
               random_int(rng, 0, 2), random_int(rng, 0, 2), random_int(rng, 0, 2), random_int(rng, 0, 2)};
    if (c.h + c.pt + c.pb < c.kh || c.w + c.pl + c.pr < c.kw) continue;
    const auto x = random_reals(rng, c.in * c.h * c.w), w = random_reals(rng, c.out * c.in * c.kh * c.kw);
    const bool with_bias = random_int(rng, 0, 1) == 1;
    const auto b = with_bias ? random_reals(rng, c.out) : std::vector<float>{};
    const int opset = random_int(rng, 7, 17);
    OnnxBuilder model(opset);
    model.input("x", {random_int(rng, 0, 1) == 1 ? -1 : 1, c.in, c.h, c.w}).output("y");
    model.reals("w", {c.out, c.in, c.kh, c.kw}, w, round % 2 == 0 ? Storage::kRaw : Storage::kTyped);
    if (opset < 9) model.list_as_input("w");
    std::vector<std::string> inputs{"x", "w"};
    if (with_bias) {
      model.reals("b", {c.out}, b);
      inputs.push_back("b");
    }
    Attributes attributes{{"strides", Ints{c.sh, c.sw}},
                          {"pads", Ints{c.pt, c.pl, c.pb, c.pr}},
                          {"dilations", Ints{1, 1}},
                          {"group", std::int64_t{1}}};
    if (round % 3 != 0) attributes.push_back({"kernel_shape", Ints{c.kh, c.kw}});
    model.node("Conv", inputs, {"y"}, attributes);
    expect_computes(model, x, conv_by_definition(c, x, w, b), "round " + std::to_string(round));
  }
}

TEST(OnnxImport, SamePaddingPutsTheOddOneAtTheNamedEnd) {
  Rng rng(2);
  for (const std::string mode : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    for (int h = 3; h <= 8; ++h) {
      for (int k = 1; k <= 3; ++k) {
        for (int s = 1; s <= 3; ++s) {
          const int outputs = (h + s - 1) / s, total = mode == "VALID" ? 0 : std::max(0, (outputs - 1) * s + k - h);
          const int small = total / 2, large = total - total / 2;
          const int before = mode == "SAME_UPPER" ? small : large, after = mode == "SAME_UPPER" ? large : small;
          const ConvCase c{2, h, h + 1, 3, k, 1, s, 1, before, 0, after, 0};
          const auto x = random_reals(rng, c.in * c.h * c.w), w = random_reals(rng, c.out * c.in * c.kh);
          OnnxBuilder model;
          model.input("x", {1, c.in, c.h, c.w}).output("y").reals("w", {c.out, c.in, c.kh, 1}, w);
          model.node("Conv", {"x", "w"}, {"y"}, {{"auto_pad", mode}, {"strides", Ints{s, 1}}});
          expect_computes(model, x, conv_by_definition(c, x, w, {}), mode);
        }
      }
    }
  }
}

TEST(OnnxImport, OneDimensionalConvolutionIsAConvolutionOfHeightOne) {
  Rng rng(3);
  const ConvCase c{2, 1, 9, 3, 1, 3, 1, 2, 0, 1, 0, 1};
  const auto x = random_reals(rng, 18), w = random_reals(rng, 18);
  OnnxBuilder model;
  model.input("x", {1, 2, 9}).output("y").reals("w", {3, 2, 3}, w);
  model.node("Conv", {"x", "w"}, {"y"}, {{"strides", Ints{2}}, {"pads", Ints{1, 1}}});
  expect_computes(model, x, conv_by_definition(c, x, w, {}));
}

TEST(OnnxImport, GemmTakesAlphaBetaAndBothOrders) {
  Rng rng(4);
  for (int round = 0; round < 32; ++round) {
    const int in = random_int(rng, 1, 9), out = random_int(rng, 1, 7);
    const bool transposed = (round & 1) != 0, scaled = (round & 2) != 0;
    const int bias_form = (round >> 2) % 4;  // none, scalar, [out], [1, out]
    const auto x = random_reals(rng, in), w = random_reals(rng, in * out),
               b = random_reals(rng, bias_form == 1 ? 1 : out);
    const float alpha = scaled ? 0.5f : 1.0f, beta = scaled ? -2.0f : 1.0f;
    OnnxBuilder model(random_int(rng, 7, 17));
    model.input("x", {-1, in}).output("y");
    if (transposed)
      model.reals("w", {out, in}, w);
    else
      model.reals("w", {in, out}, w);
    std::vector<std::string> inputs{"x", "w"};
    if (bias_form != 0) {
      model.reals("b", bias_form == 1 ? Ints{1} : bias_form == 2 ? Ints{out} : Ints{1, out}, b);
      inputs.push_back("b");
    }
    Attributes attributes{{"transB", std::int64_t{transposed}}};
    if (scaled) attributes.insert(attributes.end(), {{"alpha", alpha}, {"beta", beta}});
    model.node("Gemm", inputs, {"y"}, attributes);
    std::vector<double> expected;
    for (int m = 0; m < out; ++m) {
      double sum = 0;
      for (int k = 0; k < in; ++k) sum += static_cast<double>(x[k]) * (transposed ? w[m * in + k] : w[k * out + m]);
      expected.push_back(alpha * sum + (bias_form == 0 ? 0 : beta * b[bias_form == 1 ? 0 : m]));
    }
    expect_computes(model, x, expected, "round " + std::to_string(round));
  }
}

TEST(OnnxImport, MatMulAndAddIsOneDenseLayer) {
  Rng rng(5);
  const auto x = random_reals(rng, 12), w = random_reals(rng, 36), b = random_reals(rng, 3);
  OnnxBuilder model;
  model.input("x", {-1, 3, 2, 2}).output("y").reals("wt", {3, 12}, w).reals("b", {3}, b);
  model.node("Flatten", {"x"}, {"f"}).node("Transpose", {"wt"}, {"w"}, {{"perm", Ints{1, 0}}});
  model.node("MatMul", {"f", "w"}, {"m"}).node("Add", {"b", "m"}, {"y"});
  std::vector<double> expected;
  for (int m = 0; m < 3; ++m) {
    double sum = b[m];
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(x[k]) * w[m * 12 + k];
    expected.push_back(sum);
  }
  expect_computes(model, x, expected);
  const Graph normal = normalise_ok(import_ok(model));
  ASSERT_EQ(normal.nodes.size(), 2u) << to_string(normal);
  EXPECT_EQ(normal.nodes[1].kind, OpKind::kDense);
}

TEST(OnnxImport, TransposedFeaturesReachTheirWeights) {
  // Channels last before Flatten, as models that began in TensorFlow have it.
  Rng rng(6);
  const auto x = random_reals(rng, 24), w = random_reals(rng, 48);
  OnnxBuilder model;
  model.input("x", {1, 2, 3, 4}).output("y").reals("w", {24, 2}, w).integers("shape", {2}, {0, -1});
  model.node("Transpose", {"x"}, {"t"}, {{"perm", Ints{0, 2, 3, 1}}}).node("Reshape", {"t", "shape"}, {"f"});
  model.node("MatMul", {"f", "w"}, {"y"});
  std::vector<double> expected(2, 0.0);
  for (int c = 0; c < 2; ++c) {
    for (int p = 0; p < 12; ++p) {
      for (int m = 0; m < 2; ++m) expected[m] += static_cast<double>(x[c * 12 + p]) * w[(p * 2 + c) * 2 + m];
    }
  }
  expect_computes(model, x, expected);
}

TEST(OnnxImport, PoolsOfRandomShapeMatchTheDefinition) {
  Rng rng(7);
  for (int round = 0; round < 60; ++round) {
    const int c = random_int(rng, 1, 3), h = random_int(rng, 1, 8), w = random_int(rng, 1, 8);
    int kh = random_int(rng, 1, h), kw = random_int(rng, 1, w), sh = random_int(rng, 1, 3), sw = random_int(rng, 1, 3);
    const int form = round % 4;  // AveragePool, GlobalAveragePool, ReduceMean keeping or dropping axes
    const auto x = random_reals(rng, c * h * w);
    OnnxBuilder model(random_int(rng, 7, 17));
    model.input("x", {-1, c, h, w}).output("y");
    if (form == 0) {
      model.node("AveragePool", {"x"}, {"y"}, {{"kernel_shape", Ints{kh, kw}}, {"strides", Ints{sh, sw}}});
    } else {
      kh = h, kw = w, sh = h, sw = w;
      if (form == 1)
        model.node("GlobalAveragePool", {"x"}, {"y"});
      else
        model.node("ReduceMean", {"x"}, {"y"},
                   {{"axes", form == 2 ? Ints{2, 3} : Ints{-1, -2}}, {"keepdims", std::int64_t{form == 2}}});
    }
    std::vector<double> expected;
    for (int k = 0; k < c; ++k) {
      for (int oy = 0; oy + kh <= h; oy += sh) {
        for (int ox = 0; ox + kw <= w; ox += sw) {
          double sum = 0;
          for (int p = 0; p < kh * kw; ++p) sum += x[(k * h + oy + p / kw) * w + ox + p % kw];
          expected.push_back(sum / (kh * kw));
        }
      }
    }
    expect_computes(model, x, expected, "round " + std::to_string(round));
  }
}

TEST(OnnxImport, BatchNormalizationMatchesItsFormula) {
  Rng rng(8);
  for (int opset : {7, 9, 14, 15, 17}) {
    const auto x = random_reals(rng, 3 * 4), scale = random_reals(rng, 3), shift = random_reals(rng, 3),
               mean = random_reals(rng, 3), variance = random_reals(rng, 3, 0.1f, 2);
    OnnxBuilder model(opset);
    model.input("x", {1, 3, 2, 2}).output("y");
    model.reals("s", {3}, scale).reals("b", {3}, shift).reals("m", {3}, mean).reals("v", {3}, variance);
    model.node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"}, {{"epsilon", 1e-3f}, {"momentum", 0.9f}});
    std::vector<double> expected;
    for (int i = 0; i < 12; ++i) {
      expected.push_back((x[i] - mean[i / 4]) / std::sqrt(static_cast<double>(variance[i / 4]) + 1e-3f) * scale[i / 4] +
                         shift[i / 4]);
    }
    expect_computes(model, x, expected, "opset " + std::to_string(opset));
  }
}

TEST(OnnxImport, BatchNormalizationBehindFlattenGoesIntoTheDenseLayer) {
  Rng rng(9);
  const auto x = random_reals(rng, 8), s = random_reals(rng, 8), b = random_reals(rng, 8), m = random_reals(rng, 8),
             v = random_reals(rng, 8, 0.5f, 2), w = random_reals(rng, 24);
  OnnxBuilder model;
  model.input("x", {1, 2, 2, 2})
      .output("y")
      .reals("s", {8}, s)
      .reals("b", {8}, b)
      .reals("m", {8}, m)
      .reals("v", {8}, v)
      .reals("w", {3, 8}, w);
  model.node("Flatten", {"x"}, {"f"}).node("BatchNormalization", {"f", "s", "b", "m", "v"}, {"n"});
  model.node("Gemm", {"n", "w"}, {"y"}, {{"transB", std::int64_t{1}}});
  std::vector<double> expected(3, 0.0);
  for (int k = 0; k < 8; ++k) {
    const double n = (x[k] - m[k]) / std::sqrt(static_cast<double>(v[k]) + 1e-5f) * s[k] + b[k];
    for (int o = 0; o < 3; ++o) expected[o] += n * w[o * 8 + k];
  }
  expect_computes(model, x, expected);
  EXPECT_EQ(normalise_ok(import_ok(model)).nodes.size(), 2u);
}

// Ways to write a x^2 + b x + c; each makes "y" of "x" with the constants "a", "b", "c".
using Writer = void (*)(OnnxBuilder&);
const std::pair<const char*, Writer> kQuadratics[] = {
    {"a*(x*x) + b*x + c",
     [](OnnxBuilder& m) {
       m.node("Mul", {"x", "x"}, {"xx"}).node("Mul", {"a", "xx"}, {"axx"}).node("Mul", {"x", "b"}, {"bx"});
       m.node("Add", {"axx", "bx"}, {"s"}).node("Add", {"s", "c"}, {"y"});
     }},
    {"Pow",
     [](OnnxBuilder& m) {
       m.constant("two", {}, {2}).node("Pow", {"x", "two"}, {"xx"}).node("Mul", {"xx", "a"}, {"axx"});
       m.node("Mul", {"b", "x"}, {"bx"}).node("Add", {"bx", "c"}, {"l"}).node("Add", {"l", "axx"}, {"y"});
     }},
    {"Horner",
     [](OnnxBuilder& m) {
       m.node("Mul", {"x", "a"}, {"ax"})
           .node("Add", {"b", "ax"}, {"h"})
           .node("Mul", {"h", "x"}, {"hx"})
           .node("Add", {"hx", "c"}, {"y"});
     }},
    {"(a*x)*x",
     [](OnnxBuilder& m) {
       m.node("Mul", {"x", "a"}, {"ax"}).node("Mul", {"ax", "x"}, {"axx"}).node("Mul", {"b", "x"}, {"bx"});
       m.node("Sum", {"axx", "bx", "c"}, {"y"});
     }},
    {"differences",
     [](OnnxBuilder& m) {
       m.node("Neg", {"x"}, {"n"})
           .node("Mul", {"n", "x"}, {"nx"})
           .node("Mul", {"nx", "a"}, {"p"})
           .node("Mul", {"n", "b"}, {"q"});
       m.node("Sub", {"c", "p"}, {"r"}).node("Sub", {"r", "q"}, {"y"});
     }},
    {"through Identity and Dropout",
     [](OnnxBuilder& m) {
       m.node("Identity", {"x"}, {"i"}).node("Dropout", {"x"}, {"d", "mask"}).node("Mul", {"i", "d"}, {"xx"});
       m.node("Mul", {"xx", "a"}, {"axx"})
           .node("Mul", {"i", "b"}, {"bx"})
           .node("Add", {"axx", "bx"}, {"s"})
           .node("Add", {"s", "c"}, {"y"});
     }},
    {"divided and undone",
     [](OnnxBuilder& m) {
       m.node("Div", {"x", "a"}, {"z"})
           .node("Mul", {"z", "z"}, {"zz"})
           .node("Mul", {"zz", "a"}, {"u"})
           .node("Mul", {"u", "a"}, {"xx"});
       m.node("Mul", {"xx", "a"}, {"axx"})
           .node("Mul", {"x", "b"}, {"bx"})
           .node("Add", {"axx", "bx"}, {"s"})
           .node("Add", {"s", "c"}, {"y"});
     }},
};

TEST(OnnxImport, QuadraticsAreRecognisedHoweverTheyAreWritten) {
  Rng rng(10);
  for (const auto& [name, write] : kQuadratics) {
    for (const Ints& form : {Ints{}, Ints{1}, Ints{3, 1, 1}, Ints{1, 3, 1, 1}}) {
      const std::size_t count = form.size() < 3 ? 1 : 3;
      const auto x = random_reals(rng, 3 * 4, -2, 2), a = random_reals(rng, count, 0.1f, 1),
                 b = random_reals(rng, count), c = random_reals(rng, count);
      OnnxBuilder model;
      model.input("x", {-1, 3, 2, 2}).output("y").reals("a", form, a).reals("b", form, b).reals("c", form, c);
      write(model);
      std::vector<double> expected;
      for (int i = 0; i < 12; ++i) {
        const std::size_t k = count == 1 ? 0 : i / 4;
        expected.push_back(static_cast<double>(a[k]) * x[i] * x[i] + static_cast<double>(b[k]) * x[i] + c[k]);
      }
      expect_computes(model, x, expected, name);
      const Graph normal = normalise_ok(import_ok(model));
      ASSERT_EQ(normal.nodes.size(), 2u) << name << "\n" << to_string(normal);
      EXPECT_EQ(normal.nodes[1].kind, OpKind::kQuadratic);
      EXPECT_NEAR(normal.nodes[1].quadratic().a[2], a[count - 1], 1e-5);
    }
  }
}

TEST(OnnxImport, PolynomialsOfHigherDegreeKeepTheirCoefficients) {
  const std::vector<float> x{-1.5f, -0.25f, 0, 0.75f, 1.25f, 2};
  OnnxBuilder model;  // ((0.5 x - 1) x + 2) x + 3, and its square added: degree 6
  model.input("x", {1, 6})
      .output("y")
      .constant("c3", {}, {0.5f})
      .constant("c2", {}, {-1})
      .constant("c1", {}, {2})
      .constant("c0", {}, {3});
  model.node("Mul", {"x", "c3"}, {"h1"})
      .node("Add", {"h1", "c2"}, {"h2"})
      .node("Mul", {"h2", "x"}, {"h3"})
      .node("Add", {"h3", "c1"}, {"h4"});
  model.node("Mul", {"h4", "x"}, {"h5"})
      .node("Add", {"h5", "c0"}, {"p"})
      .node("Mul", {"p", "p"}, {"pp"})
      .node("Add", {"p", "pp"}, {"y"});
  std::vector<double> expected;
  for (double v : x) {
    const double p = ((0.5 * v - 1) * v + 2) * v + 3;
    expected.push_back(p + p * p);
  }
  expect_computes(model, x, expected);
  const Graph graph = import_ok(model);
  ASSERT_EQ(graph.nodes.size(), 2u);
  ASSERT_EQ(graph.nodes[1].kind, OpKind::kPolynomial);
  EXPECT_EQ(graph.nodes[1].polynomial().coefficients, (std::vector<std::vector<double>>{{12}, {14}, {-3}, {-0.5}, {3}, {-1}, {0.25}}));
}

// Horner's form with coefficients that differ between channels.
TEST(OnnxImport, PolynomialsMayHaveCoefficientsPerChannel) {
  Rng rng(17);
  const auto x = random_reals(rng, 3 * 4);
  const std::vector<std::vector<float>> c{{0.5f, -1, 2}, {1, 0.25f, -0.5f}, {0.3f, 0.2f, 0.1f}, {-0.2f, 0, 0.4f}, {0.05f, 0.1f, -0.3f}};
  OnnxBuilder model;
  model.input("x", {1, 3, 2, 2}).output("y");
  for (std::size_t k = 0; k < c.size(); ++k) model.reals(numbered("c", k), {3, 1, 1}, c[k]);
  model.node("Mul", {"x", "c4"}, {"m4"}).node("Add", {"m4", "c3"}, {"s3"}).node("Mul", {"s3", "x"}, {"m3"});
  model.node("Add", {"m3", "c2"}, {"s2"}).node("Mul", {"s2", "x"}, {"m2"}).node("Add", {"m2", "c1"}, {"s1"});
  model.node("Mul", {"x", "s1"}, {"m1"}).node("Add", {"m1", "c0"}, {"y"});
  std::vector<double> expected;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double p = 0;
    for (std::size_t k = c.size(); k-- > 0;) p = p * static_cast<double>(x[i]) + static_cast<double>(c[k][i / 4]);
    expected.push_back(p);
  }
  expect_computes(model, x, expected);
  const Graph normal = normalise_ok(import_ok(model));
  ASSERT_EQ(normal.nodes.size(), 2u) << to_string(normal);
  ASSERT_EQ(normal.nodes[1].kind, OpKind::kPolynomial);
  EXPECT_NEAR(normal.nodes[1].polynomial().at(4, 2), -0.3, 1e-6);
  EXPECT_NEAR(normal.nodes[1].polynomial().at(0, 1), -1, 1e-6);
}

TEST(OnnxImport, RepeatedSquaresBeyondTheLimitBecomeSeveralActivations) {
  const std::vector<float> x{-1.25f, 0.5f, 1};
  OnnxBuilder model;
  model.input("x", {1, 3}).output("y");
  model.node("Mul", {"x", "x"}, {"x2"}).node("Mul", {"x2", "x2"}, {"x4"}).node("Mul", {"x4", "x4"}, {"x8"}).node("Mul", {"x8", "x8"}, {"y"});
  std::vector<double> expected;
  for (float v : x) expected.push_back(std::pow(static_cast<double>(v), 16));
  expect_computes(model, x, expected);
  const Graph graph = import_ok(model);
  ASSERT_EQ(graph.nodes.size(), 3u) << to_string(graph);
  EXPECT_EQ(graph.nodes[1].polynomial().coefficients.size(), 9u);
  EXPECT_EQ(graph.nodes[2].kind, OpKind::kQuadratic);
}

TEST(OnnxImport, CubicBehindBatchNormalizationSharesItsCoefficients) {
  Rng rng(11);
  const auto x = random_reals(rng, 2 * 4), w = random_reals(rng, 2 * 2);
  OnnxBuilder model;
  model.input("x", {1, 2, 2, 2}).output("y").reals("w", {2, 2, 1, 1}, w);
  model.reals("s", {2}, {0.5f, 2})
      .reals("b", {2}, {0.1f, -0.3f})
      .reals("m", {2}, {0.2f, 0.1f})
      .reals("v", {2}, {1, 0.5f});
  model.node("Conv", {"x", "w"}, {"t"})
      .node("BatchNormalization", {"t", "s", "b", "m", "v"}, {"n"})
      .constant("three", {}, {3});
  model.node("Pow", {"n", "three"}, {"p"}).node("Add", {"p", "n"}, {"y"});
  std::vector<double> expected;
  const double s[] = {0.5f, 2}, b[] = {0.1f, -0.3f}, m[] = {0.2f, 0.1f}, v[] = {1, 0.5f};
  for (int c = 0; c < 2; ++c) {
    for (int i = 0; i < 4; ++i) {
      const double t = static_cast<double>(w[2 * c]) * x[i] + static_cast<double>(w[2 * c + 1]) * x[4 + i];
      const double n = (t - m[c]) / std::sqrt(v[c] + 1e-5) * s[c] + b[c];
      expected.push_back(n * n * n + n);
    }
  }
  expect_computes(model, x, expected);
  const Graph normal = normalise_ok(import_ok(model));
  ASSERT_EQ(normal.nodes.size(), 3u) << to_string(normal);  // the normalisation went into the convolution
  EXPECT_EQ(normal.nodes[2].kind, OpKind::kPolynomial);
}

TEST(OnnxImport, ResidualBranchesBecomeOneAdd) {
  Rng rng(12);
  const auto x = random_reals(rng, 2 * 9), w = random_reals(rng, 2 * 2 * 9);
  OnnxBuilder model;
  model.input("x", {1, 2, 3, 3}).output("y").reals("w", {2, 2, 3, 3}, w);
  model.node("Conv", {"x", "w"}, {"t"}, {{"pads", Ints{1, 1, 1, 1}}})
      .node("Mul", {"t", "t"}, {"q"})
      .node("Sub", {"x", "q"}, {"y"});
  const auto t = conv_by_definition({2, 3, 3, 2, 3, 3, 1, 1, 1, 1, 1, 1}, x, w, {});
  std::vector<double> expected;
  for (int i = 0; i < 18; ++i) expected.push_back(x[i] - t[i] * t[i]);
  expect_computes(model, x, expected);
  const Graph graph = normalise_ok(import_ok(model));
  ASSERT_EQ(graph.nodes.size(), 4u) << to_string(graph);
  EXPECT_EQ(graph.nodes[3].kind, OpKind::kAdd);
}

TEST(OnnxImport, ShapeArithmeticOfExportersIsFollowed) {
  // x.view(x.size(0), -1) as older exporters write it, and a reshape whose constant went through Cast and Slice.
  Rng rng(13);
  const auto x = random_reals(rng, 8), w = random_reals(rng, 16);
  OnnxBuilder model(11);
  model.input("x", {-1, 2, 2, 2})
      .output("y")
      .reals("w", {2, 8}, w)
      .integers("zero", {}, {0})
      .integers("rest", {1}, {-1});
  model.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "zero"}, {"n"}, {{"axis", std::int64_t{0}}});
  model.node("Unsqueeze", {"n"}, {"n1"}, {{"axes", Ints{0}}})
      .node("Concat", {"n1", "rest"}, {"shape"}, {{"axis", std::int64_t{0}}});
  model.node("Cast", {"shape"}, {"shape64"}, {{"to", std::int64_t{7}}}).node("Reshape", {"x", "shape64"}, {"f"});
  model.node("Gemm", {"f", "w"}, {"y"}, {{"transB", std::int64_t{1}}});
  std::vector<double> expected(2, 0.0);
  for (int m = 0; m < 2; ++m) {
    for (int k = 0; k < 8; ++k) expected[m] += static_cast<double>(x[k]) * w[m * 8 + k];
  }
  expect_computes(model, x, expected);
}

TEST(OnnxImport, FlatInputReshapedToAnImageIsThatImage) {
  Rng rng(14);
  const ConvCase c{1, 4, 4, 2, 3, 3, 1, 1, 0, 0, 0, 0};
  const auto x = random_reals(rng, 16), w = random_reals(rng, 18);
  OnnxBuilder model;
  model.input("x", {-1, 16}).output("y").integers("shape", {4}, {-1, 1, 4, 4}).reals("w", {2, 1, 3, 3}, w);
  model.node("Reshape", {"x", "shape"}, {"i"}).node("Conv", {"i", "w"}, {"y"});
  expect_computes(model, x, conv_by_definition(c, x, w, {}));
}

TEST(OnnxImport, EveryStorageOfWeightsReadsTheSame) {
  const std::vector<float> w{0.5f, -1.25f, 2, 0.0625f}, x{3, -1};
  for (Storage storage : {Storage::kRaw, Storage::kTyped, Storage::kDouble, Storage::kHalf}) {
    OnnxBuilder model;
    model.input("x", {1, 2}).output("y").reals("w", {2, 2}, w, storage).node("MatMul", {"x", "w"}, {"y"});
    expect_computes(model, x, {-0.5, -3.8125});
  }
}

TEST(OnnxImport, NodesKeepTheirNamesAndDeadBranchesAreLeftOut) {
  OnnxBuilder model;
  model.input("x", {1, 2}).output("y").reals("w", {2, 2}, {1, 0, 0, 1});
  model.node("MatMul", {"x", "w"}, {"h"}, {}, "first")
      .node("Relu", {"h"}, {"unused"})
      .node("Mul", {"h", "h"}, {"s"}, {}, "square");
  model.node("MatMul", {"s", "w"}, {"y"}, {}, "last");
  const Graph graph = import_ok(model);
  ASSERT_EQ(graph.nodes.size(), 4u);
  EXPECT_EQ(graph.nodes[0].name, "x");
  EXPECT_EQ(graph.nodes[1].name, "first");
  EXPECT_EQ(graph.nodes[2].name, "square");
  EXPECT_EQ(graph.nodes[3].name, "last");
  EXPECT_EQ(graph.model_name, "test_net");
}

}  // namespace
}  // namespace brainlock::compiler
