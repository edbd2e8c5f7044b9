#include "function_fitter.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "brainlock/compiler/float_interpreter.hpp"

namespace brainlock::compiler {
namespace {

constexpr int kDegrees[] = {2, 4, 8};   // each costs a level more than the one before it
// A higher degree has to be better than a lower one by more than this.
constexpr double kWorthwhile = 1.15;
constexpr std::size_t kSampleParts = 32;

std::vector<int> last_uses(const Graph& graph) {
  std::vector<int> out(graph.nodes.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    for (const int input : graph.nodes[n].inputs) out[static_cast<std::size_t>(input)] = static_cast<int>(n);
  return out;
}

}  // namespace

FunctionFitter::FunctionFitter(const Graph& graph, const ApproximateOptions& options, std::size_t inputs, const DegreeChoice& choice)
    : graph_(graph), options_(options), choice_(choice), inputs_(inputs), last_use_(last_uses(graph)), polynomials_(graph.nodes.size()) {}

Result<std::vector<ApproximatedFunction>> FunctionFitter::run(const std::function<void(std::size_t)>& progress) {
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

std::vector<float> FunctionFitter::answer(const std::vector<float>& input) const {
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

/// The exact value of a node, and the other one where it differs; a function's waits for its polynomial.
void FunctionFitter::step(Values& values, int node) const {
  const auto n = static_cast<std::size_t>(node);
  const std::vector<int>& inputs = graph_.nodes[n].inputs;
  const bool two = inputs.size() > 1;
  const auto first = static_cast<std::size_t>(inputs[0]), second = two ? static_cast<std::size_t>(inputs[1]) : 0;
  values.exact[n] = run_node(graph_, node, values.exact[first], two ? &values.exact[second] : nullptr);
  if (graph_.nodes[n].kind == OpKind::kFunction) return;
  if (values.fitted[first].empty() && (!two || values.fitted[second].empty())) return;
  values.fitted[n] = run_node(graph_, node, values.with_polynomials(inputs[0]), two ? &values.with_polynomials(inputs[1]) : nullptr);
}

/// Numbers of a function's tensor that share a polynomial.
std::size_t FunctionFitter::plane(std::size_t node) const {
  const TensorShape& shape = graph_.nodes[node].shape;
  return graph_.nodes[node].function().channel_dims.empty() ? shape.size() : shape.size() / static_cast<std::size_t>(shape.channels);
}

std::vector<float> FunctionFitter::apply(std::size_t node, const Tensor& x) const {
  Tensor y(x.size());
  const std::size_t step = plane(node);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<float>(polynomials_[node][i / step](static_cast<double>(x[i])));
  return y;
}

Result<ApproximatedFunction> FunctionFitter::fit(int node) {
  const auto n = static_cast<std::size_t>(node);
  const Node& function = graph_.nodes[n];
  ApproximatedFunction out{function.name, 0, function.shape.size() / plane(n), HUGE_VAL, -HUGE_VAL, 0};
  BRAINLOCK_ASSIGN(const std::vector<FitSamples> samples, samples_of(node, out.polynomials, out));
  polynomials_[n] = choose(samples, *function.function().f);
  out.degree = static_cast<int>(polynomials_[n][0].coefficients.size()) - 1;
  out.error = replace(n);
  return out;
}

/// What each channel of a function meets, and what is wanted there. `seen` receives the interval of all.
Result<std::vector<FitSamples>> FunctionFitter::samples_of(int node, std::size_t channels, ApproximatedFunction& seen) const {
  const auto n = static_cast<std::size_t>(node);
  const int from = graph_.nodes[n].inputs[0];
  const std::size_t step = plane(n);
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
  for (const Range& range : ranges) {
    if (!range.finite)
      return Error{ErrorCode::kUnsupported, "'" + graph_.nodes[n].name + "': values grow beyond all bounds, or leave where the function is defined; is the model trained, and are "
                                                                         "the inputs scaled as in its training? Otherwise try another degree"};
    seen.low = std::min(seen.low, range.low);
    seen.high = std::max(seen.high, range.high);
  }

  const auto add = [&](FitSamples& samples, const Values& values, std::size_t first, std::size_t last) {
    const Tensor& x = values.with_polynomials(from);
    for (std::size_t i = first; i < last; ++i) samples.add(static_cast<double>(x[i]), static_cast<double>(values.exact[n][i]));
  };
  std::vector<FitSamples> out(channels);
  if (channels > 1) {
    parallel_for(channels, options_.threads, [&](std::size_t c) {
      out[c] = FitSamples(ranges[c].low, ranges[c].high);
      for (const Values& values : values_) add(out[c], values, c * step, (c + 1) * step);
    });
    return out;
  }
  // Parts that do not depend on the threads, added in order: the file is the same on every machine.
  std::vector<FitSamples> parts(std::min(values_.size(), kSampleParts), FitSamples(seen.low, seen.high));
  parallel_for(parts.size(), options_.threads, [&](std::size_t part) {
    for (std::size_t i = part; i < values_.size(); i += parts.size()) add(parts[part], values_[i], 0, step);
  });
  for (std::size_t part = 1; part < parts.size(); ++part) parts[0].add(parts[part]);
  out[0] = std::move(parts[0]);
  return out;
}

/// Polynomials for all channels, of one degree.
Polynomials FunctionFitter::choose(const std::vector<FitSamples>& samples, const ScalarFunction& f) const {
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
  Polynomials best = fitted(std::end(kDegrees)[-1]);
  const double enough = std::max(choice_.tolerance, kWorthwhile * relative_error(best));
  for (const int degree : kDegrees) {
    if (degree == std::end(kDegrees)[-1]) break;
    Polynomials lower = fitted(degree);
    if (relative_error(lower) <= enough) return lower;
  }
  return best;
}

/// Puts a function's polynomials in its place in all values. The rms of what they give less the exact values, of the rms of these.
double FunctionFitter::replace(std::size_t node) {
  struct Moments {
    double error = 0, size = 0;
  };
  std::vector<Moments> moments(values_.size());
  const int from = graph_.nodes[node].inputs[0];
  parallel_for(values_.size(), options_.threads, [&](std::size_t i) {
    Values& values = values_[i];
    values.fitted[node] = apply(node, values.with_polynomials(from));
    for (std::size_t k = 0; k < values.fitted[node].size(); ++k) {
      const double wanted = static_cast<double>(values.exact[node][k]), difference = static_cast<double>(values.fitted[node][k]) - wanted;
      moments[i].error += difference * difference;
      moments[i].size += wanted * wanted;
    }
  });
  Moments sum;
  for (const Moments& each : moments) {
    sum.error += each.error;
    sum.size += each.size;
  }
  return sum.size > 0 ? std::sqrt(sum.error / sum.size) : 0;
}

void FunctionFitter::drop(int node) {
  for (const int input : graph_.nodes[static_cast<std::size_t>(node)].inputs) {
    if (last_use_[static_cast<std::size_t>(input)] != node) continue;
    for (Values& values : values_) {
      values.exact[static_cast<std::size_t>(input)] = {};
      values.fitted[static_cast<std::size_t>(input)] = {};
    }
  }
}

std::size_t most_values(const Graph& graph) {
  const std::vector<int> last_use = last_uses(graph);
  std::size_t held = 0, most = 0;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    held += graph.nodes[n].shape.size();
    most = std::max(most, held);
    std::vector<int> inputs = graph.nodes[n].inputs;
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());   // a node may read another one twice
    for (const int input : inputs)
      if (last_use[static_cast<std::size_t>(input)] == static_cast<int>(n)) held -= graph.nodes[static_cast<std::size_t>(input)].shape.size();
  }
  return most;
}

}  // namespace brainlock::compiler
