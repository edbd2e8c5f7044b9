#include "scalar_regions.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

// So many tensors before it may a function be one of; more only makes hostile files slow.
constexpr std::size_t kMaxPivots = 16;

struct UnaryRow {
  std::string_view op;
  ScalarOp scalar;
};
constexpr std::array kUnary{
    UnaryRow{"Neg", ScalarOp::kNeg},           UnaryRow{"Abs", ScalarOp::kAbs},           UnaryRow{"Exp", ScalarOp::kExp},
    UnaryRow{"Log", ScalarOp::kLog},           UnaryRow{"Sqrt", ScalarOp::kSqrt},         UnaryRow{"Reciprocal", ScalarOp::kReciprocal},
    UnaryRow{"Erf", ScalarOp::kErf},           UnaryRow{"Sigmoid", ScalarOp::kSigmoid},   UnaryRow{"Tanh", ScalarOp::kTanh},
    UnaryRow{"Sin", ScalarOp::kSin},           UnaryRow{"Cos", ScalarOp::kCos},           UnaryRow{"Softplus", ScalarOp::kSoftplus},
    UnaryRow{"Softsign", ScalarOp::kSoftsign}, UnaryRow{"HardSwish", ScalarOp::kHardSwish}, UnaryRow{"Mish", ScalarOp::kMish},
    UnaryRow{"Relu", ScalarOp::kLeakyRelu},
};
constexpr std::array kBinary{
    UnaryRow{"Add", ScalarOp::kAdd}, UnaryRow{"Sub", ScalarOp::kSub}, UnaryRow{"Mul", ScalarOp::kMul}, UnaryRow{"Div", ScalarOp::kDiv},
    UnaryRow{"Max", ScalarOp::kMax}, UnaryRow{"Min", ScalarOp::kMin}, UnaryRow{"Pow", ScalarOp::kPow},
};

std::optional<ScalarOp> find(const auto& rows, const std::string& op) {
  for (const UnaryRow& row : rows)
    if (row.op == op) return row.scalar;
  return std::nullopt;
}

/// What a node does to its one tensor, where it is an operator with parameters.
struct Parametric {
  ScalarOp op;
  double p = 0, q = 0;
};

std::optional<Parametric> parametric(const OnnxNode& node, const TensorKinds& kinds) {
  const auto given = [&](const char* name, double otherwise) { return attribute_float(node, name, otherwise); };
  const std::string& op = node.op;
  if (op == "LeakyRelu") return Parametric{ScalarOp::kLeakyRelu, given("alpha", 0.01)};
  if (op == "ThresholdedRelu") return Parametric{ScalarOp::kThresholdedRelu, given("alpha", 1)};
  if (op == "Elu") return Parametric{ScalarOp::kElu, given("alpha", 1)};
  if (op == "Celu") return Parametric{ScalarOp::kCelu, given("alpha", 1)};
  if (op == "Selu") return Parametric{ScalarOp::kSelu, given("alpha", 1.6732632423543772), given("gamma", 1.0507009873554805)};
  if (op == "HardSigmoid") return Parametric{ScalarOp::kHardSigmoid, given("alpha", 0.2), given("beta", 0.5)};
  if (op == "Gelu") return Parametric{attribute_string(node, "approximate", "none") == "tanh" ? ScalarOp::kGeluTanh : ScalarOp::kGelu};
  if (op == "PRelu") {
    const auto slope = node.inputs.size() > 1 ? kinds.number(node.inputs[1], true) : std::nullopt;
    if (slope) return Parametric{ScalarOp::kLeakyRelu, *slope};
  }
  if (op == "Clip") {
    double bounds[2] = {given("min", -std::numeric_limits<double>::infinity()), given("max", std::numeric_limits<double>::infinity())};
    for (std::size_t k = 1; k < 3; ++k) {
      if (!ImportState::has_input(node, k)) continue;
      const auto bound = kinds.number(node.inputs[k], true);
      if (!bound) return std::nullopt;
      bounds[k - 1] = *bound;
    }
    return Parametric{ScalarOp::kClip, bounds[0], bounds[1]};
  }
  return std::nullopt;
}

/// A tensor as a function of another one.
struct Expression {
  std::string of;
  ScalarFunction f;
};

class Gatherer {
 public:
  explicit Gatherer(OnnxModel model) : model_(std::move(model)), kinds_(model_) {}

  OnnxModel run() {
    for (const OnnxNode& node : model_.nodes) express(node);
    // From the end: what is read is made, by its operators or as a function of what is before them.
    std::unordered_set<std::string> wanted(model_.outputs.begin(), model_.outputs.end());
    std::vector<OnnxNode> kept;
    for (std::size_t i = model_.nodes.size(); i-- > 0;) {
      OnnxNode& node = model_.nodes[i];
      if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](const std::string& out) { return !out.empty() && wanted.contains(out); })) continue;
      if (const Expression* function = replacement(node)) {
        OnnxNode made;
        made.name = node.name;
        made.op = kScalarOp;
        made.inputs = {function->of};
        made.outputs = {node.outputs.front()};
        made.scalar = std::make_shared<const ScalarFunction>(function->f);
        node = std::move(made);
      }
      wanted.insert(node.inputs.begin(), node.inputs.end());
      kept.push_back(std::move(node));
    }
    std::reverse(kept.begin(), kept.end());
    model_.nodes = std::move(kept);
    return std::move(model_);
  }

 private:
  using Chain = std::vector<Expression>;   // of what is nearest first; the tensor itself is not in it

  // The expressions of a tensor, itself first.
  Chain chain(const std::string& tensor) const {
    Chain out{{tensor, {}}};
    if (const auto found = chains_.find(tensor); found != chains_.end()) out.insert(out.end(), found->second.begin(), found->second.end());
    return out;
  }

  void express(const OnnxNode& node) {
    if (node.is_function || node.outputs.size() != 1 || node.inputs.empty() || !kinds_.depends_on_input(node.outputs.front())) return;
    Chain made;
    const auto add = [&](std::string of, ScalarFunction f) {
      if (f.size() <= ScalarFunction::kMaxSteps && made.size() < kMaxPivots) made.push_back({std::move(of), std::move(f)});
    };
    if (const auto binary = find(kBinary, node.op); binary && node.inputs.size() == 2) {
      const std::string &left = node.inputs[0], &right = node.inputs[1];
      if (kinds_.depends_on_input(left) && kinds_.depends_on_input(right)) {
        for (const Expression& a : chain(left))
          for (const Expression& b : chain(right))
            if (a.of == b.of) add(a.of, a.f.with(*binary, b.f));
      } else {
        const bool first = kinds_.depends_on_input(left);
        const auto number = kinds_.number(first ? right : left);
        if (!number) return;
        const ScalarFunction constant = ScalarFunction::constant(*number);
        for (const Expression& e : chain(first ? left : right)) add(e.of, first ? e.f.with(*binary, constant) : constant.with(*binary, e.f));
      }
    } else if (kinds_.depends_on_input(node.inputs[0])) {
      if (const auto unary = find(kUnary, node.op)) {
        for (const Expression& e : chain(node.inputs[0])) add(e.of, e.f.then(*unary));
      } else if (const auto op = parametric(node, kinds_)) {
        for (const Expression& e : chain(node.inputs[0])) add(e.of, e.f.then(op->op, op->p, op->q));
      }
    }
    if (!made.empty()) chains_.emplace(node.outputs.front(), std::move(made));
  }

  // What comes in place of a node: a function of the tensor that lies farthest back. Null: the node stays.
  const Expression* replacement(const OnnxNode& node) const {
    if (node.outputs.size() != 1) return nullptr;
    const auto found = chains_.find(node.outputs.front());
    if (found == chains_.end() || found->second.back().f.is_polynomial()) return nullptr;
    return &found->second.back();
  }

  OnnxModel model_;
  TensorKinds kinds_;
  std::unordered_map<std::string, Chain> chains_;
};

}  // namespace

TensorKinds::TensorKinds(const OnnxModel& model) {
  const auto note = [&](const std::string& name, const ConstTensor& tensor) {
    if (tensor.size() == 1) numbers_.emplace(name, Number{tensor.at(0), tensor.dims.size()});
  };
  for (const OnnxInput& input : model.inputs) dependent_.insert(input.name);
  for (const auto& [name, tensor] : model.constants) note(name, *tensor);
  for (const OnnxNode& node : model.nodes) {
    if (std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) { return dependent_.contains(input); }))
      dependent_.insert(node.outputs.begin(), node.outputs.end());
    if (node.op != "Constant" || node.outputs.size() != 1) continue;
    for (const auto& [name, attribute] : node.attributes) {
      if (name == "value" && attribute.tensor) note(node.outputs.front(), *attribute.tensor);
      if (name == "value_float") numbers_.emplace(node.outputs.front(), Number{static_cast<double>(attribute.f), 0});
      if (name == "value_int") numbers_.emplace(node.outputs.front(), Number{static_cast<double>(attribute.i), 0});
    }
  }
}

std::optional<double> TensorKinds::number(const std::string& tensor, bool any_rank) const {
  const auto found = numbers_.find(tensor);
  if (found == numbers_.end() || (!any_rank && found->second.rank > 1)) return std::nullopt;
  return found->second.value;
}

OnnxModel gather_scalar_functions(OnnxModel model) { return Gatherer(std::move(model)).run(); }

}  // namespace brainlock::compiler
