#include "brainlock/compiler/approximate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "expand_operators.hpp"
#include "function_fitter.hpp"
#include "graph_importer.hpp"
#include "onnx_reader.hpp"
#include "onnx_writer.hpp"
#include "polynomial_nodes.hpp"
#include "scalar_regions.hpp"

namespace brainlock::compiler {
namespace {

constexpr int kMinDegree = 2, kMaxDegree = 8;
// Errors of a function alone, relative, that are allowed in turn.
constexpr double kTolerances[] = {0.3, 0.1, 0.03, 0.01, 0};
constexpr double kRunAway = 4;
// Degree 8 follows an exponential over some six units, and a reciprocal of sums that differ by a factor of ten or so.
constexpr double kLargestExponent = 3;
constexpr int kMostHalvings = 4;
constexpr std::size_t kExponentInputs = 128;

using Tensor = std::vector<float>;

/// A model's nodes with functions gathered, and its graph.
struct Prepared {
  OnnxModel model;
  Graph graph;
  std::unordered_map<std::string, std::string> exponentials;   ///< function -> the Softmax that it is a part of
  std::string dropped;   ///< the operator that made the answer and is no part of the model any longer
};

/// `halvings`: of each Softmax, see expand_operators().
Result<Prepared> prepare(std::span<const std::byte> onnx, const std::unordered_map<std::string, int>& halvings = {}) {
  const ImportOptions limits;
  BRAINLOCK_ASSIGN(OnnxModel model, read_onnx(onnx, limits.max_file_bytes, limits.max_nodes));
  Prepared out;
  out.dropped = drop_last_operator(model);
  const auto dims = tensor_dims(gather_scalar_functions(model), onnx.size(), limits);
  Expanded expanded = expand_operators(std::move(model), dims, halvings);
  out.exponentials = std::move(expanded.exponentials);
  out.model = gather_scalar_functions(std::move(expanded.model));
  BRAINLOCK_ASSIGN(out.graph, build_graph(out.model, onnx.size(), limits));
  return out;
}

/// How often a Softmax's exponents have to be halved so that they stay below kLargestExponent, where they have to.
std::unordered_map<std::string, int> halvings_for(const Prepared& prepared, const ApproximateOptions& options) {
  std::unordered_map<std::string, int> out;
  if (prepared.exponentials.empty()) return out;
  const Graph& graph = prepared.graph;
  std::vector<double> largest(graph.nodes.size(), 0.0);
  std::mutex mutex;
  parallel_for(std::min(options.inputs.size(), kExponentInputs), options.threads, [&](std::size_t i) {
    FloatTrace trace;
    (void)run_float(graph, options.inputs[i], &trace);
    const std::lock_guard lock(mutex);
    for (std::size_t n = 0; n < largest.size(); ++n)
      if (graph.nodes[n].kind == OpKind::kFunction && !trace.values[n].empty()) {
        const Tensor& x = trace.values[static_cast<std::size_t>(graph.nodes[n].inputs[0])];
        largest[n] = std::max(largest[n], static_cast<double>(*std::max_element(x.begin(), x.end())));
      }
  });
  for (std::size_t n = 0; n < largest.size(); ++n) {
    const auto softmax = prepared.exponentials.find(graph.nodes[n].name);
    if (softmax == prepared.exponentials.end() || !std::isfinite(largest[n])) continue;
    int halvings = 0;
    while (halvings < kMostHalvings && std::ldexp(largest[n], -halvings) > kLargestExponent) ++halvings;
    if (halvings > 0) out.emplace(softmax->second, halvings);
  }
  return out;
}

std::string to_string(const DegreeChoice& choice) {
  if (choice.degree != 0) return "degree " + std::to_string(choice.degree);
  char text[32];
  std::snprintf(text, sizeof text, "errors below %g %%", 100 * choice.tolerance);
  return choice.tolerance > 0 ? text : "highest degrees";
}

std::size_t largest_output(const Tensor& values) { return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin()); }

Agreement compare(const std::vector<Tensor>& exact, const std::vector<Tensor>& fitted) {
  const auto size_of = [](const Tensor& values) {
    double largest = 0;
    for (const float v : values) largest = std::isfinite(v) ? std::max(largest, std::fabs(static_cast<double>(v))) : HUGE_VAL;
    return largest;
  };
  double usual = 0;
  for (const Tensor& answer : exact) usual = std::max(usual, size_of(answer));
  Agreement out;
  double error = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    ++out.inputs;
    out.classes_before.push_back(largest_output(exact[i]));
    if (!(size_of(fitted[i]) <= kRunAway * usual)) {   // whatever its largest output is, it is no answer
      ++out.ran_away;
      out.classes_after.push_back(fitted[i].size());
      continue;
    }
    out.classes_after.push_back(largest_output(fitted[i]));
    out.same_class += out.classes_before.back() == out.classes_after.back() ? 1 : 0;
    for (std::size_t k = 0; k < exact[i].size(); ++k) {
      const double wanted = static_cast<double>(exact[i][k]), difference = static_cast<double>(fitted[i][k]) - wanted;
      error += difference * difference;
      size += wanted * wanted;
    }
  }
  out.relative_error = size > 0 ? std::sqrt(error / size) : 0;
  return out;
}

bool same_degrees(const std::vector<ApproximatedFunction>& a, const std::vector<ApproximatedFunction>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ApproximatedFunction& x, const ApproximatedFunction& y) { return x.degree == y.degree; });
}

Status check(const Graph& graph, const ApproximateOptions& options) {
  if (options.degree != 0 && (options.degree < kMinDegree || options.degree > kMaxDegree))
    return {ErrorCode::kInvalidArgument, "degree " + std::to_string(options.degree) + "; " + std::to_string(kMinDegree) + " to " + std::to_string(kMaxDegree) + " can be run encrypted"};
  if (options.inputs.empty() || options.held_out.empty()) return {ErrorCode::kInvalidArgument, "no inputs to fit polynomials to, or none to judge them by"};
  for (const auto* set : {&options.inputs, &options.held_out})
    for (const Tensor& input : *set)
      if (input.size() != graph.nodes.front().shape.size())
        return {ErrorCode::kInvalidArgument, "an input of " + std::to_string(input.size()) + " values; the model takes " + to_string(graph.nodes.front().shape)};
  return {};
}

}  // namespace

Result<Graph> import_with_functions(std::span<const std::byte> onnx) {
  BRAINLOCK_ASSIGN(Prepared prepared, prepare(onnx));
  return std::move(prepared.graph);
}

Result<Approximation> approximate_onnx(std::span<const std::byte> onnx, const ApproximateOptions& options) {
  BRAINLOCK_ASSIGN(Prepared prepared, prepare(onnx));
  BRAINLOCK_TRY(check(prepared.graph, options));
  if (const auto halvings = halvings_for(prepared, options); !halvings.empty()) {
    BRAINLOCK_ASSIGN(prepared, prepare(onnx, halvings));
  }
  const Graph& graph = prepared.graph;
  const auto functions = static_cast<std::size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& n) { return n.kind == OpKind::kFunction; }));
  if (functions == 0) return Error{ErrorCode::kInvalidArgument, "nothing to replace: the model is made of polynomials; compile it as it is"};

  Approximation out;
  if (!prepared.dropped.empty())
    out.notes.push_back("the " + prepared.dropped + " that made the answer is left out; it keeps the order of the outputs: apply it after decryption");
  const std::size_t bytes_each = std::max<std::size_t>(1, 2 * sizeof(float) * most_values(graph));
  out.inputs_used = std::clamp<std::size_t>(options.max_working_bytes / bytes_each, 1, options.inputs.size());
  if (out.inputs_used < options.inputs.size())
    out.notes.push_back("fitted to " + std::to_string(out.inputs_used) + " of " + std::to_string(options.inputs.size()) + " inputs, whose values fill the memory that is allowed");

  std::vector<Tensor> exact(options.held_out.size()), answers(options.held_out.size());
  parallel_for(exact.size(), options.threads, [&](std::size_t i) { exact[i] = run_float(graph, options.held_out[i]); });

  std::vector<DegreeChoice> choices;
  if (options.degree != 0) choices.push_back({options.degree, 0});
  else
    for (const double tolerance : kTolerances) choices.push_back({0, tolerance});
  std::optional<FunctionFitter> fitter;
  for (std::size_t k = 0; k < choices.size(); ++k) {
    fitter.emplace(graph, options, out.inputs_used, choices[k]);
    const std::string what = to_string(choices[k]);
    auto fitted = fitter->run([&](std::size_t node) {
      if (options.progress) options.progress(k * graph.nodes.size() + node, choices.size() * graph.nodes.size(), what);
    });
    const bool last = k + 1 == choices.size();
    if (!fitted.ok()) {   // a higher degree may hold what a lower one does not
      if (last) return fitted.error();
      continue;
    }
    const bool as_before = k > 0 && same_degrees(out.functions, *fitted);
    out.functions = std::move(*fitted);
    if (!as_before) {
      parallel_for(answers.size(), options.threads, [&](std::size_t i) { answers[i] = fitter->answer(options.held_out[i]); });
      out.agreement = compare(exact, answers);
    }
    const double changed = 1 - static_cast<double>(out.agreement.same_class) / static_cast<double>(out.agreement.inputs);
    if (changed <= options.max_drop) break;
    if (last && options.degree == 0)
      out.notes.push_back("degree " + std::to_string(kMaxDegree) + ", the highest there is, does not keep the classes of the share of inputs that was asked for");
  }

  OnnxModel model = prepared.model;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    if (graph.nodes[n].kind == OpKind::kFunction) write_polynomials(model, graph.nodes[n].function(), fitter->polynomials(n));
  const ImportOptions limits;
  BRAINLOCK_ASSIGN(out.onnx, write_onnx(onnx, model, limits.max_file_bytes, limits.max_nodes));

  // The file says what was fitted.
  BRAINLOCK_ASSIGN(const Graph written, import_onnx(out.onnx));
  const std::vector<Tensor> again{run_float(written, options.inputs[0])}, meant{fitter->answer(options.inputs[0])};
  if (const Agreement same = compare(meant, again); same.ran_away > 0 || !(same.relative_error < 1e-2))
    return Error{ErrorCode::kInternal, "the written model gives other answers than the fitted one (" + std::to_string(same.relative_error) + " of their size)"};
  return out;
}

}  // namespace brainlock::compiler
