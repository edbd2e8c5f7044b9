#include "stage_arithmetic.hpp"

#include <algorithm>
#include <cstdint>

#include "brainlock/base/vector_clones.hpp"
#include "stage_maps.hpp"

namespace brainlock::compiler {
namespace {

std::size_t at(int a, int b, int nb, int c, int nc) {
  return (static_cast<std::size_t>(a) * static_cast<std::size_t>(nb) + static_cast<std::size_t>(b)) * static_cast<std::size_t>(nc) +
         static_cast<std::size_t>(c);
}

template <typename T>
void add_scaled(Lanes<T>& sum, T factor, const Lanes<T>& x) {
  for (std::size_t k = 0; k < kLanes; ++k) sum[k] += factor * x[k];
}

/// The same for `count` neighbours, one factor each way.
BRAINLOCK_VECTOR_CLONES void add_scaled_run(float* sum, float factor, const float* x, std::size_t count) {
  for (std::size_t e = 0; e < count * kLanes; ++e) sum[e] += factor * x[e];
}
BRAINLOCK_VECTOR_CLONES void add_scaled_run(double* sum, double factor, const double* x, std::size_t count) {
  for (std::size_t e = 0; e < count * kLanes; ++e) sum[e] += factor * x[e];
}

/// sum += the products of neighbours, lane by lane.
BRAINLOCK_VECTOR_CLONES void add_products_run(float* sum, const float* x, const float* y, std::size_t count) {
  Lanes<float> part;
  std::copy_n(sum, kLanes, part.begin());
  for (std::size_t e = 0; e < count; ++e)
    for (std::size_t k = 0; k < kLanes; ++k) part[k] += x[e * kLanes + k] * y[e * kLanes + k];
  std::copy_n(part.begin(), kLanes, sum);
}

/// Calls visit(element before the pool, element after it) for every pair that the pool connects.
template <typename Visit>
void for_pool(const PoolParams& pool, const TensorShape& in, const TensorShape& out, Visit&& visit) {
  for (int c = 0; c < out.channels; ++c)
    for (int i = 0; i < out.height; ++i)
      for (int j = 0; j < out.width; ++j)
        for (int y = i * pool.stride_h; y < i * pool.stride_h + pool.kernel_h; ++y)
          for (int x = j * pool.stride_w; x < j * pool.stride_w + pool.kernel_w; ++x)
            visit(at(c, y, in.height, x, in.width), at(c, i, out.height, j, out.width));
}

/// Calls visit(element of stage.pooled, element of stage.out, count) for the products of one tap (oc, ic, ky, kx), run by run of
/// neighbours on both sides.
template <typename Visit>
void for_tap(const Stage& stage, int oc, int ic, int ky, int kx, Visit&& visit) {
  const ConvParams& c = stage.conv;
  const TensorShape &in = stage.pooled, &out = stage.out;
  const int shift = kx - c.pad_left;   // x = ox * stride + shift lies in [0, width)
  const int first = std::max(0, (-shift + c.stride_w - 1) / c.stride_w);
  const int end = std::min(out.width, (in.width - shift + c.stride_w - 1) / c.stride_w);
  if (first >= end) return;
  for (int oy = 0; oy < out.height; ++oy) {
    const int y = oy * c.stride_h + ky - c.pad_top;
    if (y < 0 || y >= in.height) continue;
    if (c.stride_w == 1) {
      visit(at(ic, y, in.height, first + shift, in.width), at(oc, oy, out.height, first, out.width), static_cast<std::size_t>(end - first));
    } else {
      for (int ox = first; ox < end; ++ox)
        visit(at(ic, y, in.height, ox * c.stride_w + shift, in.width), at(oc, oy, out.height, ox, out.width), std::size_t{1});
    }
  }
}

template <typename Visit>
void for_each_tap(const ConvParams& c, Visit&& visit) {
  std::size_t weight = 0;
  for (int oc = 0; oc < c.out_channels; ++oc)
    for (int ic = 0; ic < c.in_channels; ++ic)
      for (int ky = 0; ky < c.kernel_h; ++ky)
        for (int kx = 0; kx < c.kernel_w; ++kx) visit(c.weights[weight++], oc, ic, ky, kx);
}

template <typename T>
LaneTensor<T> convolve(const Stage& stage, const LaneTensor<T>& x) {
  LaneTensor<T> y(stage.out.size(), Lanes<T>{});
  for_each_tap(stage.conv, [&](float weight, int oc, int ic, int ky, int kx) {
    for_tap(stage, oc, ic, ky, kx, [&](std::size_t from, std::size_t to, std::size_t count) {
      add_scaled_run(y[to].data(), static_cast<T>(weight), x[from].data(), count);
    });
  });
  return y;
}

void add_squares(Lanes<double>& sum, const Lanes<float>& x) {
  for (std::size_t k = 0; k < kLanes; ++k) sum[k] += static_cast<double>(x[k]) * static_cast<double>(x[k]);
}

}  // namespace

template <typename T>
LaneTensor<T> read_values(const StagePlan& plan, const Stage& stage, const LaneTensor<T>& image, const std::vector<LaneTensor<T>>& values) {
  if (stage.reads.empty()) return image;
  if (!stage.reads_squares) return values[static_cast<std::size_t>(stage.reads.front())];
  LaneTensor<T> sum;
  for (const int read : stage.reads) {
    const T sign = plan.stages[static_cast<std::size_t>(read)].negated ? T(-1) : T(1);
    const LaneTensor<T>& value = values[static_cast<std::size_t>(read)];
    if (sum.empty()) sum.assign(value.size(), Lanes<T>{});
    for (std::size_t e = 0; e < sum.size(); ++e)
      for (std::size_t k = 0; k < kLanes; ++k) sum[e][k] += sign * value[e][k] * value[e][k];
  }
  return sum;
}

template <typename T>
void add_addend(const Stage& stage, std::vector<LaneTensor<T>>& values) {
  if (stage.addend < 0) return;
  const LaneTensor<T>& from = values[static_cast<std::size_t>(stage.addend)];
  for (std::size_t e = 0; e < from.size(); ++e) add_scaled(values.back()[e], T(1), from[e]);
}

void add_gradients(const StagePlan& plan, const Stage& stage, const LaneTensor<float>& g, const std::vector<LaneTensor<float>>& values,
                   std::vector<LaneTensor<float>>& gradients) {
  for (const int read : stage.reads) {
    const auto at = static_cast<std::size_t>(read);
    LaneTensor<float>& sum = gradients[at];
    if (sum.empty()) sum.assign(g.size(), Lanes<float>{});
    const float sign = plan.stages[at].negated ? -1.0F : 1.0F;
    for (std::size_t e = 0; e < g.size(); ++e)
      for (std::size_t k = 0; k < kLanes; ++k) sum[e][k] += stage.reads_squares ? g[e][k] * (2 * sign * values[at][e][k]) : g[e][k];
  }
}

template <typename T>
LaneTensor<T> apply_pools(const Stage& stage, LaneTensor<T> x) {
  TensorShape shape = stage.in;
  for (const PoolParams& pool : stage.pools) {
    const TensorShape next = pooled_shape(pool, shape);
    LaneTensor<T> sums(next.size(), Lanes<T>{});
    const T factor = T(1) / static_cast<T>(pool.kernel_h * pool.kernel_w);
    for_pool(pool, shape, next, [&](std::size_t from, std::size_t to) { add_scaled(sums[to], factor, x[from]); });
    x = std::move(sums);
    shape = next;
  }
  return x;
}

template <typename T>
LaneTensor<T> apply_linear(const Stage& stage, const LaneTensor<T>& x) {
  LaneTensor<T> y;
  if (!stage.diagonal.empty()) {
    y.assign(stage.out.size(), Lanes<T>{});
    const std::size_t plane = x.size() / stage.diagonal.size();
    for (std::size_t e = 0; e < x.size(); ++e) add_scaled(y[e], static_cast<T>(stage.diagonal[e / plane]), x[e]);
  } else if (stage.is_dense) {
    y.assign(stage.out.size(), Lanes<T>{});
    for (std::size_t o = 0; o < y.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i) add_scaled(y[o], static_cast<T>(stage.dense.weights[o * x.size() + i]), x[i]);
  } else {
    y = convolve(stage, x);
  }
  for (std::size_t e = 0; e < y.size(); ++e)
    for (T& v : y[e]) v += static_cast<T>(stage.bias[e]);
  return y;
}

LaneTensor<float> apply_stage_transposed(const Stage& stage, const LaneTensor<float>& g) {
  LaneTensor<float> x(stage.pooled.size(), Lanes<float>{});
  if (!stage.diagonal.empty()) {
    const std::size_t plane = x.size() / stage.diagonal.size();
    for (std::size_t e = 0; e < x.size(); ++e) add_scaled(x[e], stage.diagonal[e / plane], g[e]);
  } else if (stage.is_dense) {
    for (std::size_t o = 0; o < g.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i) add_scaled(x[i], stage.dense.weights[o * x.size() + i], g[o]);
  } else {
    for_each_tap(stage.conv, [&](float weight, int oc, int ic, int ky, int kx) {
      for_tap(stage, oc, ic, ky, kx, [&](std::size_t from, std::size_t to, std::size_t count) {
        add_scaled_run(x[from].data(), weight, g[to].data(), count);
      });
    });
  }
  // Back through the pools, last one first.
  std::vector<TensorShape> shapes{stage.in};
  for (const PoolParams& pool : stage.pools) shapes.push_back(pooled_shape(pool, shapes.back()));
  for (std::size_t p = stage.pools.size(); p-- > 0;) {
    const PoolParams& pool = stage.pools[p];
    LaneTensor<float> before(shapes[p].size(), Lanes<float>{});
    const float factor = 1.0F / static_cast<float>(pool.kernel_h * pool.kernel_w);
    for_pool(pool, shapes[p], shapes[p + 1], [&](std::size_t from, std::size_t to) { add_scaled(before[from], factor, x[to]); });
    x = std::move(before);
  }
  return x;
}

Lanes<double> weight_gradient_energy(const Stage& stage, const LaneTensor<float>& x, const LaneTensor<float>& g) {
  Lanes<double> sum{};
  if (!stage.diagonal.empty()) {
    const std::size_t plane = x.size() / stage.diagonal.size();
    for (std::size_t first = 0; first < x.size(); first += plane) {
      Lanes<float> gradient{};
      for (std::size_t e = first; e < first + plane; ++e)
        for (std::size_t k = 0; k < kLanes; ++k) gradient[k] += x[e][k] * g[e][k];
      add_squares(sum, gradient);
    }
    return sum;
  }
  if (stage.is_dense) {   // the gradient is an outer product
    Lanes<double> of_x{}, of_g{};
    for (const auto& v : x) add_squares(of_x, v);
    for (const auto& v : g) add_squares(of_g, v);
    for (std::size_t k = 0; k < kLanes; ++k) sum[k] = of_x[k] * of_g[k];
    return sum;
  }
  for_each_tap(stage.conv, [&](float, int oc, int ic, int ky, int kx) {
    Lanes<float> gradient{};
    for_tap(stage, oc, ic, ky, kx, [&](std::size_t from, std::size_t to, std::size_t count) {
      add_products_run(gradient.data(), x[from].data(), g[to].data(), count);
    });
    add_squares(sum, gradient);
  });
  return sum;
}

Lanes<double> window_gradient_energy(const Stage& stage, const LaneTensor<float>& g) {
  Lanes<double> sum{};
  if (stage.is_dense || !stage.diagonal.empty()) {
    for (const auto& v : apply_stage_transposed(stage, g)) add_squares(sum, v);
    return sum;
  }
  const ConvParams& c = stage.conv;
  const auto plane = static_cast<std::size_t>(stage.out.height) * static_cast<std::size_t>(stage.out.width);
  const auto taps = static_cast<std::size_t>(c.in_channels) * static_cast<std::size_t>(c.kernel_h * c.kernel_w);
  for (std::size_t position = 0; position < plane; ++position)
    for (std::size_t tap = 0; tap < taps; ++tap) {
      Lanes<float> gradient{};
      for (std::size_t oc = 0; oc < static_cast<std::size_t>(c.out_channels); ++oc)
        add_scaled(gradient, c.weights[oc * taps + tap], g[oc * plane + position]);
      add_squares(sum, gradient);
    }
  return sum;
}

template LaneTensor<float> read_values(const StagePlan&, const Stage&, const LaneTensor<float>&, const std::vector<LaneTensor<float>>&);
template LaneTensor<double> read_values(const StagePlan&, const Stage&, const LaneTensor<double>&, const std::vector<LaneTensor<double>>&);
template void add_addend(const Stage&, std::vector<LaneTensor<float>>&);
template void add_addend(const Stage&, std::vector<LaneTensor<double>>&);
template LaneTensor<float> apply_pools(const Stage&, LaneTensor<float>);
template LaneTensor<double> apply_pools(const Stage&, LaneTensor<double>);
template LaneTensor<float> apply_linear(const Stage&, const LaneTensor<float>&);
template LaneTensor<double> apply_linear(const Stage&, const LaneTensor<double>&);

}  // namespace brainlock::compiler
