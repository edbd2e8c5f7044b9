// An ONNX model without protobuf: what the importer needs, checked for consistency, owned by plain C++ types.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "brainlock/compiler/scalar_function.hpp"

namespace brainlock::compiler {

/// A constant tensor: reals or integers, never both. The element count equals the product of dims.
struct ConstTensor {
  std::vector<std::int64_t> dims;
  bool is_integer = false;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;

  [[nodiscard]] std::size_t size() const { return is_integer ? integers.size() : reals.size(); }
  /// Element i as a real number, whatever the type.
  [[nodiscard]] double at(std::size_t i) const { return is_integer ? static_cast<double>(integers[i]) : reals[i]; }
};
using ConstTensorPtr = std::shared_ptr<const ConstTensor>;

struct OnnxAttribute {
  enum class Kind { kOther, kInt, kFloat, kString, kInts, kFloats, kTensor };
  Kind kind = Kind::kOther;
  std::int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<std::int64_t> ints;
  std::vector<float> floats;
  ConstTensorPtr tensor;
};

/// An operator that no file can hold: elementwise operators gathered by gather_scalar_functions().
inline constexpr const char* kScalarOp = "brainlock::Scalar";

struct OnnxNode {
  std::string name;                 ///< the model's, or made from operator and position where it has none; printable
  std::string op;                   ///< "Conv"; "domain::Op" outside the standard domain
  std::vector<std::string> inputs;  ///< an empty name is an absent optional input
  std::vector<std::string> outputs;
  std::unordered_map<std::string, OnnxAttribute> attributes;
  bool is_function = false;         ///< of the model itself
  int place = -1;                   ///< among the file's nodes; -1: made since
  std::shared_ptr<const ScalarFunction> scalar{};   ///< the operator kScalarOp: this, of the only input, element by element
};

struct OnnxInput {
  std::string name;
  bool has_shape = false;
  std::vector<std::int64_t> dims;  ///< -1 where symbolic or not given
};

struct OnnxModel {
  std::string name;
  int opset = 0;
  std::vector<OnnxNode> nodes;
  std::unordered_map<std::string, ConstTensorPtr> constants;
  std::vector<OnnxInput> inputs;  ///< without those that are constants
  std::vector<std::string> outputs;
};

/// A name from outside made fit for messages and logs: printable ASCII, at most 120 characters.
std::string printable(const std::string& text);

}  // namespace brainlock::compiler
