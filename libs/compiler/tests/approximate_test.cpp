// Models with any activations: what they compute as they are, and with polynomials in their place.
#include "brainlock/compiler/approximate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "onnx_builder.hpp"

namespace brainlock::compiler {
namespace {

using Samples = std::vector<std::vector<float>>;

Samples random_samples(unsigned seed, std::size_t count, std::size_t size, float low = -1, float high = 1) {
  Rng rng(seed);
  Samples out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(random_reals(rng, size, low, high));
  return out;
}

std::size_t count_kind(const Graph& graph, OpKind kind) {
  return static_cast<std::size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.kind == kind; }));
}

Graph with_functions(const OnnxBuilder& model) {
  auto graph = import_with_functions(model.bytes());
  EXPECT_TRUE(graph.ok()) << graph.error().to_string();
  return graph.ok() ? std::move(*graph) : Graph{};
}

/// image [1, 4] -> activation(s) from "x" to "y"; what the graph computes must be f, element by element, in `functions` functions.
void expect_function(OnnxBuilder model, std::size_t functions, const std::function<double(double)>& f) {
  const Graph graph = with_functions(model.output("y"));
  ASSERT_FALSE(graph.nodes.empty());
  EXPECT_EQ(count_kind(graph, OpKind::kFunction), functions) << to_string(graph);
  for (const auto& x : random_samples(3, 20, 4, -4, 4)) {
    const auto y = run_float(graph, x);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(y[i], f(x[i]), 1e-5 * (1 + std::fabs(f(x[i])))) << "at " << x[i];
  }
}

OnnxBuilder on_vector(int opset = 13) {
  OnnxBuilder model(opset);
  model.input("x", {1, 4});
  return model;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Approximate, OperatorsOfOneTensorAreOneFunction) {
  expect_function(std::move(on_vector().node("Relu", {"x"}, {"y"})), 1, [](double x) { return std::max(x, 0.0); });
  // SiLU, as PyTorch writes it.
  expect_function(std::move(on_vector().node("Sigmoid", {"x"}, {"s"}).node("Mul", {"x", "s"}, {"y"})), 1, [](double x) { return x * sigmoid(x); });
  // GELU by the error function, as PyTorch writes it.
  expect_function(std::move(on_vector()
                                .constant("root", {}, {1.41421356F})
                                .constant("one", {}, {1})
                                .constant("half", {}, {0.5F})
                                .node("Div", {"x", "root"}, {"a"})
                                .node("Erf", {"a"}, {"b"})
                                .node("Add", {"b", "one"}, {"c"})
                                .node("Mul", {"x", "c"}, {"d"})
                                .node("Mul", {"d", "half"}, {"y"})),
                  1, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); });
  // Hard swish in pieces, its bounds as inputs of Clip.
  expect_function(std::move(on_vector()
                                .reals("three", {}, {3})
                                .reals("zero", {}, {0})
                                .reals("six", {}, {6})
                                .node("Add", {"x", "three"}, {"a"})
                                .node("Clip", {"a", "zero", "six"}, {"b"})
                                .node("Mul", {"x", "b"}, {"c"})
                                .node("Div", {"c", "six"}, {"y"})),
                  1, [](double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; });
  expect_function(std::move(on_vector(6 + 3).node("Clip", {"x"}, {"y"}, {{"min", 0.0F}, {"max", 1.5F}})), 1, [](double x) { return std::clamp(x, 0.0, 1.5); });
  expect_function(std::move(on_vector().reals("slope", {1}, {0.3F}).node("PRelu", {"x", "slope"}, {"y"})), 1, [](double x) { return x < 0 ? 0.3F * x : x; });
  expect_function(std::move(on_vector().reals("zero", {}, {0}).node("Max", {"x", "zero"}, {"y"})), 1, [](double x) { return std::max(x, 0.0); });
  expect_function(std::move(on_vector().reals("two", {}, {2}).node("Exp", {"x"}, {"e"}).node("Div", {"two", "e"}, {"y"})), 1, [](double x) { return 2 * std::exp(-x); });
}

TEST(Approximate, PolynomialsStayAsTheyAre) {
  // x^2 / 2 between two ReLUs is no function to be replaced; a polynomial of a function is part of it.
  OnnxBuilder model = on_vector();
  model.reals("half", {}, {0.5F}).reals("w", {4, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
  model.node("Mul", {"x", "x"}, {"a"}).node("Mul", {"a", "half"}, {"b"}).node("MatMul", {"b", "w"}, {"c"}).node("Tanh", {"c"}, {"d"}).node("Mul", {"d", "d"}, {"e"});
  model.node("Neg", {"e"}, {"y"});
  expect_function(std::move(model), 1, [](double x) { return -std::pow(std::tanh(x * x / 2), 2); });
}

TEST(Approximate, FunctionsOfDifferentTensorsStayApart) {
  // A gate: the sigmoid of one layer times another one.
  OnnxBuilder model = on_vector();
  model.reals("w", {4, 4}, {2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2}).node("MatMul", {"x", "w"}, {"a"}).node("Sigmoid", {"a"}, {"s"}).node("Mul", {"x", "s"}, {"y"});
  expect_function(std::move(model), 1, [](double x) { return x * sigmoid(2 * x); });
}

TEST(Approximate, LongChainsAreCut) {
  OnnxBuilder model = on_vector();
  std::string at = "x";
  for (int k = 0; k < 100; ++k) {
    const std::string next = k == 99 ? "y" : numbered("t", static_cast<std::size_t>(k));
    model.node(k % 2 == 0 ? "Tanh" : "Softsign", {at}, {next});
    at = next;
  }
  expect_function(std::move(model), 7, [](double x) {   // by 16 tensors at a time
    for (int k = 0; k < 100; ++k) x = k % 2 == 0 ? std::tanh(x) : x / (1 + std::fabs(x));
    return x;
  });
}

// --- operators that divide ---------------------------------------------------------------------------------------------

constexpr int kTokens = 3, kFeatures = 5;

OnnxBuilder on_tokens(int opset) {
  OnnxBuilder model(opset);
  model.input("x", {1, kTokens, kFeatures}).output("y");
  // A layer behind it, so that a Softmax is not the answer.
  std::vector<float> unit(kFeatures * kFeatures, 0.0F);
  for (std::size_t i = 0; i < kFeatures; ++i) unit[i * kFeatures + i] = 1;
  model.reals("unit", {kFeatures, kFeatures}, unit);
  return model;
}

void expect_rows(const OnnxBuilder& model, const std::function<std::vector<double>(const std::vector<double>&)>& row) {
  const Graph graph = with_functions(model);
  ASSERT_FALSE(graph.nodes.empty());
  for (const auto& x : random_samples(5, 10, kTokens * kFeatures, -2, 2)) {
    const auto y = run_float(graph, x);
    ASSERT_EQ(y.size(), x.size());
    for (std::size_t t = 0; t < kTokens; ++t) {
      const auto want = row({x.begin() + static_cast<std::ptrdiff_t>(t * kFeatures), x.begin() + static_cast<std::ptrdiff_t>((t + 1) * kFeatures)});
      for (std::size_t k = 0; k < kFeatures; ++k) EXPECT_NEAR(y[t * kFeatures + k], want[k], 2e-5);
    }
  }
}

std::vector<double> softmax(std::vector<double> x) {
  double sum = 0;
  for (double& v : x) sum += v = std::exp(v);
  for (double& v : x) v /= sum;
  return x;
}

std::vector<double> layer_norm(std::vector<double> x, double epsilon) {
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / kFeatures;
  for (const double v : x) variance += (v - mean) * (v - mean) / kFeatures;
  for (double& v : x) v = (v - mean) / std::sqrt(variance + epsilon);
  return x;
}

TEST(Approximate, SoftmaxIsExponentialsAndAReciprocal) {
  for (const int opset : {13, 18})
    for (const std::int64_t axis : {-1, 2}) {
      OnnxBuilder model = on_tokens(opset);
      model.node("Softmax", {"x"}, {"s"}, {{"axis", axis}}).node("MatMul", {"s", "unit"}, {"y"});
      expect_rows(model, softmax);
      EXPECT_EQ(count_kind(with_functions(model), OpKind::kFunction), 2U);
    }
}

TEST(Approximate, SoftmaxAlongOtherAxesIsRefused) {
  OnnxBuilder model = on_tokens(13);
  model.node("Softmax", {"x"}, {"s"}, {{"axis", std::int64_t{1}}}, "columns").node("MatMul", {"s", "unit"}, {"y"});
  const auto graph = import_with_functions(model.bytes());
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(graph.error().message, testing::HasSubstr("columns"));
}

TEST(Approximate, LayerNormalizationInOnePieceAndInMany) {
  const std::vector<float> scale{1, 2, 0.5F, -1, 1}, shift{0, 0.1F, 0.2F, 0, -0.3F};
  const auto expected = [&](const std::vector<double>& x) {
    auto y = layer_norm(x, 1e-3);
    for (std::size_t k = 0; k < y.size(); ++k) y[k] = y[k] * scale[k] + shift[k];
    return y;
  };
  OnnxBuilder one = on_tokens(17);
  one.reals("g", {kFeatures}, scale).reals("b", {kFeatures}, shift);
  one.node("LayerNormalization", {"x", "g", "b"}, {"n"}, {{"epsilon", 1e-3F}}).node("MatMul", {"n", "unit"}, {"y"});
  expect_rows(one, expected);
  EXPECT_EQ(count_kind(with_functions(one), OpKind::kFunction), 1U);

  // As PyTorch writes it for opsets below 17.
  OnnxBuilder many = on_tokens(13);
  many.reals("g", {kFeatures}, scale).reals("b", {kFeatures}, shift).reals("two", {}, {2}).reals("e", {}, {1e-3F});
  const OnnxBuilder::Attributes last{{"axes", std::vector<std::int64_t>{-1}}};
  many.node("ReduceMean", {"x"}, {"m"}, last).node("Sub", {"x", "m"}, {"d"}).node("Pow", {"d", "two"}, {"q"}).node("ReduceMean", {"q"}, {"v"}, last);
  many.node("Add", {"v", "e"}, {"w"}).node("Sqrt", {"w"}, {"r"}).node("Div", {"d", "r"}, {"u"}).node("Mul", {"u", "g"}, {"s"}).node("Add", {"s", "b"}, {"n"});
  many.node("MatMul", {"n", "unit"}, {"y"});
  expect_rows(many, expected);
  EXPECT_EQ(count_kind(with_functions(many), OpKind::kFunction), 1U);
}

// --- whole models ------------------------------------------------------------------------------------------------------

/// Convolution, activation, pool, dense layer, activation, dense layer, softmax: 2x8x8 -> 3.
OnnxBuilder network(int opset, const std::string& activation, bool softmax = true) {
  Rng rng(11);
  OnnxBuilder m(opset);
  m.input("image", {-1, 2, 8, 8}).output("answer");
  m.reals("w1", {6, 2, 3, 3}, random_reals(rng, 108, -0.4F, 0.4F)).reals("b1", {6}, random_reals(rng, 6, -0.2F, 0.2F));
  m.reals("w2", {8, 54}, random_reals(rng, 432, -0.3F, 0.3F)).reals("b2", {8}, random_reals(rng, 8));
  m.reals("w3", {3, 8}, random_reals(rng, 24));
  m.node("Conv", {"image", "w1", "b1"}, {"c1"}).node(activation, {"c1"}, {"a1"}, {}, "first");
  m.node("AveragePool", {"a1"}, {"p"}, {{"kernel_shape", std::vector<std::int64_t>{2, 2}}, {"strides", std::vector<std::int64_t>{2, 2}}});
  m.node("Flatten", {"p"}, {"f"}).node("Gemm", {"f", "w2", "b2"}, {"d"}, {{"transB", std::int64_t{1}}}).node(activation, {"d"}, {"a2"}, {}, "second");
  m.node("Gemm", {"a2", "w3"}, {softmax ? "logits" : "answer"}, {{"transB", std::int64_t{1}}});
  if (softmax) m.node("Softmax", {"logits"}, {"answer"});
  return m;
}

ApproximateOptions options_for(std::size_t size, std::size_t inputs = 300) {
  ApproximateOptions options;
  options.inputs = random_samples(21, inputs, size, 0, 1);
  options.held_out = random_samples(22, 200, size, 0, 1);
  options.threads = 2;
  return options;
}

Approximation approximate_ok(const OnnxBuilder& model, const ApproximateOptions& options) {
  auto made = approximate_onnx(model.bytes(), options);
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return made.ok() ? std::move(*made) : Approximation{};
}

TEST(Approximate, ANetworkBecomesOneOfPolynomials) {
  const OnnxBuilder model = network(13, "Relu");
  ApproximateOptions options = options_for(128);
  options.degree = 8;
  const Approximation made = approximate_ok(model, options);
  ASSERT_EQ(made.functions.size(), 2U);
  EXPECT_EQ(made.functions[0].node, "first");
  EXPECT_EQ(made.functions[0].polynomials, 6U);   // a channel each
  EXPECT_EQ(made.functions[1].polynomials, 8U);
  EXPECT_EQ(made.functions[0].degree, 8);
  EXPECT_THAT(made.notes, testing::ElementsAre(testing::HasSubstr("Softmax")));

  // What it says of itself is so, by the file and by the model as it was.
  const auto after = import_onnx(made.onnx);
  ASSERT_TRUE(after.ok()) << after.error().to_string();
  EXPECT_EQ(count_kind(*after, OpKind::kFunction), 0U);
  const Graph before = with_functions(network(13, "Relu", false));
  double error = 0, size = 0;
  std::size_t same = 0;
  for (const auto& x : options.held_out) {
    const auto was = run_float(before, x), is = run_float(*after, x);
    for (std::size_t k = 0; k < was.size(); ++k) error += std::pow(was[k] - is[k], 2), size += std::pow(was[k], 2);
    same += std::max_element(was.begin(), was.end()) - was.begin() == std::max_element(is.begin(), is.end()) - is.begin() ? 1U : 0U;
  }
  EXPECT_NEAR(made.agreement.relative_error, std::sqrt(error / size), 1e-3);
  EXPECT_LT(made.agreement.relative_error, 0.05);
  EXPECT_EQ(made.agreement.inputs, 200U);
  EXPECT_NEAR(static_cast<double>(made.agreement.same_class), static_cast<double>(same), 1);   // the file has single precision

  // And it can be compiled.
  CompileOptions compiling;
  compiling.profile = *find_profile("precise");
  compiling.calibration = {options.inputs[0], options.inputs[1]};
  const auto normal = normalise(*after);
  ASSERT_TRUE(normal.ok());
  const auto program = compile(*normal, compiling);
  EXPECT_TRUE(program.ok()) << program.error().to_string();
}

TEST(Approximate, TheSameFileOnAnyNumberOfThreads) {
  const OnnxBuilder model = network(13, "Tanh");
  ApproximateOptions options = options_for(128);
  options.degree = 4;
  options.threads = 1;
  const Approximation one = approximate_ok(model, options);
  options.threads = 3;
  EXPECT_EQ(approximate_ok(model, options).onnx, one.onnx);
}

TEST(Approximate, TakesTheSmallestDegreesThatDo) {
  ApproximateOptions options = options_for(128);
  options.max_drop = 1;
  for (const auto& function : approximate_ok(network(13, "Softplus"), options).functions) EXPECT_EQ(function.degree, 2);
  options.max_drop = 0;
  const Approximation exact = approximate_ok(network(13, "Relu"), options);
  for (const auto& function : exact.functions) EXPECT_EQ(function.degree, 8);
  EXPECT_EQ(exact.notes.size(), exact.agreement.same_class < exact.agreement.inputs ? 2U : 1U);
  // Somewhere in between one function has a smaller one than another.
  options.max_drop = 0.02;
  const Approximation between = approximate_ok(network(13, "Softplus"), options);
  EXPECT_LE(between.agreement.inputs - between.agreement.same_class, 4U);
}

TEST(Approximate, ErrorsBeforeAFunctionAreTakenBack) {
  // The second activation is fitted to what the first one's polynomial left: it does better than a polynomial fitted to exact values would.
  ApproximateOptions options = options_for(128);
  options.degree = 2;
  const Approximation made = approximate_ok(network(13, "Relu"), options);
  ASSERT_EQ(made.functions.size(), 2U);
  EXPECT_LT(made.functions[1].error, 2 * made.functions[0].error);
}

TEST(Approximate, WhatRunsAwayIsNoAnswer) {
  // Judged by inputs a hundred times as large as those that the polynomials were fitted to.
  ApproximateOptions options = options_for(128);
  options.degree = 8;
  for (std::size_t i = 0; i < 50; ++i)
    for (float& v : options.held_out[i]) v *= 100;
  const Approximation made = approximate_ok(network(13, "Tanh"), options);
  EXPECT_EQ(made.agreement.ran_away, 50U);
  EXPECT_LE(made.agreement.same_class, 150U);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(made.agreement.classes_after[i], 3U);   // none of the three
  EXPECT_LT(made.agreement.relative_error, 0.05);
}

TEST(Approximate, FewInputsWhereMemoryIsShort) {
  ApproximateOptions options = options_for(128);
  options.degree = 4;
  options.max_working_bytes = std::size_t{64} << 10;
  const Approximation made = approximate_ok(network(13, "Relu", false), options);
  EXPECT_LT(made.inputs_used, 100U);
  EXPECT_GT(made.inputs_used, 10U);
  EXPECT_THAT(made.notes, testing::ElementsAre(testing::HasSubstr("memory")));
}

TEST(Approximate, OldAndNewOpsets) {
  for (const int opset : {8, 11, 13, 18}) {
    ApproximateOptions options = options_for(128, 100);
    options.degree = 4;
    const Approximation made = approximate_ok(network(opset, "Relu", false), options);
    EXPECT_TRUE(import_onnx(made.onnx).ok()) << opset;
  }
}

TEST(Approximate, WeightsListedAsInputsAreNoInputs) {
  OnnxBuilder model = network(8, "Relu", false);
  for (const char* name : {"w1", "b1", "w2", "b2", "w3"}) model.list_as_input(name);
  ApproximateOptions options = options_for(128, 50);
  options.degree = 2;
  const Approximation made = approximate_ok(model, options);
  EXPECT_TRUE(import_onnx(made.onnx).ok());
}

TEST(Approximate, SharpSoftmaxIsMadeInSteps) {
  // Scores that differ by up to twelve: an exponential and sums over five orders of magnitude.
  OnnxBuilder model = on_tokens(13);
  model.node("Softmax", {"x"}, {"s"}, {{"axis", std::int64_t{-1}}}, "attention").node("MatMul", {"s", "unit"}, {"y"});
  ApproximateOptions options;
  options.inputs = random_samples(31, 600, kTokens * kFeatures, -6, 6);
  options.held_out = random_samples(32, 200, kTokens * kFeatures, -6, 6);
  options.threads = 2;
  options.degree = 8;
  const Approximation made = approximate_ok(model, options);
  ASSERT_EQ(made.functions.size(), 4U);   // exponentials of a quarter of the scores, and three reciprocals
  for (const auto& function : made.functions) EXPECT_THAT(function.node, testing::StartsWith("attention/"));
  EXPECT_LT(made.agreement.relative_error, 0.04);
  EXPECT_EQ(made.agreement.ran_away, 0U);
  const auto after = import_onnx(made.onnx);
  ASSERT_TRUE(after.ok());
  for (std::size_t i = 0; i < 20; ++i) {
    const auto y = run_float(*after, options.held_out[i]);
    for (std::size_t t = 0; t < kTokens; ++t) {
      double sum = 0;
      for (std::size_t k = 0; k < kFeatures; ++k) sum += y[t * kFeatures + k];
      EXPECT_NEAR(sum, 1, 0.1);
    }
  }
  // Scores close together need no steps.
  for (auto* set : {&options.inputs, &options.held_out})
    for (auto& input : *set)
      for (float& v : input) v /= 6;
  EXPECT_EQ(approximate_ok(model, options).functions.size(), 2U);
}

TEST(Approximate, ATransformerAsPytorchExportsIt) {
  // Trained, and exported by PyTorch, whose answers in double precision are beside it.
  const std::string folder = std::string(BRAINLOCK_SOURCE_DIR) + "/models/transformer-cifar10/transformer";
  std::ifstream file(folder + ".onnx", std::ios::binary), answers(folder + ".answers.txt");
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  const auto graph = import_with_functions(std::as_bytes(std::span(content)));
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(count_kind(*graph, OpKind::kFunction), 7U);   // two ReLUs, two of a softmax, two of layer normalisations, a GELU
  std::size_t count = 0, channels = 0, height = 0, width = 0;
  answers >> count >> channels >> height >> width;
  ASSERT_EQ(count, 2U);
  std::vector<std::vector<float>> images(count, std::vector<float>(channels * height * width));
  for (auto& image : images)
    for (float& v : image) {
      answers >> v;
      v /= 255;
    }
  for (const auto& image : images)
    for (const float v : run_float(*graph, image)) {
      double wanted = 0;
      answers >> wanted;
      EXPECT_NEAR(static_cast<double>(v), wanted, 2e-4);
    }
  EXPECT_TRUE(answers.good());
}

TEST(Approximate, SaysWhatItCannotDo) {
  const auto refusal = [](const OnnxBuilder& model, ApproximateOptions options) {
    const auto made = approximate_onnx(model.bytes(), options);
    EXPECT_FALSE(made.ok());
    return made.ok() ? Error{} : made.error();
  };
  ApproximateOptions options = options_for(128, 20);
  EXPECT_THAT(refusal(network(13, "Neg", false), options).message, testing::HasSubstr("nothing to replace"));
  options.degree = 9;
  EXPECT_EQ(refusal(network(13, "Relu"), options).code, ErrorCode::kInvalidArgument);
  options.degree = 1;
  EXPECT_EQ(refusal(network(13, "Relu"), options).code, ErrorCode::kInvalidArgument);
  options.degree = 4;
  options.inputs.back().pop_back();
  EXPECT_EQ(refusal(network(13, "Relu"), options).code, ErrorCode::kInvalidArgument);
  options.inputs.clear();
  EXPECT_EQ(refusal(network(13, "Relu"), options).code, ErrorCode::kInvalidArgument);
  // A logarithm of negative numbers.
  options = options_for(128, 20);
  options.degree = 4;
  const Error log = refusal(network(13, "Log", false), options);
  EXPECT_EQ(log.code, ErrorCode::kUnsupported);
  EXPECT_THAT(log.message, testing::HasSubstr("first"));
}

TEST(Approximate, AllThatHasNoPolynomialIsListed) {
  OnnxBuilder model(13);
  model.input("image", {1, 2, 8, 8}).output("y");
  model.node("Relu", {"image"}, {"a"}).node("MaxPool", {"a"}, {"b"}, {{"kernel_shape", std::vector<std::int64_t>{2, 2}}}, "pool").node("Floor", {"b"}, {"y"}, {}, "floor");
  const auto made = import_with_functions(model.bytes());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(made.error().message, testing::AllOf(testing::HasSubstr("pool"), testing::HasSubstr("floor"), testing::Not(testing::HasSubstr("Relu"))));
}

TEST(Approximate, AFileCannotHoldTheInnerOperator) {
  OnnxBuilder model = on_vector();
  model.node("Scalar", {"x"}, {"y"}, {}, "", "brainlock").output("y");
  for (const bool functions : {false, true}) {
    const auto graph = functions ? import_with_functions(model.bytes()) : import_onnx(model.bytes());
    ASSERT_FALSE(graph.ok());
    EXPECT_EQ(graph.error().code, ErrorCode::kUnsupported);
  }
}

TEST(Approximate, GraphsWithFunctionsGoNoFurther) {
  const Graph graph = with_functions(network(13, "Relu", false));
  const auto normal = normalise(graph);
  ASSERT_FALSE(normal.ok());
  EXPECT_THAT(normal.error().message, testing::HasSubstr("approximate"));
}

}  // namespace
}  // namespace brainlock::compiler
