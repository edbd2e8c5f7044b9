// What to do instead of an operator that cannot be run encrypted.
#include <array>
#include <string_view>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

struct Advice {
  std::string_view reason, rewrite;
};

constexpr Advice kActivation{
    "an activation that is no polynomial",
    "put polynomials in the place of all such operators (brainlock approximate), or train with a quadratic activation (a x^2 + b x + c, one a, b, c per channel) there"};
constexpr Advice kAnswer{"no polynomial, and it only reshapes the answer", "drop it: apply it after decryption"};
constexpr Advice kNormalisation{"a normalisation by statistics of the encrypted input",
                                "train with BatchNormalization, whose statistics are fixed after training"};
constexpr Advice kQuantised{"quantised arithmetic", "export the float model; encrypted arithmetic is on reals"};
constexpr Advice kRecurrent{"a recurrent layer", "use convolutional or dense layers"};
constexpr Advice kControl{"control flow", "export with fixed control flow (torch.jit.trace, or unrolled)"};
constexpr Advice kPlaces{"it moves elements by lists of their places", "use Slice, Split, Gather or Concat with constant indices"};
constexpr Advice kCompare{"a comparison, which is no polynomial", "train without it; compare after decryption"};

struct Row {
  std::string_view op;
  Advice advice;
  bool keeps_shape;
};

constexpr std::array kRows{
    Row{"Relu", kActivation, true},
    Row{"LeakyRelu", kActivation, true},
    Row{"PRelu", kActivation, true},
    Row{"ThresholdedRelu", kActivation, true},
    Row{"Elu", kActivation, true},
    Row{"Selu", kActivation, true},
    Row{"Celu", kActivation, true},
    Row{"Gelu", kActivation, true},
    Row{"Mish", kActivation, true},
    Row{"HardSwish", kActivation, true},
    Row{"HardSigmoid", kActivation, true},
    Row{"Sigmoid", kActivation, true},
    Row{"Tanh", kActivation, true},
    Row{"Softplus", kActivation, true},
    Row{"Softsign", kActivation, true},
    Row{"Erf", kActivation, true},
    Row{"Exp", kActivation, true},
    Row{"Log", kActivation, true},
    Row{"Sqrt", kActivation, true},
    Row{"Reciprocal", kActivation, true},
    Row{"Abs", kActivation, true},
    Row{"Sign", kActivation, true},
    Row{"Clip", kActivation, true},
    Row{"Sin", kActivation, true},
    Row{"Cos", kActivation, true},
    Row{"Softmax",
        {"a quotient of exponentials",
         "put polynomials in its place (brainlock approximate), train attention with squares of its scores (as models/attention-cifar10), or move it behind the last layer and apply it after decryption"},
        true},
    Row{"LogSoftmax",
        {"a logarithm of exponentials",
         "train without it, or move it behind the last layer and apply it after decryption"},
        true},
    Row{"MaxPool",
        {"a maximum, which is no polynomial", "train with AveragePool of the same kernel and stride"},
        false},
    Row{"GlobalMaxPool", {"a maximum, which is no polynomial", "train with GlobalAveragePool"}, false},
    Row{"LpPool", {"a norm, which is no polynomial", "train with AveragePool"}, false},
    Row{"Max", kCompare, true},
    Row{"Min", kCompare, true},
    Row{"Where", kCompare, false},
    Row{"Greater", kCompare, false},
    Row{"Less", kCompare, false},
    Row{"ArgMax", kCompare, false},
    Row{"ArgMin", kCompare, false},
    Row{"TopK", kCompare, false},
    Row{"ReduceMax", kCompare, false},
    Row{"ReduceMin", kCompare, false},
    Row{"InstanceNormalization", kNormalisation, true},
    Row{"LayerNormalization",
        {kNormalisation.reason, "put polynomials in its place (brainlock approximate), or train with BatchNormalization, whose statistics are fixed after training"},
        true},
    Row{"GroupNormalization", kNormalisation, true},
    Row{"LRN", kNormalisation, true},
    Row{"MeanVarianceNormalization", kNormalisation, true},
    Row{"LpNormalization", kNormalisation, true},
    Row{"QuantizeLinear", kQuantised, true},
    Row{"DequantizeLinear", kQuantised, true},
    Row{"QLinearConv", kQuantised, false},
    Row{"QLinearMatMul", kQuantised, false},
    Row{"ConvInteger", kQuantised, false},
    Row{"MatMulInteger", kQuantised, false},
    Row{"LSTM", kRecurrent, false},
    Row{"GRU", kRecurrent, false},
    Row{"RNN", kRecurrent, false},
    Row{"If", kControl, false},
    Row{"Loop", kControl, false},
    Row{"Scan", kControl, false},
    Row{"GatherElements", kPlaces, false},
    Row{"GatherND", kPlaces, false},
    Row{"ScatterElements", kPlaces, false},
    Row{"ScatterND", kPlaces, false},
    Row{"SplitToSequence", {"a sequence of tensors", "use Split"}, false},
    Row{"ConvTranspose", {"a transposed convolution", "use a convolution with a stride, or a dense layer"}, false},
    Row{"Resize", {"a change of image size", "use strides of convolutions and average pools"}, false},
    Row{"Upsample", {"a change of image size", "use strides of convolutions and average pools"}, false},
};

const Row* find(std::string_view op) {
  for (const Row& row : kRows) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

bool finishes_answer(std::string_view op) {
  constexpr std::array kOps{"Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh",    "Exp",
                            "Log",     "ArgMax",     "ArgMin",  "TopK",        "Softplus"};
  for (std::string_view name : kOps) {
    if (op == name) return true;
  }
  return false;
}

}  // namespace

Refusal advice(const OnnxNode& node, bool makes_the_output) {
  if (node.is_function) {
    return {"a function of the model itself", "put its body in its place before compiling (onnx.inliner.inline_local_functions)", false};
  }
  if (const auto domain = node.op.find("::"); domain != std::string::npos) {
    return {"an operator of the domain " + node.op.substr(0, domain) + ", not of ONNX itself",
            "export the model with standard operators, not optimised for a runtime", false};
  }
  if (makes_the_output && finishes_answer(node.op) && !node.inputs.empty()) {
    return {std::string(kAnswer.reason),
            std::string(kAnswer.rewrite) + ", and cut the model off before it (onnx.utils.extract_model up to '" + printable(node.inputs[0]) + "')", false};
  }
  const Row* row = find(node.op);
  const Advice chosen = row != nullptr
                            ? row->advice
                            : Advice{"an operator that is not covered",
                                     "build it from Conv, Gemm, MatMul, BatchNormalization, AveragePool, Add, Mul and Pow"};
  return {std::string(chosen.reason), std::string(chosen.rewrite), false};
}

bool keeps_shape(const std::string& op) {
  const Row* row = find(op);
  return row != nullptr && row->keeps_shape;
}

}  // namespace brainlock::compiler
