// Einsum and sums over axes, made of what there is already: transposed and
// reshaped operands, a product of matrices, a mean.
#include <algorithm>
#include <cctype>
#include <utility>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Dims = std::vector<std::int64_t>;

// Operators of the importer's own, one behind the other, whose tensors have
// names below that of the node's output.
class Steps {
 public:
  Steps(ImportState& state, const OnnxNode& node) : state_(state), node_(node) {}

  [[nodiscard]] Dims dims(const std::string& name) const {
    OnnxNode read;
    read.inputs = {name};
    if (const Value* value = state_.value(read, 0)) return value->dims;
    const ConstTensorPtr constant = state_.constant(read, 0);
    return constant ? constant->dims : Dims{};
  }

  std::string fresh() { return node_.outputs.at(0) + "/step_" + std::to_string(++count_); }

  Outcome define(ConstTensor tensor, std::string& name) {
    name = fresh();
    if (!state_.define(name, std::make_shared<const ConstTensor>(std::move(tensor))))
      return inconsistent("its output is already the output of another node");
    return {};
  }

  // `out`: the name of the result; a new one if it is empty.
  Outcome run(const std::string& op, std::vector<std::string> inputs, std::string& out,
              Outcome (*handler)(ImportState&, const OnnxNode&), const Dims* perm = nullptr) {
    OnnxNode step;
    step.name = node_.name;
    step.op = op;
    step.inputs = std::move(inputs);
    if (out.empty()) out = fresh();
    step.outputs = {out};
    if (perm != nullptr) {
      OnnxAttribute attribute;
      attribute.kind = OnnxAttribute::Kind::kInts;
      attribute.ints = *perm;
      step.attributes.emplace("perm", std::move(attribute));
    }
    bool constant = true;
    for (std::size_t k = 0; k < step.inputs.size(); ++k) constant = constant && state_.constant(step, k);
    return constant ? fold_constant(state_, step) : handler(state_, step);
  }

  Outcome reshape(std::string& name, const Dims& dims, const std::string& out = {}) {
    ConstTensor shape;
    shape.dims = {static_cast<std::int64_t>(dims.size())};
    shape.is_integer = true;
    shape.integers = dims;
    std::string list, made = out;
    if (auto refusal = define(std::move(shape), list)) return refusal;
    if (auto refusal = run("Reshape", {name, list}, made, import_reshape)) return refusal;
    name = made;
    return {};
  }

  Outcome transpose(std::string& name, const Dims& perm) {
    if (std::is_sorted(perm.begin(), perm.end())) return {};
    std::string made;
    if (auto refusal = run("Transpose", {name}, made, import_transpose, &perm)) return refusal;
    name = made;
    return {};
  }

 private:
  ImportState& state_;
  const OnnxNode& node_;
  int count_ = 0;
};

struct Operand {
  std::string name, labels;
};

bool has(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

// Terms and the result's labels; without an arrow these are the ones that occur
// once, in alphabetical order.
bool read_equation(std::string equation, std::vector<std::string>& terms, std::string& result) {
  std::erase(equation, ' ');
  const std::size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow);
  terms.assign(1, {});
  for (const char c : left) {
    if (c == ',')
      terms.emplace_back();
    else if (std::isalpha(static_cast<unsigned char>(c)) == 0 || has(terms.back(), c))
      return false;  // an ellipsis, a diagonal
    else
      terms.back().push_back(c);
  }
  if (arrow != std::string::npos) {
    result = equation.substr(arrow + 2);
  } else {
    std::sort(left.begin(), left.end());
    for (const char c : left)
      if (c != ',' && std::count(left.begin(), left.end(), c) == 1) result.push_back(c);
  }
  for (std::size_t k = 0; k < result.size(); ++k)
    if (std::isalpha(static_cast<unsigned char>(result[k])) == 0 || !has(left, result[k]) ||
        has(result.substr(0, k), result[k]))
      return false;
  return true;
}

// `wanted`: its labels in another order.
Outcome arrange(Steps& steps, Operand& operand, const std::string& wanted) {
  Dims perm;
  for (const char c : wanted) perm.push_back(static_cast<std::int64_t>(operand.labels.find(c)));
  if (perm.size() != operand.labels.size()) return inconsistent("its labels do not fit");
  if (auto refusal = steps.transpose(operand.name, perm)) return refusal;
  operand.labels = wanted;
  return {};
}

Outcome contract(Steps& steps, Operand a, Operand b, const std::string& wanted, Operand& out) {
  std::string batch, inner, rows, columns;
  std::int64_t batches = 1, inners = 1, m = 1, n = 1;
  Dims dims;
  const Dims left = steps.dims(a.name), right = steps.dims(b.name);
  const auto extent = [&](char c) { return has(a.labels, c) ? left[a.labels.find(c)] : right[b.labels.find(c)]; };
  for (const char c : a.labels) {
    if (!has(b.labels, c)) {
      if (!has(wanted, c)) return Refusal{"a sum over an axis of one tensor alone", "sum before the product", false};
      rows.push_back(c);
      m *= extent(c);
    } else if (left[a.labels.find(c)] != right[b.labels.find(c)]) {
      return inconsistent(std::string("its tensors have other extents of '") + c + "'");
    } else if (has(wanted, c)) {
      batch.push_back(c);
      batches *= extent(c);
    } else {
      inner.push_back(c);
      inners *= extent(c);
    }
  }
  for (const char c : b.labels)
    if (!has(a.labels, c)) {
      if (!has(wanted, c)) return Refusal{"a sum over an axis of one tensor alone", "sum before the product", false};
      columns.push_back(c);
      n *= extent(c);
    }
  for (const char c : batch + rows + columns) dims.push_back(extent(c));
  if (auto refusal = arrange(steps, a, batch + rows + inner)) return refusal;
  if (auto refusal = arrange(steps, b, batch + inner + columns)) return refusal;
  if (auto refusal = steps.reshape(a.name, {batches, m, inners})) return refusal;
  if (auto refusal = steps.reshape(b.name, {batches, inners, n})) return refusal;
  out.labels = batch + rows + columns;
  out.name.clear();
  if (auto refusal = steps.run("MatMul", {a.name, b.name}, out.name, import_matmul)) return refusal;
  return steps.reshape(out.name, dims);
}

}  // namespace

Outcome import_einsum(ImportState& state, const OnnxNode& node) {
  std::vector<std::string> terms;
  std::string result;
  if (!read_equation(attribute_string(node, "equation", ""), terms, result) || terms.size() != node.inputs.size() ||
      terms.size() < 2 || terms.size() > 4)
    return Refusal{"an equation with an ellipsis, a diagonal or a single tensor",
                   "write it with MatMul, Transpose and ReduceMean", false};
  Steps steps(state, node);
  for (std::size_t k = 0; k < terms.size(); ++k)
    if (steps.dims(node.inputs[k]).size() != terms[k].size())
      return inconsistent("its equation does not fit its inputs");
  Operand sum{node.inputs[0], terms[0]};
  for (std::size_t k = 1; k < terms.size(); ++k) {
    std::string wanted = result;
    for (std::size_t later = k + 1; later < terms.size(); ++later) wanted += terms[later];
    Operand made;
    if (auto refusal = contract(steps, sum, {node.inputs[k], terms[k]}, wanted, made)) return refusal;
    sum = std::move(made);
  }
  if (auto refusal = arrange(steps, sum, result)) return refusal;
  const Dims dims = steps.dims(sum.name);
  return steps.reshape(sum.name, dims, node.outputs.at(0));
}

Outcome import_reduce_sum(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return inconsistent("it has no input");
  Steps steps(state, node);
  OnnxNode mean = node;
  mean.outputs = {steps.fresh()};
  if (auto refusal = import_reduce_mean(state, mean))
    return Refusal{"a sum, which is a mean times a number: " + refusal->reason, refusal->rewrite, refusal->malformed};
  ConstTensor count;
  count.reals = {static_cast<float>(element_count(value->dims) / element_count(steps.dims(mean.outputs[0])))};
  std::string factor, out = node.outputs.at(0);
  if (auto refusal = steps.define(std::move(count), factor)) return refusal;
  return steps.run("Mul", {mean.outputs[0], factor}, out, import_mul);
}

// Channels to blocks of pixels (DCR: the block's place varies slower than the
// channel) and back: reshaped, transposed and reshaped.
Outcome import_depth_to_space(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  const std::int64_t block = attribute_int(node, "blocksize", 0);
  const bool back = node.op == "SpaceToDepth";
  if (value == nullptr || value->dims.size() != 4 || block < 1 || block > 4096)
    return inconsistent("its blocksize or its input does not fit");
  const std::int64_t c = value->dims[1], h = value->dims[2], w = value->dims[3];
  if (back ? h % block != 0 || w % block != 0 : c % (block * block) != 0)
    return inconsistent("its blocksize does not divide its input");
  Steps steps(state, node);
  std::string name = node.inputs[0];
  const std::int64_t channels = c / (block * block);
  const bool columns_first = attribute_string(node, "mode", "DCR") == "CRD";
  if (back) {
    if (auto refusal = steps.reshape(name, {1, c, h / block, block, w / block, block})) return refusal;
    if (auto refusal = steps.transpose(name, {0, 3, 5, 1, 2, 4})) return refusal;
    return steps.reshape(name, {1, c * block * block, h / block, w / block}, node.outputs.at(0));
  }
  if (auto refusal = steps.reshape(
          name, columns_first ? Dims{1, channels, block, block, h, w} : Dims{1, block, block, channels, h, w}))
    return refusal;
  if (auto refusal = steps.transpose(name, columns_first ? Dims{0, 1, 4, 2, 5, 3} : Dims{0, 3, 4, 1, 5, 2}))
    return refusal;
  return steps.reshape(name, {1, channels, h * block, w * block}, node.outputs.at(0));
}

}  // namespace brainlock::compiler
