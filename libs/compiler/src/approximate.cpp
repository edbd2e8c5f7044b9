#include "brainlock/compiler/approximate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "expand_operators.hpp"
#include "graph_importer.hpp"
#include "onnx_reader.hpp"
#include "onnx_writer.hpp"
#include "polynomial_fit.hpp"
#include "polynomial_nodes.hpp"
#include "scalar_regions.hpp"

namespace brainlock::compiler {
namespace {

constexpr int kMinDegree = 2, kMaxDegree = 8;
constexpr std::size_t kSampleParts = 32;
constexpr int kDegrees[] = {2, 4, 8};   // each costs a level more than the one before it
// Errors of a function alone, relative, that are allowed in turn.
constexpr double kTolerances[] = {0.3, 0.1, 0.03, 0.01, 0};
// A higher degree has to be better than a lower one by more than this.
constexpr double kWorthwhile = 1.15;
constexpr double kRunAway = 4;

using Tensor = std::vector<float>;

/// A model's nodes with functions gathered, and its graph.
struct Prepared {
  OnnxModel model;
  Graph graph;
  std::string dropped;   ///< the operator that made the answer and is no part of the model any longer
};

Result<Prepared> prepare(std::span<const std::byte> onnx) {
  const ImportOptions limits;
  BRAINLOCK_ASSIGN(OnnxModel model, read_onnx(onnx, limits.max_file_bytes, limits.max_nodes));
  Prepared out;
  out.dropped = drop_last_operator(model);
  const auto dims = tensor_dims(gather_scalar_functions(model), onnx.size(), limits);
  out.model = gather_scalar_functions(expand_operators(std::move(model), dims));
  BRAINLOCK_ASSIGN(out.graph, build_graph(out.model, onnx.size(), limits));
  return out;
}

/// One input's values on its way through the graph: as the model has them, and with polynomials. The same until the first of these.
struct Values {
  std::vector<Tensor> exact, fitted;   // per node; `fitted` is empty where it would be equal
  [[nodiscard]] const Tensor& with_polynomials(int node) const {
    const auto n = static_cast<std::size_t>(node);
    return fitted[n].empty() ? exact[n] : fitted[n];
  }
};

/// The polynomials of one function, one for all elements or one a channel.
using Polynomials = std::vector<FittedPolynomial>;

/// How the degree of a polynomial is found: it is given, or the smallest that keeps the error below a tolerance.
struct Choice {
  int degree = 0;
  double tolerance = 0;
};

std::string to_string(const Choice& choice) {
  if (choice.degree != 0) return "degree " + std::to_string(choice.degree);
  char text[32];
  std::snprintf(text, sizeof text, "errors below %g %%", 100 * choice.tolerance);
  return choice.tolerance > 0 ? text : "highest degrees";
}

struct Moments {
  double error = 0, size = 0;
  void add(const Moments& other) {
    error += other.error;
    size += other.size;
  }
};

class Fitter {
 public:
  Fitter(const Graph& graph, const ApproximateOptions& options, std::size_t inputs, const Choice& choice)
      : graph_(graph), options_(options), choice_(choice), inputs_(inputs), polynomials_(graph.nodes.size()) {
    last_use_.assign(graph.nodes.size(), -1);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n)
      for (const int input : graph.nodes[n].inputs) last_use_[static_cast<std::size_t>(input)] = static_cast<int>(n);
  }

  /// All functions, in the order of the graph. `progress(node)` after each node.
  template <typename Progress>
  Result<std::vector<ApproximatedFunction>> run(const Progress& progress) {
    values_.resize(inputs_);
    for (std::size_t i = 0; i < inputs_; ++i) {
      values_[i].exact.resize(graph_.nodes.size());
      values_[i].fitted.resize(graph_.nodes.size());
      values_[i].exact[0] = options_.inputs[i];
    }
    std::vector<ApproximatedFunction> out;
    for (std::size_t n = 1; n < graph_.nodes.size(); ++n) {
      const int node = static_cast<int>(n);
      parallel_for(inputs_, options_.threads, [&](std::size_t i) { step(values_[i], node); });
      if (graph_.nodes[n].kind == OpKind::kFunction) {
        BRAINLOCK_ASSIGN(ApproximatedFunction function, fit(node));
        out.push_back(std::move(function));
      }
      drop(node);
      progress(n);
    }
    values_.clear();
    return out;
  }

  [[nodiscard]] const Polynomials& polynomials(std::size_t node) const { return polynomials_[node]; }

  /// The model's answer with the polynomials.
  [[nodiscard]] Tensor answer(const Tensor& input) const {
    std::vector<Tensor> values(graph_.nodes.size());
    values[0] = input;
    for (std::size_t n = 1; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      const Tensor& x = values[static_cast<std::size_t>(node.inputs[0])];
      values[n] = node.kind == OpKind::kFunction ? apply(n, x)
                                                 : run_node(graph_, static_cast<int>(n), x, node.inputs.size() > 1 ? &values[static_cast<std::size_t>(node.inputs[1])] : nullptr);
      for (const int before : node.inputs)
        if (last_use_[static_cast<std::size_t>(before)] == static_cast<int>(n) && before != graph_.output) values[static_cast<std::size_t>(before)] = {};
    }
    return values[static_cast<std::size_t>(graph_.output)];
  }

 private:
  // The exact value of a node, and the other one where it differs; a function's waits for its polynomial.
  void step(Values& values, int node) const {
    const auto n = static_cast<std::size_t>(node);
    const std::vector<int>& inputs = graph_.nodes[n].inputs;
    const bool two = inputs.size() > 1;
    const auto first = static_cast<std::size_t>(inputs[0]), second = two ? static_cast<std::size_t>(inputs[1]) : 0;
    values.exact[n] = run_node(graph_, node, values.exact[first], two ? &values.exact[second] : nullptr);
    if (graph_.nodes[n].kind == OpKind::kFunction) return;
    if (values.fitted[first].empty() && (!two || values.fitted[second].empty())) return;
    values.fitted[n] = run_node(graph_, node, values.with_polynomials(inputs[0]), two ? &values.with_polynomials(inputs[1]) : nullptr);
  }

  [[nodiscard]] std::size_t plane(std::size_t node) const {
    const TensorShape& shape = graph_.nodes[node].shape;
    return graph_.nodes[node].function().channel_dims.empty() ? shape.size() : shape.size() / static_cast<std::size_t>(shape.channels);
  }

  [[nodiscard]] Tensor apply(std::size_t node, const Tensor& x) const {
    Tensor y(x.size());
    const std::size_t step = plane(node);
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<float>(polynomials_[node][i / step](static_cast<double>(x[i])));
    return y;
  }

  Result<ApproximatedFunction> fit(int node) {
    const auto n = static_cast<std::size_t>(node);
    const Node& function = graph_.nodes[n];
    const int from = function.inputs[0];
    const std::size_t step = plane(n), channels = function.shape.size() / step;

    struct Range {
      double low = HUGE_VAL, high = -HUGE_VAL;
      bool finite = true;
    };
    std::vector<Range> ranges(channels);
    parallel_for(channels, options_.threads, [&](std::size_t c) {
      for (const Values& values : values_) {
        const Tensor& x = values.with_polynomials(from);
        for (std::size_t i = c * step; i < (c + 1) * step; ++i) {
          const double v = static_cast<double>(x[i]);
          ranges[c].finite = ranges[c].finite && std::isfinite(v) && std::isfinite(values.exact[n][i]);
          ranges[c].low = std::min(ranges[c].low, v);
          ranges[c].high = std::max(ranges[c].high, v);
        }
      }
    });
    ApproximatedFunction out{function.name, 0, channels, HUGE_VAL, -HUGE_VAL, 0};
    for (const Range& range : ranges) {
      if (!range.finite)
        return Error{ErrorCode::kUnsupported, "'" + function.name + "': values grow beyond all bounds, or leave where the function is defined; is the model trained, and are "
                                                                    "the inputs scaled as in its training? Otherwise try another degree"};
      out.low = std::min(out.low, range.low);
      out.high = std::max(out.high, range.high);
    }

    std::vector<FitSamples> samples(channels);
    if (channels > 1) {
      parallel_for(channels, options_.threads, [&](std::size_t c) {
        samples[c] = FitSamples(ranges[c].low, ranges[c].high);
        for (const Values& values : values_) add(samples[c], values, n, from, c * step, (c + 1) * step);
      });
    } else {
      // Parts that do not depend on the threads, added in order: the file is the same on every machine.
      std::vector<FitSamples> parts(std::min(values_.size(), kSampleParts), FitSamples(out.low, out.high));
      parallel_for(parts.size(), options_.threads, [&](std::size_t part) {
        for (std::size_t i = part; i < values_.size(); i += parts.size()) add(parts[part], values_[i], n, from, 0, step);
      });
      for (std::size_t part = 1; part < parts.size(); ++part) parts[0].add(parts[part]);
      samples[0] = std::move(parts[0]);
    }
    polynomials_[n] = choose(samples, *function.function().f);
    out.degree = static_cast<int>(polynomials_[n][0].coefficients.size()) - 1;

    std::vector<Moments> moments(values_.size());
    parallel_for(values_.size(), options_.threads, [&](std::size_t i) {
      Values& values = values_[i];
      values.fitted[n] = apply(n, values.with_polynomials(from));
      for (std::size_t k = 0; k < values.fitted[n].size(); ++k) {
        const double wanted = static_cast<double>(values.exact[n][k]), difference = static_cast<double>(values.fitted[n][k]) - wanted;
        moments[i].error += difference * difference;
        moments[i].size += wanted * wanted;
      }
    });
    Moments sum;
    for (const Moments& each : moments) sum.add(each);
    out.error = sum.size > 0 ? std::sqrt(sum.error / sum.size) : 0;
    return out;
  }

  /// Polynomials for all channels, of one degree.
  [[nodiscard]] Polynomials choose(const std::vector<FitSamples>& samples, const ScalarFunction& f) const {
    const auto fitted = [&](int degree) {
      Polynomials out(samples.size());
      parallel_for(samples.size(), options_.threads, [&](std::size_t c) { out[c] = samples[c].fit(degree, f); });
      return out;
    };
    if (choice_.degree != 0) return fitted(choice_.degree);
    const auto relative_error = [&](const Polynomials& polynomials) {
      double difference = 0, wanted = 0;
      for (std::size_t c = 0; c < samples.size(); ++c) {
        const FitSamples::Error error = samples[c].error(polynomials[c]);
        difference += error.difference;
        wanted += error.wanted;
      }
      return wanted > 0 ? std::sqrt(difference / wanted) : 0;
    };
    Polynomials best = fitted(kMaxDegree);
    const double enough = std::max(choice_.tolerance, kWorthwhile * relative_error(best));
    for (const int degree : kDegrees) {
      if (degree == kMaxDegree) break;
      Polynomials lower = fitted(degree);
      if (relative_error(lower) <= enough) return lower;
    }
    return best;
  }

  static void add(FitSamples& samples, const Values& values, std::size_t node, int from, std::size_t first, std::size_t last) {
    const Tensor& x = values.with_polynomials(from);
    for (std::size_t i = first; i < last; ++i) samples.add(static_cast<double>(x[i]), static_cast<double>(values.exact[node][i]));
  }

  void drop(int node) {
    for (const int input : graph_.nodes[static_cast<std::size_t>(node)].inputs) {
      if (last_use_[static_cast<std::size_t>(input)] != node) continue;
      for (Values& values : values_) {
        values.exact[static_cast<std::size_t>(input)] = {};
        values.fitted[static_cast<std::size_t>(input)] = {};
      }
    }
  }

  const Graph& graph_;
  const ApproximateOptions& options_;
  Choice choice_;
  std::size_t inputs_;
  std::vector<int> last_use_;
  std::vector<Values> values_;
  std::vector<Polynomials> polynomials_;
};

/// The most values that are held for one input at any time.
std::size_t most_values(const Graph& graph) {
  std::vector<int> last_use(graph.nodes.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    for (const int input : graph.nodes[n].inputs) last_use[static_cast<std::size_t>(input)] = static_cast<int>(n);
  std::size_t held = 0, most = 0;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    held += graph.nodes[n].shape.size();
    most = std::max(most, held);
    for (std::size_t k = 0; k < n; ++k)
      if (last_use[k] == static_cast<int>(n)) held -= graph.nodes[k].shape.size();
  }
  return most;
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
    out.classes_after.push_back(largest_output(fitted[i]));
    out.same_class += out.classes_before.back() == out.classes_after.back() ? 1 : 0;
    if (!(size_of(fitted[i]) <= kRunAway * usual)) {
      ++out.ran_away;
      continue;
    }
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
  BRAINLOCK_ASSIGN(const Prepared prepared, prepare(onnx));
  const Graph& graph = prepared.graph;
  const auto functions = static_cast<std::size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& n) { return n.kind == OpKind::kFunction; }));
  if (functions == 0) return Error{ErrorCode::kInvalidArgument, "nothing to replace: the model is made of polynomials; compile it as it is"};
  BRAINLOCK_TRY(check(graph, options));

  Approximation out;
  if (!prepared.dropped.empty())
    out.notes.push_back("the " + prepared.dropped + " that made the answer is left out; it keeps the order of the outputs: apply it after decryption");
  const std::size_t bytes_each = std::max<std::size_t>(1, 2 * sizeof(float) * most_values(graph));
  out.inputs_used = std::clamp<std::size_t>(options.max_working_bytes / bytes_each, 1, options.inputs.size());
  if (out.inputs_used < options.inputs.size())
    out.notes.push_back("fitted to " + std::to_string(out.inputs_used) + " of " + std::to_string(options.inputs.size()) + " inputs, whose values fill the memory that is allowed");

  std::vector<Tensor> exact(options.held_out.size()), answers(options.held_out.size());
  parallel_for(exact.size(), options.threads, [&](std::size_t i) { exact[i] = run_float(graph, options.held_out[i]); });

  std::vector<Choice> choices;
  if (options.degree != 0) choices.push_back({options.degree, 0});
  else
    for (const double tolerance : kTolerances) choices.push_back({0, tolerance});
  std::optional<Fitter> fitter;
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
