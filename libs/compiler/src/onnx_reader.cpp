// The protobuf half of the import: bytes -> OnnxModel.
#include "onnx_reader.hpp"

#include <bit>
#include <climits>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "onnx_proto.hpp"
#include "protobuf_guard.hpp"

namespace brainlock::compiler {
namespace {

constexpr int kMinOpset = 7, kMaxOpset = 23;
constexpr int kMaxRank = 8;

Error malformed(const std::string& what) { return {ErrorCode::kMalformed, what}; }

float half_to_float(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

// A bfloat16 is the upper half of a float.
float brain_float(std::uint16_t half) { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }

// Reads `count` little-endian numbers of type Raw from raw_data into out.
template <typename Raw, typename Out>
void read_raw(const std::string& raw, std::vector<Out>& out) {
  static_assert(std::endian::native == std::endian::little);
  out.resize(raw.size() / sizeof(Raw));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Raw value;
    std::memcpy(&value, raw.data() + i * sizeof(Raw), sizeof(Raw));
    out[i] = static_cast<Out>(value);
  }
}

template <typename Field, typename Out>
void read_field(const Field& field, std::vector<Out>& out) {
  out.reserve(static_cast<std::size_t>(field.size()));
  for (auto value : field) out.push_back(static_cast<Out>(value));
}

std::size_t raw_element_bytes(int type) {
  switch (type) {
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::INT64:
      return 8;
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::INT32:
      return 4;
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
      return 2;
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
      return 1;
    default:
      return 0;
  }
}

bool is_integer(int type) {
  return type == onnx::TensorProto::INT64 || type == onnx::TensorProto::INT32 || type == onnx::TensorProto::INT8 ||
         type == onnx::TensorProto::UINT8 || type == onnx::TensorProto::BOOL;
}

std::string type_name(int type) {
  return onnx::TensorProto::DataType_IsValid(type) ? onnx::TensorProto::DataType_Name(type) : std::to_string(type);
}

void read_elements_raw(const onnx::TensorProto& proto, ConstTensor& out) {
  const auto read_halves = [&](float (*to_float)(std::uint16_t)) {
    std::vector<std::uint16_t> halves;
    read_raw<std::uint16_t>(proto.raw_data(), halves);
    out.reals.reserve(halves.size());
    for (const std::uint16_t half : halves) out.reals.push_back(to_float(half));
  };
  switch (proto.data_type()) {
    case onnx::TensorProto::FLOAT:
      read_raw<float>(proto.raw_data(), out.reals);
      break;
    case onnx::TensorProto::DOUBLE:
      read_raw<double>(proto.raw_data(), out.reals);
      break;
    case onnx::TensorProto::FLOAT16:
      read_halves(half_to_float);
      break;
    case onnx::TensorProto::BFLOAT16:
      read_halves(brain_float);
      break;
    case onnx::TensorProto::INT64:
      read_raw<std::int64_t>(proto.raw_data(), out.integers);
      break;
    case onnx::TensorProto::INT8:
      read_raw<std::int8_t>(proto.raw_data(), out.integers);
      break;
    case onnx::TensorProto::INT32:
      read_raw<std::int32_t>(proto.raw_data(), out.integers);
      break;
    default:
      read_raw<std::uint8_t>(proto.raw_data(), out.integers);
      break;
  }
}

void read_elements_typed(const onnx::TensorProto& proto, ConstTensor& out) {
  switch (proto.data_type()) {
    case onnx::TensorProto::FLOAT:
      read_field(proto.float_data(), out.reals);
      break;
    case onnx::TensorProto::DOUBLE:
      read_field(proto.double_data(), out.reals);
      break;
    case onnx::TensorProto::FLOAT16:
      for (std::int32_t bits : proto.int32_data()) out.reals.push_back(half_to_float(static_cast<std::uint16_t>(bits)));
      break;
    case onnx::TensorProto::BFLOAT16:
      for (std::int32_t bits : proto.int32_data()) out.reals.push_back(brain_float(static_cast<std::uint16_t>(bits)));
      break;
    case onnx::TensorProto::INT64:
      read_field(proto.int64_data(), out.integers);
      break;
    default:
      read_field(proto.int32_data(), out.integers);
      break;
  }
}

// The number of elements that dims promise, or nothing if they are absurd.
Result<std::size_t> element_count(const onnx::TensorProto& proto, const std::string& where) {
  if (proto.dims_size() > kMaxRank) return malformed(where + ": more than " + std::to_string(kMaxRank) + " dimensions");
  std::size_t count = 1;
  for (std::int64_t dim : proto.dims()) {
    if (dim < 0 || dim > INT_MAX) return malformed(where + ": dimension " + std::to_string(dim));
    if (dim != 0 && count > (std::size_t{1} << 32) / static_cast<std::size_t>(dim)) {
      return Error{ErrorCode::kTooLarge, where + ": more than 2^32 elements"};
    }
    count *= static_cast<std::size_t>(dim);
  }
  return count;
}

Result<ConstTensorPtr> read_tensor(const onnx::TensorProto& proto, const std::string& where) {
  if (proto.data_location() == onnx::TensorProto::EXTERNAL || proto.external_data_size() > 0) {
    return Error{
        ErrorCode::kUnsupported,
        where +
            ": weights in a separate file; save the model as one file (torch.onnx.export with external_data=False, or "
            "onnx.save with save_as_external_data=False)"};
  }
  if (proto.has_segment()) return Error{ErrorCode::kUnsupported, where + ": tensor stored in segments"};
  const std::size_t width = raw_element_bytes(proto.data_type());
  if (width == 0) {
    return Error{ErrorCode::kUnsupported,
                 where + ": element type " + type_name(proto.data_type()) +
                     "; float, double, float16, bfloat16, int64, int32, int8, uint8 and bool are covered: export the float model"};
  }
  BRAINLOCK_ASSIGN(const std::size_t count, element_count(proto, where));
  auto tensor = std::make_shared<ConstTensor>();
  tensor->dims.assign(proto.dims().begin(), proto.dims().end());
  tensor->is_integer = is_integer(proto.data_type());
  if (proto.has_raw_data()) {
    if (proto.raw_data().size() != count * width) {
      return malformed(where + ": dimensions promise " + std::to_string(count * width) + " bytes, data has " +
                       std::to_string(proto.raw_data().size()));
    }
    read_elements_raw(proto, *tensor);
  } else {
    read_elements_typed(proto, *tensor);
    if (tensor->size() != count) {
      return malformed(where + ": dimensions promise " + std::to_string(count) + " elements, data has " +
                       std::to_string(tensor->size()));
    }
  }
  for (float value : tensor->reals) {
    if (!std::isfinite(value)) return malformed(where + ": a weight is not finite");
  }
  return ConstTensorPtr(std::move(tensor));
}

Result<OnnxAttribute> read_attribute(const onnx::AttributeProto& proto, const std::string& where) {
  OnnxAttribute out;
  using Kind = OnnxAttribute::Kind;
  switch (proto.type()) {
    case onnx::AttributeProto::INT:
      out.kind = Kind::kInt;
      out.i = proto.i();
      break;
    case onnx::AttributeProto::FLOAT:
      out.kind = Kind::kFloat;
      out.f = proto.f();
      break;
    case onnx::AttributeProto::STRING:
      out.kind = Kind::kString;
      out.s = printable(proto.s());
      break;
    case onnx::AttributeProto::INTS:
      out.kind = Kind::kInts;
      read_field(proto.ints(), out.ints);
      break;
    case onnx::AttributeProto::FLOATS:
      out.kind = Kind::kFloats;
      read_field(proto.floats(), out.floats);
      break;
    case onnx::AttributeProto::TENSOR: {
      out.kind = Kind::kTensor;
      BRAINLOCK_ASSIGN(out.tensor, read_tensor(proto.t(), where));
      break;
    }
    default:
      break;  // an operator that needs another kind is not covered, and says so itself
  }
  return out;
}

Result<OnnxNode> read_node(const onnx::NodeProto& proto, int index) {
  OnnxNode node;
  node.place = index;
  const bool standard = proto.domain().empty() || proto.domain() == "ai.onnx";
  node.op = standard ? printable(proto.op_type()) : printable(proto.domain()) + "::" + printable(proto.op_type());
  node.name = proto.name().empty() ? printable(proto.op_type()) + "_" + std::to_string(index) : printable(proto.name());
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const onnx::AttributeProto& attribute : proto.attribute()) {
    BRAINLOCK_ASSIGN(OnnxAttribute value, read_attribute(attribute, "node '" + node.name + "' attribute '" +
                                                                        printable(attribute.name()) + "'"));
    node.attributes.insert_or_assign(attribute.name(), std::move(value));
  }
  return node;
}

Result<OnnxInput> read_input(const onnx::ValueInfoProto& proto) {
  OnnxInput input;
  input.name = proto.name();
  if (!proto.has_type() || !proto.type().has_tensor_type()) {
    return Error{ErrorCode::kUnsupported, "input '" + printable(proto.name()) + "' is not a tensor"};
  }
  const auto& tensor = proto.type().tensor_type();
  input.has_shape = tensor.has_shape();
  if (tensor.shape().dim_size() > kMaxRank)
    return malformed("input '" + printable(proto.name()) + "' has too many dimensions");
  for (const auto& dim : tensor.shape().dim()) input.dims.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  return input;
}

Result<int> read_opset(const onnx::ModelProto& proto) {
  for (const auto& opset : proto.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() < kMinOpset || opset.version() > kMaxOpset) {
      return Error{ErrorCode::kUnsupported, "ONNX opset " + std::to_string(opset.version()) +
                                                "; export with opset_version=18 (" + std::to_string(kMinOpset) +
                                                " to " + std::to_string(kMaxOpset) + " are read)"};
    }
    return static_cast<int>(opset.version());
  }
  return malformed("ONNX model names no opset");
}

Result<OnnxModel> read_model(onnx::ModelProto& proto) {
  if (!proto.has_graph()) return malformed("ONNX model without a graph");
  OnnxModel model;
  BRAINLOCK_ASSIGN(model.opset, read_opset(proto));
  onnx::GraphProto& graph = *proto.mutable_graph();
  model.name = printable(graph.name());
  if (graph.sparse_initializer_size() > 0)
    return Error{ErrorCode::kUnsupported, "sparse weights; save the model with dense ones"};
  for (onnx::TensorProto& initializer : *graph.mutable_initializer()) {
    BRAINLOCK_ASSIGN(ConstTensorPtr tensor,
                     read_tensor(initializer, "weights '" + printable(initializer.name()) + "'"));
    if (!model.constants.emplace(initializer.name(), std::move(tensor)).second) {
      return malformed("weights '" + printable(initializer.name()) + "' defined twice");
    }
    delete initializer.release_raw_data();  // the copy is made; a large model need not be held twice
  }
  for (const onnx::ValueInfoProto& info : graph.input()) {
    if (model.constants.contains(info.name())) continue;  // before IR version 4, weights are listed as inputs too
    BRAINLOCK_ASSIGN(OnnxInput input, read_input(info));
    model.inputs.push_back(std::move(input));
  }
  for (const onnx::ValueInfoProto& info : graph.output()) model.outputs.push_back(info.name());
  std::unordered_set<std::string> functions;  // domain, a zero byte, name
  for (const onnx::FunctionProto& function : proto.functions()) functions.insert(function.domain() + '\0' + function.name());
  for (int i = 0; i < graph.node_size(); ++i) {
    BRAINLOCK_ASSIGN(OnnxNode node, read_node(graph.node(i), i));
    node.is_function = functions.contains(graph.node(i).domain() + '\0' + graph.node(i).op_type());
    model.nodes.push_back(std::move(node));
  }
  return model;
}

}  // namespace

Result<onnx::ModelProto> parse_onnx(std::span<const std::byte> bytes, std::size_t max_bytes, int max_nodes) {
  if (bytes.empty()) return Error{ErrorCode::kTruncated, "empty ONNX file"};
  if (bytes.size() > max_bytes || bytes.size() > static_cast<std::size_t>(INT_MAX)) {
    return Error{ErrorCode::kTooLarge, "ONNX file of " + std::to_string(bytes.size()) + " bytes; at most " + std::to_string(max_bytes)};
  }
  BRAINLOCK_TRY(guard_onnx_wire(bytes, max_nodes));
  onnx::ModelProto proto;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(64);
  if (!proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) return malformed("not an ONNX file");
  return proto;
}

Result<OnnxModel> read_onnx(std::span<const std::byte> bytes, std::size_t max_bytes, int max_nodes) {
  BRAINLOCK_ASSIGN(onnx::ModelProto proto, parse_onnx(bytes, max_bytes, max_nodes));
  return read_model(proto);
}

}  // namespace brainlock::compiler
