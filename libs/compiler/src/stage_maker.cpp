#include "stage_maker.hpp"

#include <algorithm>
#include <utility>

#include "stage_maps.hpp"

namespace brainlock::compiler {
namespace {

// Weights of all identities that are written out as matrices.
constexpr std::size_t kMaxIdentityWeights = std::size_t{1} << 26;

Error unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

std::size_t plane_of(const TensorShape& s) { return static_cast<std::size_t>(s.height) * static_cast<std::size_t>(s.width); }

std::vector<double> spread(const PerChannel& channels, std::size_t plane) {
  std::vector<double> out(channels.size() * plane);
  for (std::size_t e = 0; e < out.size(); ++e) out[e] = channels[e / plane];
  return out;
}

Status finish_conv(Stage& stage, std::vector<PoolParams> pools, ConvParams conv) {
  const bool padded = conv.pad_top + conv.pad_left + conv.pad_bottom + conv.pad_right > 0;
  // Pools that tile (kernel == stride) stay apart and cost additions; others, and what follows them, join the convolution.
  // The client makes the first layer's windows itself, so there everything joins.
  while (!pools.empty()) {
    const PoolParams& last = pools.back();
    const bool tile = std::all_of(pools.begin(), pools.end(), [](const PoolParams& p) { return p.kernel_h == p.stride_h && p.kernel_w == p.stride_w; });
    if (tile && !stage.reads.empty()) break;
    if (padded) {
      return unsupported("a padded convolution after this average pool is not covered; pad before the pool or use kernel == stride");
    }
    conv = pool_then_conv(last, conv);
    pools.pop_back();
  }
  stage.pools = std::move(pools);
  stage.pooled = stage.in;
  for (const PoolParams& pool : stage.pools) stage.pooled = pooled_shape(pool, stage.pooled);
  stage.out = {conv.out_channels, (stage.pooled.height + conv.pad_top + conv.pad_bottom - conv.kernel_h) / conv.stride_h + 1,
               (stage.pooled.width + conv.pad_left + conv.pad_right - conv.kernel_w) / conv.stride_w + 1};
  stage.bias = spread({conv.bias.begin(), conv.bias.end()}, plane_of(stage.out));
  if (plane_of(stage.out) == 1 || plane_of(stage.pooled) == 1) {
    stage.is_dense = true;
    stage.dense = conv_as_dense(conv, stage.pooled, stage.out);
  } else {
    stage.conv = std::move(conv);
  }
  return {};
}

void finish_dense(Stage& stage, const std::vector<PoolParams>& pools, DenseParams dense) {
  std::vector<TensorShape> shapes{stage.in};
  for (const PoolParams& pool : pools) shapes.push_back(pooled_shape(pool, shapes.back()));
  stage.bias.assign(dense.bias.begin(), dense.bias.end());
  stage.out = {dense.out_features, 1, 1};
  for (std::size_t k = pools.size(); k-- > 0;) dense = pool_then_dense(pools[k], shapes[k], shapes[k + 1], dense);
  stage.pooled = stage.in;
  stage.is_dense = true;
  stage.dense = std::move(dense);
}

void scale_inputs(Stage& stage, const PerChannel& factor) {
  if (!stage.diagonal.empty()) {
    for (std::size_t c = 0; c < factor.size(); ++c) stage.diagonal[c] = static_cast<float>(static_cast<double>(stage.diagonal[c]) * factor[c]);
  } else if (stage.is_dense) {
    const auto in = static_cast<std::size_t>(stage.dense.in_features);
    const std::size_t plane = in / factor.size();
    for (std::size_t k = 0; k < stage.dense.weights.size(); ++k)
      stage.dense.weights[k] = static_cast<float>(static_cast<double>(stage.dense.weights[k]) * factor[(k % in) / plane]);
  } else {
    const auto taps = static_cast<std::size_t>(stage.conv.kernel_h * stage.conv.kernel_w);
    for (std::size_t k = 0; k < stage.conv.weights.size(); ++k)
      stage.conv.weights[k] = static_cast<float>(static_cast<double>(stage.conv.weights[k]) * factor[(k / taps) % factor.size()]);
  }
}

}  // namespace

Result<Stage> StageMaker::make(const Term& term, const Reading& reading, bool with_constant) {
  Stage stage;
  stage.name = term.name;
  stage.reads = reading.stages;
  stage.reads_squares = reading.squares;
  stage.in = term.from.shape;
  if (term.dense) {
    finish_dense(stage, term.from.pools, *term.dense);
  } else if (term.conv || reading.stages.empty() || !term.from.pools.empty()) {
    const auto channels = static_cast<std::size_t>(stage.in.channels);
    if (!term.conv && channels * channels > kMaxIdentityWeights - identity_weights_) {
      return unsupported("it needs its " + std::to_string(stage.in.channels) + " inputs as they are; put a linear layer in front");
    }
    if (!term.conv) identity_weights_ += channels * channels;
    BRAINLOCK_TRY(finish_conv(stage, term.from.pools, term.conv ? *term.conv : identity_conv(stage.in.channels)));
  } else {
    stage.pooled = stage.out = stage.in;
    stage.diagonal.assign(static_cast<std::size_t>(stage.in.channels), 1.0F);
    stage.bias.assign(stage.out.size(), 0.0);
  }
  if (with_constant) {
    stage.bias = first_lane(apply_linear(stage, apply_pools(stage, to_lanes(spread(term.from.constant, plane_of(stage.in))))));
  } else {
    stage.bias.assign(stage.out.size(), 0.0);
  }
  scale_inputs(stage, reading.factor);
  return stage;
}

void scale_outputs(Stage& stage, const PerChannel& gain, const PerChannel& shift) {
  auto& weights = !stage.diagonal.empty() ? stage.diagonal : stage.is_dense ? stage.dense.weights : stage.conv.weights;
  const std::size_t per_channel = weights.size() / gain.size();
  for (std::size_t k = 0; k < weights.size(); ++k)
    weights[k] = static_cast<float>(static_cast<double>(weights[k]) * gain[k / per_channel]);
  const std::size_t plane = plane_of(stage.out);
  for (std::size_t e = 0; e < stage.bias.size(); ++e) stage.bias[e] = (stage.bias[e] + shift[e / plane]) * gain[e / plane];
}

LaneTensor<double> to_lanes(std::span<const double> x) {
  LaneTensor<double> lanes(x.size(), Lanes<double>{});
  for (std::size_t e = 0; e < x.size(); ++e) lanes[e][0] = x[e];
  return lanes;
}

std::vector<double> first_lane(const LaneTensor<double>& x) {
  std::vector<double> out;
  for (const auto& lanes : x) out.push_back(lanes[0]);
  return out;
}

}  // namespace brainlock::compiler
