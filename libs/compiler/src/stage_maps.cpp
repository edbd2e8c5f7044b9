#include "stage_maps.hpp"

#include <cstddef>

namespace brainlock::compiler {
namespace {

std::size_t at(int a, int b, int nb, int c, int nc) {
  return (static_cast<std::size_t>(a) * static_cast<std::size_t>(nb) + static_cast<std::size_t>(b)) *
             static_cast<std::size_t>(nc) +
         static_cast<std::size_t>(c);
}

/// Reach of two windows in one dimension, the second over the results of the first.
int reach(int first_kernel, int first_stride, int second_kernel) { return (second_kernel - 1) * first_stride + first_kernel; }

/// Convolution and average pool as one convolution: each tap of the second meets each tap of the first.
ConvParams composed(const ConvParams& conv, const PoolParams& pool, bool pool_first) {
  ConvParams out = conv;
  out.kernel_h = pool_first ? reach(pool.kernel_h, pool.stride_h, conv.kernel_h) : reach(conv.kernel_h, conv.stride_h, pool.kernel_h);
  out.kernel_w = pool_first ? reach(pool.kernel_w, pool.stride_w, conv.kernel_w) : reach(conv.kernel_w, conv.stride_w, pool.kernel_w);
  out.stride_h = conv.stride_h * pool.stride_h;
  out.stride_w = conv.stride_w * pool.stride_w;
  out.weights.assign(static_cast<std::size_t>(conv.out_channels * conv.in_channels * out.kernel_h * out.kernel_w), 0.0F);
  const float factor = 1.0F / static_cast<float>(pool.kernel_h * pool.kernel_w);
  for (int oc = 0; oc < conv.out_channels * conv.in_channels; ++oc)
    for (int ky = 0; ky < conv.kernel_h; ++ky)
      for (int kx = 0; kx < conv.kernel_w; ++kx)
        for (int py = 0; py < pool.kernel_h; ++py)
          for (int px = 0; px < pool.kernel_w; ++px) {
            const int y = pool_first ? ky * pool.stride_h + py : ky + py * conv.stride_h;
            const int x = pool_first ? kx * pool.stride_w + px : kx + px * conv.stride_w;
            out.weights[at(oc, y, out.kernel_h, x, out.kernel_w)] += factor * conv.weights[at(oc, ky, conv.kernel_h, kx, conv.kernel_w)];
          }
  return out;
}

}  // namespace

ConvParams pool_then_conv(const PoolParams& pool, const ConvParams& conv) { return composed(conv, pool, true); }

ConvParams conv_then_pool(const ConvParams& conv, const PoolParams& pool) { return composed(conv, pool, false); }

DenseParams conv_as_dense(const ConvParams& conv, const TensorShape& in, const TensorShape& out) {
  DenseParams dense;
  dense.in_features = static_cast<int>(in.size());
  dense.out_features = static_cast<int>(out.size());
  dense.weights.assign(in.size() * out.size(), 0.0F);
  for (int oc = 0; oc < out.channels; ++oc)
    for (int oy = 0; oy < out.height; ++oy)
      for (int ox = 0; ox < out.width; ++ox) {
        const std::size_t row = at(oc, oy, out.height, ox, out.width);
        for (int ic = 0; ic < in.channels; ++ic)
          for (int ky = 0; ky < conv.kernel_h; ++ky)
            for (int kx = 0; kx < conv.kernel_w; ++kx) {
              const int y = oy * conv.stride_h + ky - conv.pad_top;
              const int x = ox * conv.stride_w + kx - conv.pad_left;
              if (y < 0 || x < 0 || y >= in.height || x >= in.width) continue;
              dense.weights[row * in.size() + at(ic, y, in.height, x, in.width)] +=
                  conv.weights[at(oc * conv.in_channels + ic, ky, conv.kernel_h, kx, conv.kernel_w)];
            }
      }
  return dense;
}

DenseParams pool_then_dense(const PoolParams& pool, const TensorShape& in, const TensorShape& pooled, const DenseParams& dense) {
  DenseParams out;
  out.in_features = static_cast<int>(in.size());
  out.out_features = dense.out_features;
  out.weights.assign(static_cast<std::size_t>(dense.out_features) * in.size(), 0.0F);
  const float factor = 1.0F / static_cast<float>(pool.kernel_h * pool.kernel_w);
  for (int o = 0; o < dense.out_features; ++o)
    for (int c = 0; c < pooled.channels; ++c)
      for (int y = 0; y < pooled.height; ++y)
        for (int x = 0; x < pooled.width; ++x) {
          const float w = factor * dense.weights[static_cast<std::size_t>(o) * pooled.size() + at(c, y, pooled.height, x, pooled.width)];
          for (int py = 0; py < pool.kernel_h; ++py)
            for (int px = 0; px < pool.kernel_w; ++px)
              out.weights[static_cast<std::size_t>(o) * in.size() +
                          at(c, y * pool.stride_h + py, in.height, x * pool.stride_w + px, in.width)] += w;
        }
  return out;
}

TensorShape pooled_shape(const PoolParams& pool, const TensorShape& in) {
  return {in.channels, (in.height - pool.kernel_h) / pool.stride_h + 1, (in.width - pool.kernel_w) / pool.stride_w + 1};
}

ConvParams identity_conv(int channels) {
  ConvParams identity;
  const auto c = static_cast<std::size_t>(channels);
  identity.out_channels = identity.in_channels = channels;
  identity.weights.assign(c * c, 0.0F);
  for (std::size_t k = 0; k < c; ++k) identity.weights[k * c + k] = 1.0F;
  identity.bias.assign(c, 0.0F);
  return identity;
}

}  // namespace brainlock::compiler
