// What the importer refuses: uncovered operators (all at once), contradictions, and hostile bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "onnx_builder.hpp"

namespace brainlock::compiler {
namespace {

using testing::HasSubstr;
using Ints = std::vector<std::int64_t>;
using Bytes = std::vector<std::byte>;

Error import_error(const Bytes& bytes, const ImportOptions& options = {}) {
  auto graph = import_onnx(bytes, options);
  EXPECT_FALSE(graph.ok());
  return graph.ok() ? Error{} : graph.error();
}
Error import_error(const OnnxBuilder& model) { return import_error(model.bytes()); }

// A net with one of everything that is covered; small, so that all its bytes can be garbled.
OnnxBuilder small_net() {
  Rng rng(20);
  OnnxBuilder m;
  m.input("x", {-1, 1, 6, 6})
      .output("y")
      .reals("w", {2, 1, 3, 3}, random_reals(rng, 18))
      .reals("b", {2}, random_reals(rng, 2));
  for (const char* name : {"s", "h", "m", "v"}) m.reals(name, {2}, random_reals(rng, 2, 0.5f, 1));
  m.reals("d", {3, 8}, random_reals(rng, 24)).reals("q", {2, 1, 1}, {0.5f, 0.25f}).integers("shape", {2}, {0, -1});
  m.node("Conv", {"x", "w", "b"}, {"t1"}, {{"pads", Ints{0, 0, 0, 0}}})
      .node("BatchNormalization", {"t1", "s", "h", "m", "v"}, {"t2"});
  m.node("Mul", {"t2", "t2"}, {"t3"}).node("Mul", {"t3", "q"}, {"t4"}).node("Add", {"t4", "t2"}, {"t5"});
  m.node("AveragePool", {"t5"}, {"t6"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}})
      .node("Reshape", {"t6", "shape"}, {"t7"});
  m.node("Gemm", {"t7", "d"}, {"y"}, {{"transB", std::int64_t{1}}});
  return m;
}

TEST(OnnxRefusal, AllBadOperatorsAreListedWithReasonAndRewrite) {
  Rng rng(21);
  OnnxBuilder m;
  m.input("x", {-1, 3, 8, 8})
      .output("y")
      .reals("w", {4, 3, 3, 3}, random_reals(rng, 108))
      .reals("g", {4, 1, 3, 3}, random_reals(rng, 36));
  m.reals("d", {2, 4}, random_reals(rng, 8)).reals("half", {}, {0.5f});
  m.node("Conv", {"x", "w"}, {"a"}, {{"dilations", Ints{2, 2}}}, "dilated")
      .node("Conv", {"x", "w"}, {"b"}, {}, "plain");
  m.node("Relu", {"b"}, {"c"}, {}, "relu1")
      .node("MaxPool", {"c"}, {"e"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}, "pool1");
  m.node("Conv", {"e", "g"}, {"f"}, {{"group", std::int64_t{4}}}, "depthwise")
      .node("Pow", {"e", "half"}, {"i"}, {}, "root");
  m.node("GlobalAveragePool", {"i"}, {"j"})
      .node("Flatten", {"j"}, {"k"})
      .node("Gemm", {"k", "d"}, {"l"}, {{"transB", std::int64_t{1}}});
  m.node("Mystery", {"l"}, {"n"}, {}, "odd", "com.example")
      .node("Add", {"n", "l"}, {"o"})
      .node("Softmax", {"o"}, {"y"}, {}, "softmax");
  m.node("Add", {"a", "f"}, {"unused"});
  std::vector<ImportIssue> issues;
  ImportOptions options;
  options.issues = &issues;
  const Error error = import_error(m.bytes(), options);
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  std::vector<std::string> names;
  for (const auto& issue : issues) {
    names.push_back(issue.node);
    EXPECT_FALSE(issue.reason.empty());
    EXPECT_FALSE(issue.rewrite.empty());
    EXPECT_THAT(error.message, HasSubstr(issue.node));
    EXPECT_THAT(error.message, HasSubstr(issue.rewrite));
  }
  // "dilated" and "depthwise" feed nothing that the output needs.
  EXPECT_THAT(names, testing::ElementsAre("relu1", "pool1", "root", "odd", "softmax"));
  EXPECT_THAT(error.message, HasSubstr("5 parts"));
  EXPECT_THAT(issues[0].rewrite, HasSubstr("quadratic"));
  EXPECT_THAT(issues[1].rewrite, HasSubstr("AveragePool"));
  EXPECT_THAT(issues[4].rewrite, HasSubstr("after decryption"));
}

// One operator on an image, refused, with a word of its reason.
struct OneBad {
  const char* what;
  std::function<void(OnnxBuilder&)> write;
  const char* says;
};

TEST(OnnxRefusal, EachUncoveredFormSaysWhy) {
  Rng rng(22);
  const auto conv = [&](OnnxBuilder::Attributes attributes, Ints dims = {4, 4, 3, 3}) {
    return [=](OnnxBuilder& m) {
      std::size_t count = 1;
      for (auto d : dims) count *= static_cast<std::size_t>(d);
      m.reals("w", dims, std::vector<float>(count, 0.5f)).node("Conv", {"x", "w"}, {"y"}, attributes);
    };
  };
  const auto plain = [](const char* op, OnnxBuilder::Attributes attributes = {}) {
    return [=](OnnxBuilder& m) { m.node(op, {"x"}, {"y"}, attributes); };
  };
  const OneBad cases[] = {
      {"wrong channels", conv({}, {4, 3, 3, 3}), "do not fit"},
      {"kernel too large", conv({}, {4, 4, 9, 9}), "larger than"},
      {"negative padding", conv({{"pads", Ints{-1, 0, 0, 0}}}), "padding"},
      {"huge padding", conv({{"pads", Ints{1 << 20, 0, 0, 0}}}), "padding"},
      {"zero stride", conv({{"strides", Ints{0, 1}}}), "strides"},
      {"three strides", conv({{"strides", Ints{1, 1, 1}}}), "strides"},
      {"wrong attribute type", conv({{"strides", std::int64_t{1}}}), "wrong type"},
      {"unknown auto_pad", conv({{"auto_pad", std::string("EVERYWHERE")}}), "EVERYWHERE"},
      {"three dimensions", conv({}, {4, 4, 3, 3, 3}), "do not fit"},
      {"padded pool", plain("AveragePool", {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 1, 0, 0}}}), "padding"},
      {"ceil pool", plain("AveragePool", {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", std::int64_t{1}}}), "ceil_mode"},
      {"pool without kernel", plain("AveragePool"), "kernel_shape"},
      {"mean of channels", plain("ReduceMean", {{"axes", Ints{1}}}), "axes"},
      {"axis out of range", plain("ReduceMean", {{"axes", Ints{9}}}), "axis"},
      {"bad perm", plain("Transpose", {{"perm", Ints{0, 1, 1, 2}}}), "permutation"},
      {"transposed output", plain("Transpose", {{"perm", Ints{0, 2, 3, 1}}}), "transposed"},
      {"flatten axis", plain("Flatten", {{"axis", std::int64_t{7}}}), "axis"},
      {"two tensors multiplied", [](OnnxBuilder& m) {
         m.node("GlobalAveragePool", {"x"}, {"t"}).node("Mul", {"x", "t"}, {"y"});
       }, "two different tensors"},
      {"matrices that do not fit", [](OnnxBuilder& m) {
         m.reals("w", {4, 4, 1, 1}, std::vector<float>(16, 1.0f)).node("Conv", {"x", "w"}, {"t"}).integers("s", {3}, {1, 16, 16}).node("Reshape", {"t", "s"}, {"r"});
         m.integers("u", {3}, {1, 4, 64}).node("Reshape", {"t", "u"}, {"v"}).node("MatMul", {"r", "v"}, {"y"});
       }, "do not fit"},
      {"division", [](OnnxBuilder& m) { m.reals("one", {}, {1}).node("Div", {"one", "x"}, {"y"}); }, "divi"},
      {"division by zero", [](OnnxBuilder& m) { m.reals("zero", {}, {0}).node("Div", {"x", "zero"}, {"y"}); }, "zero"},
      {"root", [](OnnxBuilder& m) { m.reals("e", {}, {0.5f}).node("Pow", {"x", "e"}, {"y"}); }, "exponent"},
      {"degree", [](OnnxBuilder& m) { m.reals("e", {}, {1000}).node("Pow", {"x", "e"}, {"y"}); }, "exponent"},
      {"per-position quadratic", [](OnnxBuilder& m) {
         std::vector<float> a(8);
         for (std::size_t i = 0; i < 8; ++i) a[i] = static_cast<float>(i);
         m.reals("a", {8}, a).node("Mul", {"x", "x"}, {"q"}).node("Mul", {"q", "a"}, {"y"});
       }, "positions"},
      {"broadcast", [](OnnxBuilder& m) { m.reals("a", {3}, {1, 2, 3}).node("Add", {"x", "a"}, {"y"}); }, "broadcast"},
      {"larger constant", [](OnnxBuilder& m) { m.reals("a", {2, 4, 8, 8}, std::vector<float>(512, 1.0f)).node("Add", {"x", "a"}, {"y"}); }, "broadcast"},
      {"degree 9", [](OnnxBuilder& m) {
         m.reals("eight", {}, {8}).node("Pow", {"x", "eight"}, {"q"}).node("Mul", {"q", "x"}, {"y"});
       }, "degree 9"},
      {"matmul of another width", [](OnnxBuilder& m) { m.reals("w", {9, 2}, std::vector<float>(18, 1.0f)).node("MatMul", {"x", "w"}, {"y"}); }, "do not fit"},
      {"dense of another width", [](OnnxBuilder& m) {
         m.reals("w", {8, 2}, std::vector<float>(16, 1.0f)).node("Flatten", {"x"}, {"f"}).node("MatMul", {"f", "w"}, {"y"});
       }, "features"},
      {"transA", [](OnnxBuilder& m) {
         m.reals("w", {256, 2}, std::vector<float>(512, 1.0f)).node("Flatten", {"x"}, {"f"}).node("Gemm", {"f", "w"}, {"y"}, {{"transA", std::int64_t{1}}});
       }, "transA"},
      {"training normalisation", [](OnnxBuilder& m) {
         m.reals("o", {4}, {1, 1, 1, 1}).node("BatchNormalization", {"x", "o", "o", "o", "o"}, {"y"}, {{"training_mode", std::int64_t{1}}});
       }, "training mode"},
      {"negative variance", [](OnnxBuilder& m) {
         m.reals("o", {4}, {1, 1, 1, -1}).node("BatchNormalization", {"x", "o", "o", "o", "o"}, {"y"});
       }, "variance"},
      {"reshape of another size", [](OnnxBuilder& m) { m.integers("s", {2}, {1, 5}).node("Reshape", {"x", "s"}, {"y"}); }, "reshape"},
      {"convolution after reordering", [](OnnxBuilder& m) {
         m.reals("w", {4, 8, 1, 1}, std::vector<float>(32, 1.0f)).node("GlobalAveragePool", {"x"}, {"p"});
         m.node("Mul", {"x", "x"}, {"q"}).node("Transpose", {"q"}, {"t"}, {{"perm", Ints{0, 2, 3, 1}}}).node("Conv", {"t", "w"}, {"c"});
         m.node("GlobalAveragePool", {"c"}, {"r"}).node("Add", {"p", "r"}, {"y"});
       }, "transposed"},
      {"shapes of a sum", [](OnnxBuilder& m) {
         m.node("GlobalAveragePool", {"x"}, {"p"}).node("Add", {"x", "p"}, {"y"});
       }, "one shape"},
      {"constant loop", [](OnnxBuilder& m) { m.reals("a", {}, {1}).node("Tan", {"a"}, {"t"}).node("Mul", {"x", "t"}, {"y"}); }, "constants"},
  };
  for (const OneBad& bad : cases) {
    OnnxBuilder m;
    m.input("x", {-1, 4, 8, 8}).output("y");
    bad.write(m);
    const Error error = import_error(m);
    EXPECT_TRUE(error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kMalformed) << bad.what;
    EXPECT_THAT(error.message, HasSubstr(bad.says)) << bad.what;
    EXPECT_THAT(error.message, HasSubstr("instead: ")) << bad.what;
  }
}

TEST(OnnxRefusal, InterfaceOfTheModelIsChecked) {
  const auto with_input = [](const Ints& dims) {
    OnnxBuilder m;
    m.input("x", dims).output("y").node("Mul", {"x", "x"}, {"y"});
    return import_error(m);
  };
  EXPECT_THAT(with_input({8, 3, 4, 4}).message, HasSubstr("batch of 8"));
  EXPECT_THAT(with_input({1, 3, -1, 4}).message, HasSubstr("fixed size"));
  EXPECT_THAT(with_input({1, 3, 4, 4, 4}).message, HasSubstr("fixed size"));
  EXPECT_THAT(with_input({1, 1 << 20, 1 << 10, 1 << 10}).message, HasSubstr("fixed size"));
  EXPECT_EQ(with_input({}).code, ErrorCode::kUnsupported);

  OnnxBuilder two;
  two.input("x", {1, 2}).input("z", {1, 2}).output("y").node("Add", {"x", "z"}, {"y"});
  EXPECT_THAT(import_error(two).message, HasSubstr("second input"));
  OnnxBuilder outputs;
  outputs.input("x", {1, 2}).output("y").output("z").node("Mul", {"x", "x"}, {"y"}).node("Neg", {"x"}, {"z"});
  EXPECT_THAT(import_error(outputs).message, HasSubstr("2 outputs"));
  OnnxBuilder none;
  none.output("y").constant("y", {1}, {1});
  EXPECT_EQ(import_error(none).code, ErrorCode::kMalformed);
  OnnxBuilder independent;
  independent.input("x", {1, 2}).output("y").node("Neg", {"x"}, {"z"}).constant("y", {1}, {1});
  EXPECT_THAT(import_error(independent).message, HasSubstr("does not depend"));
}

TEST(OnnxRefusal, ContradictionsAreMalformed) {
  OnnxBuilder undefined;
  undefined.input("x", {1, 2}).output("y").node("Add", {"x", "nowhere"}, {"y"});
  EXPECT_THAT(import_error(undefined).message, HasSubstr("nothing before it makes"));
  OnnxBuilder backwards;
  backwards.input("x", {1, 2}).output("y").node("Add", {"x", "t"}, {"y"}).node("Neg", {"x"}, {"t"});
  EXPECT_EQ(import_error(backwards).code, ErrorCode::kMalformed);
  OnnxBuilder twice;
  twice.input("x", {1, 2}).output("y").node("Neg", {"x"}, {"y"}).node("Neg", {"x"}, {"y"});
  EXPECT_EQ(import_error(twice).code, ErrorCode::kMalformed);
  OnnxBuilder weights;
  weights.input("x", {1, 2}).output("y").reals("w", {2}, {1, 2}).reals("w", {2}, {3, 4}).node("Mul", {"x", "w"}, {"y"});
  EXPECT_THAT(import_error(weights).message, HasSubstr("defined twice"));
  EXPECT_EQ(import_error(small_net().set_dims("w", {2, 1, 3, 4})).code, ErrorCode::kMalformed);
  EXPECT_EQ(import_error(small_net().set_dims("w", {2, -1, 3, 3})).code, ErrorCode::kMalformed);
  EXPECT_EQ(import_error(small_net().set_dims("w", {1 << 30, 1 << 30, 1 << 30})).code, ErrorCode::kTooLarge);
  EXPECT_EQ(import_error(small_net().set_dims("w", Ints(20, 1))).code, ErrorCode::kMalformed);
  EXPECT_EQ(import_error(small_net().set_dims("w", {0, 1, 3, 3})).code, ErrorCode::kMalformed);
  EXPECT_THAT(import_error(small_net().drop_opset()).message, HasSubstr("opset"));
  EXPECT_THAT(import_error(small_net().make_external("w")).message, HasSubstr("separate file"));
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    OnnxBuilder m;
    m.input("x", {1, 2}).output("y").reals("w", {2}, {1, bad}).node("Mul", {"x", "w"}, {"y"});
    EXPECT_THAT(import_error(m).message, HasSubstr("finite"));
  }
}

TEST(OnnxRefusal, OpsetsOutsideTheCoveredOnesAreNamed) {
  for (int opset : {1, 6, 24, 99}) {
    OnnxBuilder m(opset);
    m.input("x", {1, 2}).output("y").node("Mul", {"x", "x"}, {"y"});
    const Error error = import_error(m);
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_THAT(error.message, HasSubstr("opset " + std::to_string(opset)));
  }
}

TEST(OnnxRefusal, EveryTruncationIsAnError) {
  const Bytes whole = small_net().bytes();
  ASSERT_TRUE(import_onnx(whole).ok());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto graph = import_onnx(std::span(whole).first(length));
    EXPECT_FALSE(graph.ok()) << length << " of " << whole.size();
  }
}

TEST(OnnxRefusal, EveryFlippedBitIsAnErrorOrAValidGraph) {
  const Bytes whole = small_net().bytes();
  int errors = 0, graphs = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes flipped = whole;
      flipped[at] ^= static_cast<std::byte>(1 << bit);
      auto graph = import_onnx(flipped);
      if (!graph.ok()) {
        ++errors;
        EXPECT_FALSE(graph.error().message.empty());
        continue;
      }
      ++graphs;  // a weight or a name that changed
      EXPECT_TRUE(validate(*graph).ok());
      auto normal = normalise(std::move(graph).value());
      if (normal.ok()) {
        EXPECT_TRUE(validate(*normal).ok());
      }
    }
  }
  EXPECT_GT(errors, 1000);
  EXPECT_GT(graphs, 1000);
}

TEST(OnnxRefusal, RandomBytesAreErrors) {
  Rng rng(23);
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes(static_cast<std::size_t>(random_int(rng, 0, 200)));
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_int(rng, 0, 255));
    EXPECT_FALSE(import_onnx(bytes).ok());
  }
}

// A field of length-delimited bytes.
Bytes field(int number, const Bytes& body) {
  Bytes out{static_cast<std::byte>(number << 3 | 2)};
  for (std::size_t n = body.size();; n >>= 7) {
    out.push_back(static_cast<std::byte>((n & 0x7f) | (n >= 0x80 ? 0x80 : 0)));
    if (n < 0x80) break;
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

Bytes repeated(const Bytes& unit, std::size_t times) {
  Bytes out;
  out.reserve(unit.size() * times);
  for (std::size_t i = 0; i < times; ++i) out.insert(out.end(), unit.begin(), unit.end());
  return out;
}

TEST(OnnxRefusal, FilesThatWouldGrowInMemoryAreTooLarge) {
  constexpr int kGraph = 7, kNode = 1, kInitializer = 5, kValueInfo = 13, kNodeInput = 1, kInt64Data = 7;
  const Bytes varint{std::byte{7 << 3}, std::byte{1}};  // an unpacked int64_data element
  const Bytes bombs[] = {
      field(kGraph, repeated(field(kNode, {}), 10'001)),
      field(kGraph, repeated(field(kValueInfo, {}), 500'000)),
      field(kGraph, field(kNode, repeated(field(kNodeInput, {}), 1'100'000))),
      field(kGraph, field(kInitializer, field(kInt64Data, Bytes(9'000'000, std::byte{1})))),
      field(kGraph, field(kInitializer, repeated(varint, 9'000'000))),
      repeated(field(99 & 15, {}), 1'100'000),
  };
  for (const Bytes& bomb : bombs) EXPECT_EQ(import_error(bomb).code, ErrorCode::kTooLarge);
  EXPECT_EQ(import_error(small_net().nest_subgraphs(40)).code, ErrorCode::kTooLarge);
  ImportOptions small;
  small.max_file_bytes = 100;
  EXPECT_EQ(import_error(small_net().bytes(), small).code, ErrorCode::kTooLarge);
  small = {};
  small.max_nodes = 3;
  EXPECT_EQ(import_error(small_net().bytes(), small).code, ErrorCode::kTooLarge);
}

TEST(OnnxRefusal, WeightsUsedOverAndOverAreBounded) {
  // 1 MB of weights, read by 5,000 layers: 5 GB if all were copied.
  OnnxBuilder m;
  m.input("x", {1, 512}).output("t5000").reals("w", {512, 512}, std::vector<float>(512 * 512, 0.001f));
  for (int i = 0; i < 5000; ++i)
    m.node("MatMul", {i == 0 ? std::string("x") : numbered("t", i), "w"}, {numbered("t", i + 1)});
  EXPECT_THAT(import_error(m).message, HasSubstr("out of proportion"));
}

TEST(OnnxRefusal, TenThousandNodesOfOneNameTakeNoQuadraticTime) {
  OnnxBuilder m;
  m.input("x", {1, 1}).output("t9000").reals("w", {1, 1}, {1});
  for (int i = 0; i < 9000; ++i) {
    m.node("MatMul", {i == 0 ? std::string("x") : numbered("t", i), "w"}, {numbered("t", i + 1)}, {},
           "same");
  }
  const auto start = std::chrono::steady_clock::now();
  auto graph = import_onnx(m.bytes());
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_TRUE(normalise(std::move(graph).value()).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(OnnxRefusal, FilesThatAreNotThereOrNoFiles) {
  namespace fs = std::filesystem;
  EXPECT_EQ(import_onnx_file("/no/such/model.onnx").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(import_onnx_file(fs::temp_directory_path()).error().code, ErrorCode::kIo);
  const fs::path path = fs::temp_directory_path() / "brainlock_onnx_refusal_test.onnx";
  std::ofstream(path) << "this is text";
  const auto text = import_onnx_file(path);
  ASSERT_FALSE(text.ok());
  EXPECT_THAT(text.error().message, HasSubstr(path.filename().string()));
  fs::remove(path);
}

}  // namespace
}  // namespace brainlock::compiler
