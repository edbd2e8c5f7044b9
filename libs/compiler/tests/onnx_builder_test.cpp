#include "onnx_builder.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#define ONNX_ML 1
#include <onnx/onnx_pb.h>

namespace brainlock::compiler {

struct OnnxBuilder::Impl {
  onnx::ModelProto model;
  onnx::GraphProto& graph() { return *model.mutable_graph(); }
  onnx::TensorProto& initializer(const std::string& name) {
    for (onnx::TensorProto& tensor : *graph().mutable_initializer()) {
      if (tensor.name() == name) return tensor;
    }
    throw std::logic_error("no initializer " + name);
  }
};

namespace {

void fill_value_info(onnx::ValueInfoProto& info, const std::string& name, const OnnxBuilder::Dims& dims) {
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  for (std::int64_t dim : dims) {
    auto& slot = *tensor.mutable_shape()->add_dim();
    if (dim < 0)
      slot.set_dim_param("batch");
    else
      slot.set_dim_value(dim);
  }
}

// Only for values that a half holds exactly.
std::uint16_t to_half(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffff) == 0) return static_cast<std::uint16_t>(bits >> 16);
  const int exponent = static_cast<int>((bits >> 23) & 255) - 127 + 15;
  return static_cast<std::uint16_t>(((bits >> 16) & 0x8000) | static_cast<std::uint32_t>(exponent << 10) |
                                    ((bits >> 13) & 1023));
}

void fill_reals(onnx::TensorProto& tensor, const OnnxBuilder::Dims& dims, const std::vector<float>& values,
                Storage storage) {
  for (std::int64_t dim : dims) tensor.add_dims(dim);
  switch (storage) {
    case Storage::kRaw:
      tensor.set_data_type(onnx::TensorProto::FLOAT);
      tensor.set_raw_data(values.data(), values.size() * sizeof(float));
      break;
    case Storage::kTyped:
      tensor.set_data_type(onnx::TensorProto::FLOAT);
      for (float v : values) tensor.add_float_data(v);
      break;
    case Storage::kDouble: {
      tensor.set_data_type(onnx::TensorProto::DOUBLE);
      const std::vector<double> wide(values.begin(), values.end());
      tensor.set_raw_data(wide.data(), wide.size() * sizeof(double));
      break;
    }
    case Storage::kHalf:
      tensor.set_data_type(onnx::TensorProto::FLOAT16);
      for (float v : values) tensor.add_int32_data(to_half(v));
      break;
    case Storage::kBrainHalf:   // the upper half of a float
      tensor.set_data_type(onnx::TensorProto::BFLOAT16);
      for (float v : values) {
        std::uint32_t bits;
        std::memcpy(&bits, &v, sizeof bits);
        tensor.add_int32_data(static_cast<std::int32_t>(bits >> 16));
      }
      break;
  }
}

}  // namespace

OnnxBuilder::OnnxBuilder(int opset) : impl_(std::make_unique<Impl>()) {
  impl_->model.set_ir_version(opset < 9 ? 3 : 7);
  impl_->model.add_opset_import()->set_version(opset);
  impl_->graph().set_name("test_net");
}
OnnxBuilder::~OnnxBuilder() = default;
OnnxBuilder::OnnxBuilder(OnnxBuilder&&) noexcept = default;

OnnxBuilder& OnnxBuilder::input(const std::string& name, const Dims& dims) {
  fill_value_info(*impl_->graph().add_input(), name, dims);
  return *this;
}

OnnxBuilder& OnnxBuilder::output(const std::string& name) {
  fill_value_info(*impl_->graph().add_output(), name, {});
  return *this;
}

OnnxBuilder& OnnxBuilder::reals(const std::string& name, const Dims& dims, const std::vector<float>& values,
                                Storage storage) {
  onnx::TensorProto& tensor = *impl_->graph().add_initializer();
  tensor.set_name(name);
  fill_reals(tensor, dims, values, storage);
  return *this;
}

OnnxBuilder& OnnxBuilder::integers(const std::string& name, const Dims& dims, const std::vector<std::int64_t>& values) {
  onnx::TensorProto& tensor = *impl_->graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::INT64);
  for (std::int64_t dim : dims) tensor.add_dims(dim);
  for (std::int64_t v : values) tensor.add_int64_data(v);
  return *this;
}

OnnxBuilder& OnnxBuilder::octets(const std::string& name, const Dims& dims, const std::vector<int>& values, bool is_signed) {
  onnx::TensorProto& tensor = *impl_->graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(is_signed ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8);
  for (std::int64_t dim : dims) tensor.add_dims(dim);
  std::string raw;
  for (int v : values) raw.push_back(static_cast<char>(v));
  tensor.set_raw_data(raw);
  return *this;
}

OnnxBuilder& OnnxBuilder::list_as_input(const std::string& name) {
  const auto& dims = impl_->initializer(name).dims();
  fill_value_info(*impl_->graph().add_input(), name, {dims.begin(), dims.end()});
  return *this;
}

OnnxBuilder& OnnxBuilder::node(const std::string& op, const std::vector<std::string>& inputs,
                               const std::vector<std::string>& outputs, const Attributes& attributes,
                               const std::string& name, const std::string& domain) {
  onnx::NodeProto& node = *impl_->graph().add_node();
  node.set_op_type(op);
  node.set_name(name);
  node.set_domain(domain);
  for (const auto& in : inputs) node.add_input(in);
  for (const auto& out : outputs) node.add_output(out);
  for (const auto& [key, value] : attributes) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(key);
    if (const auto* i = std::get_if<std::int64_t>(&value)) {
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(*i);
    } else if (const auto* f = std::get_if<float>(&value)) {
      attribute.set_type(onnx::AttributeProto::FLOAT);
      attribute.set_f(*f);
    } else if (const auto* s = std::get_if<std::string>(&value)) {
      attribute.set_type(onnx::AttributeProto::STRING);
      attribute.set_s(*s);
    } else {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (std::int64_t v : std::get<std::vector<std::int64_t>>(value)) attribute.add_ints(v);
    }
  }
  return *this;
}

OnnxBuilder& OnnxBuilder::constant(const std::string& name, const Dims& dims, const std::vector<float>& values) {
  return node("Constant", {}, {name}).tensor_attribute("value", dims, values);
}

OnnxBuilder& OnnxBuilder::tensor_attribute(const std::string& name, const Dims& dims, const std::vector<float>& values) {
  onnx::AttributeProto& attribute = *impl_->graph().mutable_node(impl_->graph().node_size() - 1)->add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::TENSOR);
  fill_reals(*attribute.mutable_t(), dims, values, Storage::kRaw);
  return *this;
}

OnnxBuilder& OnnxBuilder::function(const std::string& domain, const std::string& name) {
  onnx::FunctionProto& function = *impl_->model.add_functions();
  function.set_domain(domain);
  function.set_name(name);
  return *this;
}

OnnxBuilder& OnnxBuilder::make_external(const std::string& initializer) {
  impl_->initializer(initializer).set_data_location(onnx::TensorProto::EXTERNAL);
  auto& entry = *impl_->initializer(initializer).add_external_data();
  entry.set_key("location");
  entry.set_value("/etc/passwd");
  return *this;
}

OnnxBuilder& OnnxBuilder::set_dims(const std::string& initializer, const Dims& dims) {
  impl_->initializer(initializer).clear_dims();
  for (std::int64_t dim : dims) impl_->initializer(initializer).add_dims(dim);
  return *this;
}

OnnxBuilder& OnnxBuilder::drop_opset() {
  impl_->model.clear_opset_import();
  return *this;
}

OnnxBuilder& OnnxBuilder::nest_subgraphs(int depth) {
  onnx::GraphProto* graph = &impl_->graph();
  for (int i = 0; i < depth; ++i) {
    onnx::NodeProto& node = *graph->add_node();
    node.set_op_type("If");
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_type(onnx::AttributeProto::GRAPH);
    graph = attribute.mutable_g();
  }
  return *this;
}

int OnnxBuilder::opset() const { return static_cast<int>(impl_->model.opset_import(0).version()); }

std::vector<std::byte> OnnxBuilder::bytes() const {
  const std::string text = impl_->model.SerializeAsString();
  std::vector<std::byte> out(text.size());
  std::memcpy(out.data(), text.data(), text.size());
  return out;
}

TEST(OnnxBuilder, WritesAModelThatProtobufReads) {
  OnnxBuilder builder(11);
  builder.input("x", {-1, 3}).reals("w", {3}, {1, 0.5f, -2}, Storage::kHalf).node("Mul", {"x", "w"}, {"y"}).output("y");
  const auto bytes = builder.bytes();
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  EXPECT_EQ(model.graph().node(0).op_type(), "Mul");
  EXPECT_EQ(model.graph().initializer(0).int32_data(1), 0x3800);  // 0.5 as a half
}

}  // namespace brainlock::compiler
