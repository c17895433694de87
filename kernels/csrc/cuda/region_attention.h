// The framework-free interface between the torch binding and the CUDA kernels. Every function that returns a
// `const char*` returns nullptr when all is well, else a message for the user that stays valid (static storage).
#pragma once

#include <cstdint>

#include "../core/problem.h"

namespace lnlattennet::cuda {

// Division of a forward pass over the GPU. `automatic` picks by shape and device; the others are for tests
// and benchmarks, and fail where they cannot run.
enum class Variant : int32_t {
  automatic,
  portable,         // any GPU and shape: a block per region or band, the image's last block runs the epilogue
  cluster_bands,    // sm_90 and later: a cluster per image, a band (row of regions) per block
  cluster_regions,  // sm_90 and later: a cluster per image, a region per block
};

// Bytes of device memory, of any content, that non-local attention on means of this type needs; 0 for every usual
// shape.
int64_t scratch_bytes(const NonlocalAttention& nonlocal, DType means);

// pooled and mean; with `nonlocal` (and `nonlocal_outputs`) the non-local attention too: one kernel launch either
// way, except where that needs `scratch`, which takes a second launch.
const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* nonlocal, const NonlocalOutputs* nonlocal_outputs, void* scratch,
                             Variant variant, void* stream);

// `mean` [batch, regions, channels], contiguous.
const char* nonlocal_attention(const NonlocalAttention& nonlocal, const void* mean, DType mean_dtype,
                               const NonlocalOutputs& outputs, void* scratch, void* stream);

// `grad_features` has the features' type and sizes, and strides of its own (data is written).
// `grad_query_partial` [batch, K, heads, channels]: float32 (float64 for float64 features); the caller sums
// over the batch, so that no result depends on the order in which blocks run.
const char* region_attention_backward(const RegionAttention& problem, const RegionGradients& gradients,
                                      const FeatureMap& grad_features, void* grad_query_partial, void* stream);

// ---- the portable launchers, one per memory layout -----------------------------------------------------------------

// The non-local attention at the end of a forward launch. attention.regions == 0: there is none.
struct NonlocalEpilogue {
  NonlocalAttention attention;
  NonlocalOutputs outputs;
  unsigned* counters;  // one an image
};

// A block per region. Any strides; fastest for channels_last features whose positions start at 16-byte boundaries.
const char* channels_last_forward(const RegionAttention& problem, const RegionOutputs& outputs,
                                  const NonlocalEpilogue& epilogue, void* stream);

// A block per row of regions, for features (not float64) whose columns are neighbors in memory, as long as a band's
// scores fit the shared memory of a block.
bool contiguous_forward_fits(const RegionAttention& problem, int64_t shared_bytes);
const char* contiguous_forward(const RegionAttention& problem, const RegionOutputs& outputs,
                               const NonlocalEpilogue& epilogue, void* stream);

struct BackwardProblem {
  RegionAttention regions;
  RegionGradients gradients;
  FeatureMap grad_features;  // data is written
  void* grad_query;          // [batch, K, heads, channels], of the accumulation type
};

// A block per region, for any strides. Reads the region twice for the first head, and once more per further head.
const char* channels_last_backward(const BackwardProblem& problem, void* stream);

// A block per row of regions, where columns are neighbors in both maps, which are not float64, and all heads' weights
// fit shared memory.
bool contiguous_backward_fits(const BackwardProblem& problem, int64_t shared_bytes);
const char* contiguous_backward(const BackwardProblem& problem, void* stream);

}  // namespace lnlattennet::cuda
