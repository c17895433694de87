// Problems that the kernels solve: plain pointers and sizes, no framework. Shared by the CPU and the CUDA code.
//
// All pointers of one problem live on one device. "Parameters" are the learned tensors (query, position, ...):
// contiguous, and all of one type. Outputs are contiguous unless a stride says otherwise.
#pragma once

#include <cstdint>

namespace lnlattennet {

enum class DType : int32_t { f32, f16, bf16, f64 };

inline int64_t element_bytes(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

// F [batch, channels, height, width]; strides in elements. Either `channel_stride` is 1 (channels_last, and
// slices of it) or `column_stride` is 1 (contiguous, and slices of it); every other stride is free.
struct FeatureMap {
  const void* data;
  DType dtype;
  int64_t batch, channels, height, width;
  int64_t batch_stride, channel_stride, row_stride, column_stride;
};

// Regions k = 0 .. grid * grid - 1, row-major; region k has (height / grid) * (width / grid) positions.
struct RegionAttention {
  FeatureMap features;
  int64_t grid, heads;
  const void* query;  // parameters [K, heads, channels]
  DType parameters;   // the features' type, or f32
};

// pooled [batch, K, heads, channels] and mean [batch, K, channels], of the features' type.
struct RegionOutputs {
  void* pooled;
  void* mean;
};

// Gradients of the outputs, contiguous and of the features' type, shaped like RegionOutputs.
struct RegionGradients {
  const void* pooled;
  const void* mean;
};

// The non-local attention: tokens t = mean + position; affinity = softmax(Q t (K t)^T / sqrt(width));
// context c = affinity (V t + bias); weights = softmax_k(score . relu(c_k)); pooled context sum_k weights_k c_k.
struct NonlocalAttention {
  int64_t batch, regions, channels, width;
  DType parameters;
  const void* position;                                  // [regions, channels]
  const void *query_weight, *key_weight, *value_weight;  // [width, channels]
  const void *value_bias, *score_weight;                 // [width]
};

// weights [batch, regions], affinity [batch, regions, regions], context [batch, width]; the parameters' type.
struct NonlocalOutputs {
  void* weights;
  void* affinity;
  void* context;
};

}  // namespace lnlattennet
