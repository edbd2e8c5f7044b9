#include "graph_importer.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

using Handler = Outcome (*)(ImportState&, const OnnxNode&);

const std::unordered_map<std::string, Handler>& handlers() {
  static const std::unordered_map<std::string, Handler> kHandlers{
      {"Conv", import_conv},
      {"Gemm", import_gemm},
      {"MatMul", import_matmul},
      {"AveragePool", import_average_pool},
      {"GlobalAveragePool", import_global_average_pool},
      {"ReduceMean", import_reduce_mean},
      {"BatchNormalization", import_batch_normalization},
      {"Add", import_add},
      {"Sub", import_sub},
      {"Sum", import_sum},
      {"Mul", import_mul},
      {"Div", import_div},
      {"Pow", import_pow},
      {"Neg", import_neg},
      {"Identity", import_identity},
      {"Cast", import_cast},
      {"CastLike", import_cast_like},
      {"Dropout", import_dropout},
      {"Flatten", import_flatten},
      {"Reshape", import_reshape},
      {"Squeeze", import_squeeze},
      {"Unsqueeze", import_unsqueeze},
      {"Transpose", import_transpose},
      {"Shape", import_shape},
      {"Pad", import_pad},
      {"Slice", import_slice},
      {"Split", import_split},
      {"Gather", import_gather},
      {"Expand", import_expand},
      {"Concat", import_concat},
      {"Tile", import_tile},
      {"Einsum", import_einsum},
      {"ReduceSum", import_reduce_sum},
      {"DepthToSpace", import_depth_to_space},
      {"SpaceToDepth", import_depth_to_space},
      {kScalarOp, import_scalar},
  };
  return kHandlers;
}

// The kinds that ONNX gives to the attributes that handlers read. A wrong one would otherwise pass for an absent one.
bool attributes_ok(const OnnxNode& node, std::string& wrong) {
  using Kind = OnnxAttribute::Kind;
  static const std::unordered_map<std::string, Kind> kKinds{
      {"kernel_shape", Kind::kInts}, {"strides", Kind::kInts}, {"pads", Kind::kInts},     {"dilations", Kind::kInts},
      {"auto_pad", Kind::kString},   {"group", Kind::kInt},    {"ceil_mode", Kind::kInt}, {"alpha", Kind::kFloat},
      {"beta", Kind::kFloat},        {"transA", Kind::kInt},   {"transB", Kind::kInt},    {"epsilon", Kind::kFloat},
      {"training_mode", Kind::kInt}, {"spatial", Kind::kInt},  {"axes", Kind::kInts},     {"axis", Kind::kInt},
      {"keepdims", Kind::kInt},      {"perm", Kind::kInts},    {"allowzero", Kind::kInt}, {"to", Kind::kInt},
      {"start", Kind::kInt},         {"end", Kind::kInt},      {"starts", Kind::kInts},   {"ends", Kind::kInts},
      {"mode", Kind::kString},       {"block_size", Kind::kInt}, {"count_include_pad", Kind::kInt},
      {"split", Kind::kInts},        {"num_outputs", Kind::kInt},  {"equation", Kind::kString}, {"blocksize", Kind::kInt},
  };
  for (const auto& [name, attribute] : node.attributes) {
    const auto known = kKinds.find(name);
    if (known != kKinds.end() && known->second != attribute.kind) {
      wrong = name;
      return false;
    }
  }
  return true;
}

class GraphBuilder {
 public:
  GraphBuilder(const OnnxModel& model, std::size_t file_bytes, const ImportOptions& options)
      : model_(model), options_(options), state_(file_bytes, options) {}

  Result<Graph> build() {
    const std::vector<bool> needed = needed_nodes();
    BRAINLOCK_TRY(check_interface(needed));
    for (const auto& [name, tensor] : model_.constants) {
      if (!state_.define(name, tensor))
        return Error{ErrorCode::kMalformed, "the tensor '" + printable(name) + "' has two meanings"};
    }
    for (std::size_t i = 0; i < model_.nodes.size(); ++i) {
      if (!needed[i]) continue;
      BRAINLOCK_TRY(take(model_.nodes[i]));
    }
    BRAINLOCK_TRY(take_output());
    if (!issues_.empty()) return report();
    state_.graph().model_name = model_.name.empty() ? "model" : model_.name;
    Graph graph = without_dead_nodes(std::move(state_.graph()));
    if (const Status status = validate(graph); !status.ok())
      return Error{ErrorCode::kMalformed, status.error().message};
    return graph;
  }

  [[nodiscard]] const ImportState& state() const { return state_; }

 private:
  void refuse(const std::string& node, const std::string& op, Refusal refusal) {
    malformed_ = malformed_ || refusal.malformed;
    issues_.push_back({node, op, std::move(refusal.reason), std::move(refusal.rewrite)});
  }

  // One input that matters, of fixed size, and one output.
  Status check_interface(const std::vector<bool>& needed) {
    if (model_.outputs.empty()) return {ErrorCode::kMalformed, "ONNX model without an output"};
    if (model_.outputs.size() != 1) {
      refuse("outputs", "graph",
             {"the model has " + std::to_string(model_.outputs.size()) + " outputs",
              "export it with one output, or cut it down to one (onnx.utils.extract_model)", false});
    }
    std::unordered_set<std::string> read;
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (needed[i]) read.insert(model_.nodes[i].inputs.begin(), model_.nodes[i].inputs.end());
    }
    bool first = true;
    for (const OnnxInput& input : model_.inputs) {
      if (!read.contains(input.name)) continue;
      if (!first) {
        refuse(printable(input.name), "graph",
               {"a second input", "export the model with the image as only input", false});
        if (!state_.define(input.name, std::monostate{})) return {ErrorCode::kMalformed, "two inputs of one name"};
        continue;
      }
      first = false;
      define_input(input);
    }
    if (first && !model_.inputs.empty()) return {ErrorCode::kMalformed, "the model's output does not depend on its input"};
    if (first) return {ErrorCode::kMalformed, "ONNX model without an input"};
    return {};
  }

  void define_input(const OnnxInput& input) {
    std::vector<std::int64_t> dims = input.dims;
    Entry entry;
    if (dims.size() > 1 && dims[0] > 1) {
      std::string rewrite = "export with batch size 1 or a dynamic batch";
      if (dims.size() == 3) {
        std::vector<std::int64_t> image = dims;
        image.insert(image.begin(), 1);
        rewrite += ", also where the first dimension was meant as channels: " + dims_to_string(image);
      }
      refuse(printable(input.name), "graph", {"a batch of " + std::to_string(dims[0]), std::move(rewrite), false});
    }
    if (!dims.empty()) dims[0] = 1;
    if (const auto shape = image_shape(dims)) {
      Value value;
      value.base = state_.add_node(OpKind::kInput, input.name.empty() ? "input" : printable(input.name), {}, *shape,
                                   std::monostate{});
      value.dims = dims;
      value.origin = printable(input.name);
      entry = std::move(value);
    } else {
      refuse(printable(input.name), "graph",
             {"input dimensions " + dims_to_string(input.dims) + " (-1 is not fixed)",
              "export with a fixed size [batch, channels, height, width] or [batch, features]", false});
    }
    if (!state_.define(input.name, std::move(entry)))
      refuse(printable(input.name), "graph", inconsistent("two inputs of one name"));
  }

  // Nodes that the output depends on. Others (a mask of Dropout, a forgotten head) do not matter.
  std::vector<bool> needed_nodes() const {
    std::vector<bool> needed(model_.nodes.size(), false);
    if (model_.outputs.empty()) return needed;
    std::unordered_set<std::string> wanted{model_.outputs.front()};
    for (std::size_t i = model_.nodes.size(); i-- > 0;) {
      const OnnxNode& node = model_.nodes[i];
      needed[i] = std::any_of(node.outputs.begin(), node.outputs.end(),
                              [&](const std::string& name) { return !name.empty() && wanted.contains(name); });
      if (needed[i]) wanted.insert(node.inputs.begin(), node.inputs.end());
    }
    return needed;
  }

  Status take(const OnnxNode& node) {
    bool constant = true, unknown = false;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (!ImportState::has_input(node, k)) continue;
      if (!state_.defined(node.inputs[k])) {
        return {ErrorCode::kMalformed,
                "node '" + node.name + "' (" + node.op + ") reads a tensor that nothing before it makes"};
      }
      const Entry& entry = state_.input(node, k);
      constant = constant && std::holds_alternative<ConstTensorPtr>(entry);
      unknown = unknown || std::holds_alternative<std::monostate>(entry);
    }
    const bool foreign = node.is_function || (node.op == kScalarOp && !node.scalar);
    const auto handler = foreign ? handlers().end() : handlers().find(node.op);
    std::string wrong;
    Outcome outcome;
    if (!attributes_ok(node, wrong)) {
      outcome = inconsistent("its attribute '" + wrong + "' has the wrong type");
    } else if (constant && !node.is_function) {
      outcome = fold_constant(state_, node);
    } else if (handler == handlers().end()) {
      outcome = advice(node, node.outputs.front() == model_.outputs.front());
    } else if (!unknown) {
      outcome = handler->second(state_, node);
    }
    if (outcome) {
      refuse(node.name, node.op, std::move(*outcome));
      recover(node);
    }
    // Outputs that the handler left out: what follows a refusal is unknown, and optional outputs have no meaning here.
    for (const std::string& name : node.outputs) {
      if (!name.empty() && !state_.defined(name)) (void)state_.define(name, std::monostate{});
    }
    return {};
  }

  // After a refusal the import goes on as if the operator had been taken, where its shape is clear, to find all the
  // others.
  void recover(const OnnxNode& node) {
    const Value* input = state_.value(node, 0);
    if (input == nullptr || node.outputs.front().empty() || state_.defined(node.outputs.front())) return;
    if (keeps_shape(node.op) || node.op == "Add" || node.op == "Mul" || node.op == "Pow" ||
        node.op == "BatchNormalization") {
      Value stand_in = *input;
      stand_in.base =
          state_.add_node(OpKind::kQuadratic, node.name, {input->base}, state_.shape(input->base), std::monostate{});
      stand_in.poly = ElementPolynomial::identity();
      (void)state_.define(node.outputs.front(), std::move(stand_in));
    } else if (node.op == "MaxPool" || node.op == "GlobalMaxPool") {
      OnnxNode pool = node;
      pool.outputs.resize(1);
      if (node.op == "MaxPool")
        (void)import_average_pool(state_, pool);
      else
        (void)import_global_average_pool(state_, pool);
    }
  }

  Status take_output() {
    OnnxNode wanted;
    wanted.inputs = {model_.outputs.front()};
    if (!state_.defined(model_.outputs.front())) return {ErrorCode::kMalformed, "nothing makes the model's output"};
    const Value* value = state_.value(wanted, 0);
    if (value == nullptr) {
      if (state_.constant(wanted, 0)) return {ErrorCode::kMalformed, "the model's output does not depend on its input"};
      return {};  // unknown: refused before
    }
    if (value->view) {
      refuse("output", "graph", {"the output is transposed", "export it with channels first, or flattened", false});
      return {};
    }
    if (auto refusal = state_.materialise(*value, state_.graph().output))
      refuse(value->origin, "graph", std::move(*refusal));
    return {};
  }

  Error report() const {
    if (options_.issues != nullptr) *options_.issues = issues_;
    std::string text = std::to_string(issues_.size()) + (issues_.size() == 1 ? " part" : " parts") +
                       " of the model cannot be run encrypted:";
    for (const ImportIssue& issue : issues_) {
      text += "\n  '" + issue.node + "' (" + issue.op + "): " + issue.reason + "; instead: " + issue.rewrite;
    }
    return {malformed_ ? ErrorCode::kMalformed : ErrorCode::kUnsupported, std::move(text)};
  }

  const OnnxModel& model_;
  const ImportOptions& options_;
  ImportState state_;
  std::vector<ImportIssue> issues_;
  bool malformed_ = false;
};

}  // namespace

std::unordered_map<std::string, std::vector<std::int64_t>> tensor_dims(const OnnxModel& model, std::size_t file_bytes, const ImportOptions& options) {
  GraphBuilder builder(model, file_bytes, options);
  (void)builder.build();
  std::unordered_map<std::string, std::vector<std::int64_t>> out;
  for (const OnnxNode& node : model.nodes)
    for (std::size_t k = 0; k < node.inputs.size(); ++k)
      if (const Value* value = builder.state().value(node, k)) out.emplace(node.inputs[k], value->dims);
  return out;
}

Result<Graph> build_graph(const OnnxModel& model, std::size_t file_bytes, const ImportOptions& options) {
  return GraphBuilder(model, file_bytes, options).build();
}

}  // namespace brainlock::compiler
