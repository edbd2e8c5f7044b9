#include "onnx_writer.hpp"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "onnx_proto.hpp"

namespace brainlock::compiler {
namespace {

// Weights are not listed among a graph's inputs from here on.
constexpr std::int64_t kInitializersApart = 4;

void write_attribute(const std::string& name, const OnnxAttribute& from, onnx::AttributeProto& to) {
  to.set_name(name);
  switch (from.kind) {
    case OnnxAttribute::Kind::kInt:
      to.set_type(onnx::AttributeProto::INT);
      to.set_i(from.i);
      break;
    case OnnxAttribute::Kind::kFloat:
      to.set_type(onnx::AttributeProto::FLOAT);
      to.set_f(from.f);
      break;
    default:
      to.set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t i : from.ints) to.add_ints(i);
  }
}

onnx::NodeProto write_node(const OnnxNode& node) {
  onnx::NodeProto proto;
  proto.set_name(node.name);
  proto.set_op_type(node.op);
  for (const std::string& input : node.inputs) proto.add_input(input);
  for (const std::string& output : node.outputs) proto.add_output(output);
  for (const auto& [name, attribute] : node.attributes) write_attribute(name, attribute, *proto.add_attribute());
  return proto;
}

void write_tensor(const std::string& name, const ConstTensor& from, onnx::TensorProto& to) {
  to.set_name(name);
  for (const std::int64_t dim : from.dims) to.add_dims(dim);
  to.set_data_type(from.is_integer ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT);
  if (from.is_integer)
    to.set_raw_data(from.integers.data(), from.integers.size() * sizeof(std::int64_t));
  else
    to.set_raw_data(from.reals.data(), from.reals.size() * sizeof(float));
}

/// Keeps the elements of a repeated field for which keep(element).
template <typename Field, typename Keep>
void keep_if(Field& field, const Keep& keep) {
  int kept = 0;
  for (int i = 0; i < field.size(); ++i)
    if (keep(field.Get(i))) field.SwapElements(kept++, i);
  field.DeleteSubrange(kept, field.size() - kept);
}

}  // namespace

Result<std::vector<std::byte>> write_onnx(std::span<const std::byte> original, const OnnxModel& edited, std::size_t max_bytes, int max_nodes) {
  BRAINLOCK_ASSIGN(onnx::ModelProto proto, parse_onnx(original, max_bytes, max_nodes));
  onnx::GraphProto& graph = *proto.mutable_graph();
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  std::unordered_set<std::string> read(edited.outputs.begin(), edited.outputs.end()), made;
  for (const OnnxNode& node : edited.nodes) {
    *nodes.Add() = node.place >= 0 ? graph.node(node.place) : write_node(node);
    read.insert(node.inputs.begin(), node.inputs.end());
    made.insert(node.outputs.begin(), node.outputs.end());
  }
  graph.mutable_node()->Swap(&nodes);

  std::unordered_set<std::string> had;
  for (const onnx::TensorProto& tensor : graph.initializer()) had.insert(tensor.name());
  keep_if(*graph.mutable_initializer(), [&](const onnx::TensorProto& tensor) { return read.contains(tensor.name()); });
  keep_if(*graph.mutable_input(), [&](const onnx::ValueInfoProto& input) { return !had.contains(input.name()) || read.contains(input.name()); });
  keep_if(*graph.mutable_value_info(), [&](const onnx::ValueInfoProto& info) { return made.contains(info.name()); });
  std::vector<std::string> added;
  for (const auto& [name, tensor] : edited.constants)
    if (!had.contains(name) && read.contains(name)) added.push_back(name);
  std::sort(added.begin(), added.end());   // the file is the same at every run
  for (const std::string& name : added) write_tensor(name, *edited.constants.at(name), *graph.add_initializer());
  proto.set_ir_version(std::max(proto.ir_version(), kInitializersApart));

  std::vector<std::byte> bytes(proto.ByteSizeLong());
  google::protobuf::io::ArrayOutputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedOutputStream stream(&array);
  stream.SetSerializationDeterministic(true);
  proto.SerializeToCodedStream(&stream);
  return bytes;
}

}  // namespace brainlock::compiler
