// The framework-free interface between the torch binding and the CUDA kernels. Every function that returns a
// `const char*` returns nullptr when all is well, else a message for the user that stays valid (static storage).
#pragma once

#include <cstdint>

#include "../core/problem.h"

namespace lnlattennet::cuda {

// How a forward pass is spread over the GPU. `automatic` picks by shape and device; the others are for tests
// and benchmarks, and fail where they cannot run.
enum class Variant : int32_t {
  automatic,
  portable,         // any GPU and shape: a block per region or band, the image's last block does the tail
  cluster_bands,    // sm_90 and later: a cluster per image, a band (row of regions) per block
  cluster_regions,  // sm_90 and later: a cluster per image, a region per block
};

// Bytes of device memory, of any content, that a tail on means of this type needs; 0 for every usual shape.
int64_t scratch_bytes(const NonlocalAttention& tail, DType means);

// pooled and mean; with `tail` (and `tail_outputs`) the non-local tail too: one kernel launch either way, but for tails
// that need `scratch`, which take a second one.
const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* tail, const NonlocalOutputs* tail_outputs, void* scratch,
                             Variant variant, void* stream);

// `mean` [batch, regions, channels], contiguous.
const char* nonlocal_attention(const NonlocalAttention& tail, const void* mean, DType mean_dtype,
                               const NonlocalOutputs& outputs, void* scratch, void* stream);

// `grad_features` has the features' type and sizes, and strides of its own (data is written).
// `grad_query_partial` [batch, K, heads, channels]: float32 (float64 for float64 features); the caller sums
// over the batch, so that no result depends on the order in which blocks run.
const char* region_attention_backward(const RegionAttention& problem, const RegionGradients& gradients,
                                      const FeatureMap& grad_features, void* grad_query_partial, void* stream);

}  // namespace lnlattennet::cuda
