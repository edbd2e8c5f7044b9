#include "polynomial_nodes.hpp"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

namespace brainlock::compiler {
namespace {

/// Names that the model does not have yet.
class FreshNames {
 public:
  FreshNames(const OnnxModel& model, std::string stem) : stem_(std::move(stem)) {
    for (const auto& [name, tensor] : model.constants) taken_.insert(name);
    for (const OnnxInput& input : model.inputs) taken_.insert(input.name);
    for (const OnnxNode& node : model.nodes) taken_.insert(node.outputs.begin(), node.outputs.end());
  }
  std::string make(const std::string& what) {
    std::string name = stem_ + "/" + what;
    for (int k = 2; !taken_.insert(name).second; ++k) name = stem_ + "/" + what + "_" + std::to_string(k);
    return name;
  }

 private:
  std::string stem_;
  std::unordered_set<std::string> taken_;
};

}  // namespace

void write_polynomials(OnnxModel& model, const FunctionParams& function, const std::vector<FittedPolynomial>& polynomials) {
  const auto at = std::find_if(model.nodes.begin(), model.nodes.end(), [&](const OnnxNode& node) { return node.scalar == function.f; });
  const OnnxNode replaced = *at;
  FreshNames names(model, replaced.name);
  std::vector<OnnxNode> nodes;
  // name <- op(left, a constant of one number for each polynomial)
  const auto step = [&](const char* op, const std::string& left, const std::string& what, auto number, std::string out = {}) {
    auto constant = std::make_shared<ConstTensor>();
    for (const FittedPolynomial& p : polynomials) constant->reals.push_back(static_cast<float>(number(p)));
    if (polynomials.size() > 1) constant->dims = function.channel_dims;
    const std::string right = names.make(what);
    model.constants.emplace(right, std::move(constant));
    OnnxNode node;
    node.name = names.make(what + "_" + op);
    node.op = op;
    node.inputs = {left, right};
    node.outputs = {out.empty() ? node.name : std::move(out)};
    nodes.push_back(node);
    return node.outputs.front();
  };
  const auto times = [&](const std::string& left, const std::string& right, const std::string& what) {
    OnnxNode node;
    node.name = names.make(what);
    node.op = "Mul";
    node.inputs = {left, right};
    node.outputs = {node.name};
    nodes.push_back(node);
    return node.outputs.front();
  };
  const std::size_t degree = polynomials.front().coefficients.size() - 1;
  const std::string scaled = step("Mul", replaced.inputs.front(), "scale", [](const FittedPolynomial& p) { return 1 / p.reach; });
  const std::string u = step("Add", scaled, "shift", [](const FittedPolynomial& p) { return -p.centre / p.reach; });
  std::string sum;
  for (std::size_t k = degree + 1; k-- > 0;) {
    std::string what = "c";   // not by operator+: GCC 12 warns of an overlap there that cannot be
    what += std::to_string(k);
    const auto coefficient = [k](const FittedPolynomial& p) { return p.coefficients[k]; };
    if (k == degree) {
      sum = step("Mul", u, what, coefficient);
      continue;
    }
    sum = step("Add", sum, what, coefficient, k == 0 ? replaced.outputs.front() : std::string());
    if (k > 0) sum = times(sum, u, "u" + std::to_string(k));
  }
  const auto place = model.nodes.erase(model.nodes.begin() + (at - model.nodes.begin()));
  model.nodes.insert(place, std::make_move_iterator(nodes.begin()), std::make_move_iterator(nodes.end()));
}

}  // namespace brainlock::compiler
