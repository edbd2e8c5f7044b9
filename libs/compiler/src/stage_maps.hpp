// Linear maps put together: a pool and the map beside it as one map.
#pragma once

#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// conv after average pool as one convolution (without padding).
ConvParams pool_then_conv(const PoolParams& pool, const ConvParams& conv);

/// average pool after conv as one convolution.
ConvParams conv_then_pool(const ConvParams& conv, const PoolParams& pool);

/// A convolution as a dense map over its whole input.
DenseParams conv_as_dense(const ConvParams& conv, const TensorShape& in, const TensorShape& out);

/// dense over a pooled tensor as a dense map over the tensor before the pool.
DenseParams pool_then_dense(const PoolParams& pool, const TensorShape& in, const TensorShape& pooled, const DenseParams& dense);

TensorShape pooled_shape(const PoolParams& pool, const TensorShape& in);

/// 1x1, every channel to itself.
ConvParams identity_conv(int channels);

}  // namespace brainlock::compiler
