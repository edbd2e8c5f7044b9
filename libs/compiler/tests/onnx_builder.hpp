// Writes small ONNX models for the tests, through protobuf; its types stay in onnx_builder_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace brainlock::compiler {

/// "t", 3 -> "t3". (Not by operator+: GCC 12 warns of an overlap there that cannot be.)
inline std::string numbered(std::string name, std::size_t number) {
  name += std::to_string(number);
  return name;
}

enum class Storage { kRaw, kTyped, kDouble, kHalf, kBrainHalf };

class OnnxBuilder {
 public:
  using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>>;
  using Attributes = std::vector<std::pair<std::string, Attribute>>;
  using Dims = std::vector<std::int64_t>;

  explicit OnnxBuilder(int opset = 13);
  ~OnnxBuilder();
  OnnxBuilder(OnnxBuilder&&) noexcept;

  /// A dimension of -1 is symbolic.
  OnnxBuilder& input(const std::string& name, const Dims& dims);
  OnnxBuilder& output(const std::string& name);
  OnnxBuilder& reals(const std::string& name, const Dims& dims, const std::vector<float>& values,
                     Storage storage = Storage::kRaw);
  OnnxBuilder& integers(const std::string& name, const Dims& dims, const std::vector<std::int64_t>& values);
  /// Raw bytes of type int8 or uint8.
  OnnxBuilder& octets(const std::string& name, const Dims& dims, const std::vector<int>& values, bool is_signed);
  /// Also lists the tensor among the graph's inputs, as files before IR version 4 do.
  OnnxBuilder& list_as_input(const std::string& name);
  OnnxBuilder& node(const std::string& op, const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs, const Attributes& attributes = {},
                    const std::string& name = "", const std::string& domain = "");
  /// A Constant node.
  OnnxBuilder& constant(const std::string& name, const Dims& dims, const std::vector<float>& values);

  /// Gives the last node an attribute that is a tensor.
  OnnxBuilder& tensor_attribute(const std::string& attribute, const Dims& dims, const std::vector<float>& values);
  /// Declares a function of the model itself (without a body).
  OnnxBuilder& function(const std::string& domain, const std::string& name);

  // Ways to be wrong.
  OnnxBuilder& make_external(const std::string& initializer);
  OnnxBuilder& set_dims(const std::string& initializer, const Dims& dims);
  OnnxBuilder& drop_opset();
  OnnxBuilder& nest_subgraphs(int depth);

  [[nodiscard]] int opset() const;
  [[nodiscard]] std::vector<std::byte> bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

using Rng = std::mt19937;
inline std::vector<float> random_reals(Rng& rng, std::size_t count, float low = -1, float high = 1) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> out(count);
  for (float& v : out) v = uniform(rng);
  return out;
}
inline int random_int(Rng& rng, int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); }

}  // namespace brainlock::compiler
