// The compiler's picture of a network: a small directed graph of linear layers, polynomial activations and products.
//
// It knows shapes and weights, and nothing of ONNX before it or of packing and ciphertexts after it.
// import_onnx() makes one, normalise() brings it to the canonical form that the packing expects,
// run_float() evaluates it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/scalar_function.hpp"

namespace brainlock::compiler {

/// Channels x height x width of one sample, stored in that order. A vector is channels x 1 x 1.
struct TensorShape {
  int channels = 0;
  int height = 1;
  int width = 1;

  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  friend bool operator==(const TensorShape&, const TensorShape&) = default;
};

/// "64x30x30".
std::string to_string(const TensorShape& shape);

/// Cross-correlation as ONNX defines it: zero padding, no dilation, one group.
struct ConvParams {
  int out_channels = 0, in_channels = 0;
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  std::vector<float> weights;  ///< OIHW
  std::vector<float> bias;     ///< one per output channel, always present
};

/// Mean over kernel_h x kernel_w windows, without padding.
struct PoolParams {
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
};

/// Fully connected layer; `in` runs over the input tensor in C,H,W order.
struct DenseParams {
  int out_features = 0, in_features = 0;
  std::vector<float> weights;  ///< row-major, out x in
  std::vector<float> bias;     ///< one per output, always present
};

/// a x^2 + b x + c with one coefficient of each kind per channel. a == 0 everywhere is an affine map.
struct QuadraticParams {
  std::vector<float> a, b, c;
};

/// sum over k of coefficients[k] x^k, constant term first. Degree 3 or more.
struct PolynomialParams {
  std::vector<std::vector<double>> coefficients;  ///< per power: one number for all channels, or one per channel

  [[nodiscard]] double at(std::size_t power, std::size_t channel) const {
    const std::vector<double>& c = coefficients[power];
    return c.size() == 1 ? c[0] : c[channel];
  }
};

/// What no ciphertext can compute, element by element. Only in graphs on their way through approximate_onnx(): the interpreter takes it, normalise()
/// and compile() do not.
struct FunctionParams {
  std::shared_ptr<const ScalarFunction> f;
  /// Dimensions by which the model multiplies one constant a channel with the tensor ([C] or [C, 1, 1]); none where its second axis is not this node's channels.
  std::vector<std::int64_t> channel_dims;
};

enum class OpKind {
  kInput,        ///< the image; always node 0 and only there
  kConv,         ///< ConvParams
  kAveragePool,  ///< PoolParams
  kDense,        ///< DenseParams
  kQuadratic,    ///< QuadraticParams
  kAdd,          ///< sum of two inputs of one shape; no parameters
  kPolynomial,   ///< PolynomialParams
  kProduct,      ///< product, element by element, of two inputs of one shape; no parameters
  kFunction,    ///< FunctionParams
};

/// How many inputs a node of a kind has.
std::size_t input_count(OpKind kind);

/// "conv", "average_pool", ...
std::string_view op_kind_name(OpKind kind);

struct Node {
  OpKind kind = OpKind::kInput;
  std::string name;         ///< from the model, unique within the graph, printable
  std::vector<int> inputs;  ///< indices of earlier nodes; as many as input_count() says
  TensorShape shape;        ///< of the output
  std::variant<std::monostate, ConvParams, PoolParams, DenseParams, QuadraticParams, PolynomialParams, FunctionParams> params;

  [[nodiscard]] const ConvParams& conv() const { return std::get<ConvParams>(params); }
  [[nodiscard]] const PoolParams& pool() const { return std::get<PoolParams>(params); }
  [[nodiscard]] const DenseParams& dense() const { return std::get<DenseParams>(params); }
  [[nodiscard]] const QuadraticParams& quadratic() const { return std::get<QuadraticParams>(params); }
  [[nodiscard]] const PolynomialParams& polynomial() const { return std::get<PolynomialParams>(params); }
  [[nodiscard]] const FunctionParams& function() const { return std::get<FunctionParams>(params); }
};

struct Graph {
  std::string model_name;
  std::vector<Node> nodes;  ///< topological; node 0 is the input
  int output = 0;           ///< index of the node whose value is the answer
};

/// Checks every invariant stated above: order, arity, shapes against parameters, array lengths,
/// finite numbers, unique names. kInvalidArgument names the node and what is wrong with it.
Status validate(const Graph& graph);

/// For every node, the nodes that read it (a node twice if it reads it twice).
std::vector<std::vector<int>> consumers(const Graph& graph);

/// Keeps the input and what the output depends on, in topological order. Inputs of kept nodes must be in range and free
/// of cycles; their order among the nodes does not matter.
Graph without_dead_nodes(Graph graph);

/// One line a node: index, name, kind, shape, inputs and the main parameters.
std::string to_string(const Graph& graph);

/// Multiply-accumulates of one inference in the clear.
std::uint64_t multiply_accumulates(const Graph& graph);

}  // namespace brainlock::compiler
