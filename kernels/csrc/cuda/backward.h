// The backward launchers, one per memory layout; launch.cu picks.
#pragma once

#include "../core/problem.h"

namespace lnlattennet::cuda {

struct BackwardProblem {
  RegionAttention regions;
  RegionGradients gradients;
  FeatureMap grad_features;  // data is written
  void* grad_query;          // [batch, K, heads, channels], of the accumulation type
};

// A block per region, for any strides. Reads the region twice for the first head, and once more per further head.
const char* channels_last_backward(const BackwardProblem& problem, void* stream);

// A block per row of regions, where columns are neighbours in both maps, which are not float64, and all heads' weights
// fit shared memory.
bool contiguous_backward_fits(const BackwardProblem& problem, int64_t shared_bytes);
const char* contiguous_backward(const BackwardProblem& problem, void* stream);

}  // namespace lnlattennet::cuda
