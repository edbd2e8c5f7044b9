// What the operator handlers of the importer share: the tensors known so far and the graph under construction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "brainlock/compiler/onnx_import.hpp"
#include "import_value.hpp"
#include "onnx_model.hpp"

namespace brainlock::compiler {

/// Why an operator cannot be taken, and what to do instead. `malformed`: the model contradicts itself.
struct Refusal {
  std::string reason;
  std::string rewrite;
  bool malformed = false;
};
using Outcome = std::optional<Refusal>;  ///< nothing means done

inline Refusal inconsistent(std::string reason) { return {std::move(reason), "export the model again", true}; }
inline Refusal too_large() {
  return {"the constants made from it are out of proportion to the file",
          "simplify the model (onnxsim) before compiling", false};
}

/// The most zeros on one side of a map.
inline constexpr int kMaxBorder = 4096;

/// Zeros around a map.
struct Border {
  int top = 0, left = 0, bottom = 0, right = 0;
};

/// A name's meaning. monostate: the result of something refused earlier, about which nothing is known.
using Entry = std::variant<std::monostate, ConstTensorPtr, Value>;

class ImportState {
 public:
  ImportState(std::size_t file_bytes, const ImportOptions& options);

  // Tensors by name. An input is absent if the node lists fewer or names it "".
  [[nodiscard]] static bool has_input(const OnnxNode& node, std::size_t k);
  [[nodiscard]] const Entry& input(const OnnxNode& node, std::size_t k) const;
  [[nodiscard]] ConstTensorPtr constant(const OnnxNode& node, std::size_t k) const;  ///< null if absent or not constant
  [[nodiscard]] const Value* value(const OnnxNode& node, std::size_t k) const;       ///< null if absent or not a value
  [[nodiscard]] bool defined(const std::string& name) const { return entries_.contains(name); }
  /// False if the name already has a meaning.
  [[nodiscard]] bool define(const std::string& name, Entry entry);
  /// Defines the first output; a value takes the node's name as its origin, unless the node only renames or moves
  /// elements.
  Outcome finish(const OnnxNode& node, Entry entry, bool keep_origin = false);

  // The graph.
  [[nodiscard]] const TensorShape& shape(int node) const { return graph_.nodes[node].shape; }
  [[nodiscard]] Graph& graph() { return graph_; }
  int add_node(OpKind kind, const std::string& name, std::vector<int> inputs, TensorShape shape,
               decltype(Node::params) params);
  /// The node whose output is the value up to its view: its base, or an activation put behind it (made once).
  Outcome materialise(const Value& value, int& node);
  /// The value as the identity of a node of its own.
  Outcome rebase(Value& value);
  /// Replaces a value on an activation by a polynomial of the activation's input. False if the base is something else,
  /// or if the degree or the budget would be passed.
  [[nodiscard]] bool substitute(Value& value);
  /// Whether the value's elements lie in C,H,W order of its base under the dims [1, C, H, W] (or [1, C], [1, C, L]).
  [[nodiscard]] bool image_like(const Value& value) const;

  /// Whether no node reads the graph's input yet, so that it can still be given another order.
  [[nodiscard]] bool input_is_free() const { return graph_.nodes.size() == 1; }
  /// Makes element i of the free input what was its element order[i] (null: element i), in another shape. All values
  /// stay what they are for the model.
  Outcome reorder_input(const TensorShape& shape, const std::shared_ptr<const std::vector<int>>& order);

  /// A node that does nothing but put zeros around its input, and how many; null for others.
  [[nodiscard]] const Border* border(int node) const;
  void set_border(int node, const Border& border) { borders_.emplace(node, border); }

  /// Which elements of another node a node is, if it does nothing but choose some; null for others.
  struct Chosen {
    int base = 0;
    std::vector<int> elements;
  };
  [[nodiscard]] const Chosen* chosen(int node) const;
  /// Says so of a node. Where `base` is such a node itself, of what it was chosen from.
  Outcome set_chosen(int node, int base, std::vector<int> elements);

  [[nodiscard]] Budget& budget() { return budget_; }
  [[nodiscard]] int max_degree() const { return max_degree_; }

 private:
  std::string unique_name(const std::string& wanted);

  Graph graph_;
  Budget budget_;
  int max_degree_;
  std::unordered_map<std::string, Entry> entries_;
  std::unordered_set<std::string> names_;
  std::unordered_map<std::string, int> name_uses_;
  using Activations = std::multimap<int, std::pair<ElementPolynomial, int>>;
  Activations activations_;                                        // base -> (polynomial, node)
  std::unordered_map<int, Activations::const_iterator> made_;     // node -> its activation
  std::unordered_map<int, Border> borders_;
  std::unordered_map<int, Chosen> chosen_;
};

/// Shape of [1, C], [1, C, L] or [1, C, H, W]; nothing for other ranks, batches or extents out of range.
std::optional<TensorShape> image_shape(const std::vector<std::int64_t>& dims);
/// Whether extents and their product are within what validate() accepts.
bool extents_ok(std::int64_t channels, std::int64_t height, std::int64_t width);

// Attributes. A wrong kind reads as absent; `attributes_ok` has refused it before.
std::int64_t attribute_int(const OnnxNode& node, const char* name, std::int64_t otherwise);
double attribute_float(const OnnxNode& node, const char* name, double otherwise);
std::string attribute_string(const OnnxNode& node, const char* name, const std::string& otherwise);
std::optional<std::vector<std::int64_t>> attribute_ints(const OnnxNode& node, const char* name);

// Operators on values (not all inputs constant).
Outcome import_conv(ImportState& state, const OnnxNode& node);
Outcome import_gemm(ImportState& state, const OnnxNode& node);
Outcome import_matmul(ImportState& state, const OnnxNode& node);
Outcome import_average_pool(ImportState& state, const OnnxNode& node);
Outcome import_global_average_pool(ImportState& state, const OnnxNode& node);
Outcome import_reduce_mean(ImportState& state, const OnnxNode& node);
Outcome import_batch_normalization(ImportState& state, const OnnxNode& node);
Outcome import_add(ImportState& state, const OnnxNode& node);
Outcome import_sub(ImportState& state, const OnnxNode& node);
Outcome import_sum(ImportState& state, const OnnxNode& node);
Outcome import_mul(ImportState& state, const OnnxNode& node);
Outcome import_div(ImportState& state, const OnnxNode& node);
Outcome import_pow(ImportState& state, const OnnxNode& node);
Outcome import_neg(ImportState& state, const OnnxNode& node);
Outcome import_identity(ImportState& state, const OnnxNode& node);
Outcome import_cast(ImportState& state, const OnnxNode& node);
Outcome import_cast_like(ImportState& state, const OnnxNode& node);
Outcome import_dropout(ImportState& state, const OnnxNode& node);
Outcome import_flatten(ImportState& state, const OnnxNode& node);
Outcome import_reshape(ImportState& state, const OnnxNode& node);
Outcome import_squeeze(ImportState& state, const OnnxNode& node);
Outcome import_unsqueeze(ImportState& state, const OnnxNode& node);
Outcome import_transpose(ImportState& state, const OnnxNode& node);
Outcome import_shape(ImportState& state, const OnnxNode& node);
Outcome import_pad(ImportState& state, const OnnxNode& node);
Outcome import_slice(ImportState& state, const OnnxNode& node);
Outcome import_split(ImportState& state, const OnnxNode& node);
Outcome import_gather(ImportState& state, const OnnxNode& node);
Outcome import_expand(ImportState& state, const OnnxNode& node);
Outcome import_concat(ImportState& state, const OnnxNode& node);
Outcome import_scalar(ImportState& state, const OnnxNode& node);
Outcome import_einsum(ImportState& state, const OnnxNode& node);
Outcome import_reduce_sum(ImportState& state, const OnnxNode& node);
Outcome import_depth_to_space(ImportState& state, const OnnxNode& node);
Outcome import_tile(ImportState& state, const OnnxNode& node);

/// Evaluates an operator all of whose inputs are constant.
Outcome fold_constant(ImportState& state, const OnnxNode& node);
/// Reductions, products of matrices and functions among them; nothing for other operators.
std::optional<Outcome> compute_constant(ImportState& state, const OnnxNode& node);
Outcome slice_constant(ImportState& state, const OnnxNode& node, const ConstTensor& tensor);
Outcome split_constant(ImportState& state, const OnnxNode& node, const ConstTensor& tensor);

/// The value must be an image in channel order. If nothing has read the graph's input yet and the model reshaped it, or
/// turned it from channels last, it becomes the image that is seen here.
Outcome require_image(ImportState& state, const Value& value);
// Products that are no powers, and sums over picked elements.
Outcome multiply_matrices(ImportState& state, const OnnxNode& node, const Value& a, const Value& b);
Outcome multiply_by_constant(ImportState& state, const OnnxNode& node, const Value& value, const ConstTensor& weights, bool constant_left);
/// Element by element. `aligned`: both have the same dims and view.
Outcome multiply_elements(ImportState& state, const OnnxNode& node, const Value& a, const Value& b, bool aligned);
/// Nodes of two values with their elements in the model's order, broadcast to common dims.
Outcome common_order(ImportState& state, const OnnxNode& node, const Value& a, const Value& b, int& left, int& right,
                     std::vector<std::int64_t>& dims);
/// The mean over axes (sorted) as a dense layer. `dims`: of the result.
Outcome mean_of_elements(ImportState& state, const OnnxNode& node, const Value& value, const std::vector<int>& axes,
                         std::vector<std::int64_t> dims);

/// A map whose channels are those of another one in some order, or every n-th row and column of them (channel shuffles,
/// pixels taken apart into channels): element (c, y, x) is element (places[c].channel, y step_h + places[c].row, x
/// step_w + places[c].column) of the base.
struct Blocks {
  struct Place {
    int channel = 0, row = 0, column = 0;
  };
  TensorShape seen;
  int step_h = 1, step_w = 1;
  int height = 1, width = 1;  ///< of the last block: what the base has behind the last step
  std::vector<Place> places;  ///< one for each channel
};
std::optional<Blocks> blocks_of_map(ImportState& state, const Value& value);

/// Elements of a tensor, in an order, as a tensor of other dims.
struct Choice {
  std::vector<int> elements;
  std::vector<std::int64_t> dims;
};
/// The chosen elements of a value, where they cost the fewest levels. `value` is one of those that names stand for.
Outcome choose_elements(ImportState& state, const std::string& name, const Value& value, const Choice& choice, Value& out);
/// The same as a layer that only moves numbers, whatever the value is.
Outcome move_elements(ImportState& state, const std::string& name, Value value, const Choice& choice, Value& out);

/// A node of `total` channels: those of `base` from channel `first` on, zeros in the others, with zeros around all.
Outcome embed(ImportState& state, const std::string& name, int base, int first, std::int64_t total, const Border& border, int& node);
/// A node with zeros around its input.
Outcome add_border(ImportState& state, const std::string& name, const Value& value, const Border& border, int& node);
/// An average pool without padding behind the value.
Outcome add_pool(ImportState& state, const OnnxNode& node, const Value& value, const PoolParams& params,
                 std::vector<std::int64_t> dims);
/// A value that is the output of a node.
Value node_value(int node, std::vector<std::int64_t> dims);

/// Strides with which a constant runs along the elements of dims (numpy broadcasting); nothing if it does not fit.
std::optional<std::vector<std::size_t>> broadcast_strides(const std::vector<std::int64_t>& from,
                                                          const std::vector<std::int64_t>& to);

/// The dims to which both broadcast, as numpy has it; nothing if they do not fit.
std::optional<std::vector<std::int64_t>> common_dims(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b);

/// What Slice takes of one axis: `count` elements, from `start` on.
struct Cut {
  std::int64_t start = 0, step = 1, count = 0;
};
/// One cut for each of dims.
Outcome read_cuts(const ImportState& state, const OnnxNode& node, const std::vector<std::int64_t>& dims, std::vector<Cut>& cuts);

/// A list of integers from input `k`, or from an attribute where there is no such input.
Outcome read_list(const ImportState& state, const OnnxNode& node, std::size_t k, const char* name,
                  std::optional<std::vector<std::int64_t>>& list);
/// The attribute `axis`, as 0..rank-1.
Outcome read_axis(const OnnxNode& node, std::size_t rank, std::int64_t otherwise, int& axis);
/// Axes of an operator from its attribute or its input `k`; normalised to 0..rank-1, sorted, without repeats.
Outcome read_axes(const ImportState& state, const OnnxNode& node, std::size_t k, int rank,
                  std::optional<std::vector<int>>& axes);
/// The dims that Reshape asks for: 0 copies, -1 is worked out.
Outcome resolve_reshape(const std::vector<std::int64_t>& from, const ConstTensor& target, bool allow_zero,
                        std::vector<std::int64_t>& to);

/// Reason and rewrite for an operator that no handler covers.
Refusal advice(const OnnxNode& node, bool makes_the_output);
/// Operators that keep their input's shape although they are not covered: the import goes on behind them, to list all.
bool keeps_shape(const std::string& op);

}  // namespace brainlock::compiler
