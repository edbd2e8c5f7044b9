#include "expand_operators.hpp"

#include <cmath>
#include <optional>
#include <unordered_set>
#include <utility>

#include "import_state.hpp"
#include "scalar_regions.hpp"

namespace brainlock::compiler {
namespace {

using Dims = std::unordered_map<std::string, std::vector<std::int64_t>>;

constexpr int kAxesAreInputs = 18;         // of ReduceMean, from this opset on
constexpr int kSoftmaxOfOneAxis = 13;      // before it, all axes from `axis` on are one

class Expander {
 public:
  Expander(OnnxModel model, const Dims& dims, const std::unordered_map<std::string, int>& halvings)
      : model_(std::move(model)), dims_(dims), halvings_(halvings), kinds_(model_) {
    for (const auto& [name, tensor] : model_.constants) taken_.insert(name);
    for (const OnnxInput& input : model_.inputs) taken_.insert(input.name);
    for (const OnnxNode& node : model_.nodes) taken_.insert(node.outputs.begin(), node.outputs.end());
  }

  Expanded run() {
    std::vector<OnnxNode> nodes = std::move(model_.nodes);
    model_.nodes.clear();
    for (OnnxNode& node : nodes) {
      stem_ = node.name;
      if (!expand(node)) model_.nodes.push_back(std::move(node));
    }
    return {std::move(model_), std::move(exponentials_)};
  }

 private:
  bool expand(const OnnxNode& node) {
    if (node.is_function || node.outputs.empty()) return false;
    if (node.op == "Div" && node.inputs.size() == 2 && kinds_.depends_on_input(node.inputs[1])) {
      make("Mul", {node.inputs[0], make("Reciprocal", {node.inputs[1]})}, node.outputs[0]);
      return true;
    }
    if (node.op == "Softmax") return expand_softmax(node);
    if (node.op == "LayerNormalization") return expand_layer_normalization(node);
    return false;
  }

  /// The extent of the last axis, if that is what the node works along.
  std::optional<std::int64_t> last_extent(const OnnxNode& node, std::int64_t axis) const {
    const auto dims = node.inputs.empty() ? dims_.end() : dims_.find(node.inputs[0]);
    if (dims == dims_.end() || dims->second.empty()) return std::nullopt;
    const auto rank = static_cast<std::int64_t>(dims->second.size());
    return axis == -1 || axis == rank - 1 ? std::optional(dims->second.back()) : std::nullopt;
  }

  bool expand_softmax(const OnnxNode& node) {
    const auto extent = last_extent(node, attribute_int(node, "axis", model_.opset < kSoftmaxOfOneAxis ? 1 : -1));
    if (!extent) return false;
    const std::string& x = node.inputs[0];
    const auto given = halvings_.find(node.name);
    const int halvings = given == halvings_.end() ? 0 : given->second;
    std::string y = make("Sub", {x, mean(x)});
    if (halvings > 0) y = make("Mul", {y, number("part", std::ldexp(1.0, -halvings))});
    y = make("Exp", {y});
    exponentials_.emplace(y, node.name);
    for (int k = 0; k <= halvings; ++k) {
      if (k > 0) y = make("Mul", {y, y});
      const std::string sum = make("Mul", {mean(y), number("extent", static_cast<double>(*extent))});
      y = make("Mul", {y, make("Reciprocal", {sum})}, k == halvings ? node.outputs[0] : "");
    }
    return true;
  }

  bool expand_layer_normalization(const OnnxNode& node) {
    if (!last_extent(node, attribute_int(node, "axis", -1)) || node.outputs.size() > 1 || node.inputs.size() < 2) return false;
    const std::string& x = node.inputs[0];
    const std::string centred = make("Sub", {x, mean(x)});
    const std::string variance = make("Add", {mean(make("Mul", {centred, centred})), number("epsilon", attribute_float(node, "epsilon", 1e-5))});
    const std::string unit = make("Mul", {centred, make("Reciprocal", {make("Sqrt", {variance})})});
    const bool shifted = ImportState::has_input(node, 2);
    const std::string scaled = make("Mul", {unit, node.inputs[1]}, shifted ? "" : node.outputs[0]);
    if (shifted) make("Add", {scaled, node.inputs[2]}, node.outputs[0]);
    return true;
  }

  std::string fresh(const std::string& what) {
    std::string name = stem_ + "/" + what;
    for (int k = 2; !taken_.insert(name).second; ++k) name = stem_ + "/" + what + "_" + std::to_string(k);
    return name;
  }

  std::string number(const std::string& what, double value) {
    std::string name = fresh(what);
    auto tensor = std::make_shared<ConstTensor>();
    tensor->reals.push_back(static_cast<float>(value));
    model_.constants.emplace(name, std::move(tensor));
    return name;
  }

  /// A new node; its output, under a name of its own if none is given.
  std::string make(const std::string& op, std::vector<std::string> inputs, std::string out = {}) {
    OnnxNode node;
    node.name = fresh(op);
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {out.empty() ? node.name : std::move(out)};
    model_.nodes.push_back(std::move(node));
    return model_.nodes.back().outputs[0];
  }

  /// The mean along the last axis, which stays as one of extent 1.
  std::string mean(const std::string& x) {
    const std::vector<std::int64_t> last{-1};
    std::vector<std::string> inputs{x};
    if (model_.opset >= kAxesAreInputs) {
      inputs.push_back(fresh("axes"));
      auto axes = std::make_shared<ConstTensor>();
      axes->dims = {1};
      axes->is_integer = true;
      axes->integers = last;
      model_.constants.emplace(inputs.back(), std::move(axes));
    }
    const std::string out = make("ReduceMean", std::move(inputs));
    OnnxAttribute keep;
    keep.kind = OnnxAttribute::Kind::kInt;
    keep.i = 1;
    model_.nodes.back().attributes.emplace("keepdims", keep);
    if (model_.opset < kAxesAreInputs) {
      OnnxAttribute axes;
      axes.kind = OnnxAttribute::Kind::kInts;
      axes.ints = last;
      model_.nodes.back().attributes.emplace("axes", axes);
    }
    return out;
  }

  OnnxModel model_;
  const Dims& dims_;
  const std::unordered_map<std::string, int>& halvings_;
  std::unordered_map<std::string, std::string> exponentials_;
  TensorKinds kinds_;
  std::unordered_set<std::string> taken_;
  std::string stem_;
};

}  // namespace

Expanded expand_operators(OnnxModel model, const Dims& dims, const std::unordered_map<std::string, int>& halvings) {
  return Expander(std::move(model), dims, halvings).run();
}

std::string drop_last_operator(OnnxModel& model) {
  for (OnnxNode& node : model.nodes) {
    if (model.outputs.empty() || node.outputs.empty() || node.outputs[0] != model.outputs[0] || node.inputs.empty() || node.is_function) continue;
    if (node.op != "Softmax" && node.op != "LogSoftmax" && node.op != "Sigmoid") return {};
    std::string op = node.op;
    OnnxNode same;
    same.name = node.name;
    same.op = "Identity";
    same.inputs = {node.inputs[0]};
    same.outputs = {node.outputs[0]};
    node = std::move(same);
    return op;
  }
  return {};
}

}  // namespace brainlock::compiler
