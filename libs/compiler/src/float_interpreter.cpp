#include "brainlock/compiler/float_interpreter.hpp"

#include <algorithm>
#include <cassert>

namespace brainlock::compiler {
namespace {

using Tensor = std::vector<float>;

// One output row at a time, so that the inner loop runs over neighbouring outputs and the compiler can vectorise it.
Tensor run_conv(const ConvParams& p, const TensorShape& in, const TensorShape& out, const Tensor& x) {
  Tensor y(out.size());
  std::vector<double> row(static_cast<std::size_t>(out.width));
  for (int o = 0; o < out.channels; ++o) {
    for (int oy = 0; oy < out.height; ++oy) {
      std::fill(row.begin(), row.end(), static_cast<double>(p.bias[o]));
      for (int i = 0; i < p.in_channels; ++i) {
        for (int ky = 0; ky < p.kernel_h; ++ky) {
          const int iy = oy * p.stride_h + ky - p.pad_top;
          if (iy < 0 || iy >= in.height) continue;
          const float* line = x.data() + (static_cast<std::size_t>(i) * in.height + iy) * in.width;
          const float* taps =
              p.weights.data() + ((static_cast<std::size_t>(o) * p.in_channels + i) * p.kernel_h + ky) * p.kernel_w;
          for (int kx = 0; kx < p.kernel_w; ++kx) {
            const int offset = kx - p.pad_left;  // input column of output column 0
            const int first = offset >= 0 ? 0 : (-offset + p.stride_w - 1) / p.stride_w;
            const int last =
                in.width - 1 - offset < 0 ? -1 : std::min(out.width - 1, (in.width - 1 - offset) / p.stride_w);
            const double w = taps[kx];
            if (p.stride_w == 1) {
              for (int ox = first; ox <= last; ++ox) row[ox] += w * line[ox + offset];
            } else {
              for (int ox = first; ox <= last; ++ox) row[ox] += w * line[ox * p.stride_w + offset];
            }
          }
        }
      }
      float* target = y.data() + (static_cast<std::size_t>(o) * out.height + oy) * out.width;
      for (int ox = 0; ox < out.width; ++ox) target[ox] = static_cast<float>(row[ox]);
    }
  }
  return y;
}

Tensor run_pool(const PoolParams& p, const TensorShape& in, const TensorShape& out, const Tensor& x) {
  Tensor y;
  y.reserve(out.size());
  const double area = static_cast<double>(p.kernel_h) * p.kernel_w;
  for (int c = 0; c < out.channels; ++c) {
    const float* plane = x.data() + static_cast<std::size_t>(c) * in.height * in.width;
    for (int oy = 0; oy < out.height; ++oy) {
      for (int ox = 0; ox < out.width; ++ox) {
        double sum = 0;
        for (int ky = 0; ky < p.kernel_h; ++ky) {
          for (int kx = 0; kx < p.kernel_w; ++kx) {
            sum += plane[static_cast<std::size_t>(oy * p.stride_h + ky) * in.width + ox * p.stride_w + kx];
          }
        }
        y.push_back(static_cast<float>(sum / area));
      }
    }
  }
  return y;
}

Tensor run_dense(const DenseParams& p, const Tensor& x) {
  Tensor y;
  y.reserve(p.bias.size());
  for (int m = 0; m < p.out_features; ++m) {
    const float* row = p.weights.data() + static_cast<std::size_t>(m) * p.in_features;
    double sum = p.bias[m];
    for (int k = 0; k < p.in_features; ++k) sum += static_cast<double>(row[k]) * x[k];
    y.push_back(static_cast<float>(sum));
  }
  return y;
}

Tensor run_quadratic(const QuadraticParams& p, const TensorShape& shape, const Tensor& x) {
  Tensor y(x.size());
  const std::size_t plane = x.size() / static_cast<std::size_t>(shape.channels);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i / plane;
    const double v = x[i];
    y[i] = static_cast<float>((p.a[c] * v + p.b[c]) * v + p.c[c]);
  }
  return y;
}

Tensor run_polynomial(const PolynomialParams& p, const TensorShape& shape, const Tensor& x) {
  Tensor y(x.size());
  const std::size_t plane = x.size() / static_cast<std::size_t>(shape.channels);
  for (std::size_t i = 0; i < x.size(); ++i) {
    double sum = 0;
    for (std::size_t k = p.coefficients.size(); k-- > 0;) sum = sum * x[i] + p.at(k, i / plane);
    y[i] = static_cast<float>(sum);
  }
  return y;
}

Tensor run_function(const FunctionParams& p, const Tensor& x) {
  Tensor y(x.size());
  const ScalarFunction& f = *p.f;
  std::transform(x.begin(), x.end(), y.begin(), [&](float v) { return static_cast<float>(f(static_cast<double>(v))); });
  return y;
}

Tensor run_pair(OpKind kind, Tensor x, const Tensor& other) {
  for (std::size_t i = 0; i < other.size(); ++i) x[i] = kind == OpKind::kAdd ? x[i] + other[i] : x[i] * other[i];
  return x;
}

}  // namespace

std::vector<float> run_node(const Graph& graph, int index, const std::vector<float>& x, const std::vector<float>* other) {
  const Node& node = graph.nodes[static_cast<std::size_t>(index)];
  assert(node.kind != OpKind::kInput && (input_count(node.kind) == 2) == (other != nullptr));
  const TensorShape& in = graph.nodes[static_cast<std::size_t>(node.inputs[0])].shape;
  switch (node.kind) {
    case OpKind::kInput: break;
    case OpKind::kConv: return run_conv(node.conv(), in, node.shape, x);
    case OpKind::kAveragePool: return run_pool(node.pool(), in, node.shape, x);
    case OpKind::kDense: return run_dense(node.dense(), x);
    case OpKind::kQuadratic: return run_quadratic(node.quadratic(), in, x);
    case OpKind::kPolynomial: return run_polynomial(node.polynomial(), in, x);
    case OpKind::kFunction: return run_function(node.function(), x);
    case OpKind::kAdd:
    case OpKind::kProduct: return run_pair(node.kind, x, *other);
  }
  return {};
}

std::vector<float> run_float(const Graph& graph, std::span<const float> image, FloatTrace* trace) {
  assert(!graph.nodes.empty() && image.size() == graph.nodes[0].shape.size());
  std::vector<Tensor> values(graph.nodes.size());
  std::vector<int> last_use(graph.nodes.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (int input : graph.nodes[n].inputs) last_use[input] = static_cast<int>(n);
  }
  last_use[graph.output] = static_cast<int>(graph.nodes.size());
  values[0].assign(image.begin(), image.end());
  for (std::size_t n = 1; n < graph.nodes.size(); ++n) {
    const std::vector<int>& inputs = graph.nodes[n].inputs;
    values[n] = run_node(graph, static_cast<int>(n), values[inputs[0]], inputs.size() > 1 ? &values[inputs[1]] : nullptr);
    if (trace != nullptr) continue;  // a trace keeps everything
    for (int input : inputs) {
      if (last_use[input] == static_cast<int>(n)) values[input] = {};
    }
  }
  Tensor answer = values[graph.output];
  if (trace != nullptr) trace->values = std::move(values);
  return answer;
}

}  // namespace brainlock::compiler
