// The thread-block-cluster variants of the forward pass (sm_90 and later).
#pragma once

#include "../launch.h"

namespace lnlattennet::cuda::hopper {

// Whether `variant` (cluster_bands or cluster_regions) can run this problem on the current device: compute
// capability, type, alignment, shared memory. `tail` may be null.
bool supports(const RegionAttention& problem, const NonlocalAttention* tail, Variant variant);

// The variant that should be the fastest here: one that `supports` accepts, or Variant::portable.
Variant preferred(const RegionAttention& problem, const NonlocalAttention* tail);

// Only where `supports` says yes; otherwise like cuda::region_attention. Needs no workspace: a cluster waits for its
// own blocks.
const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* tail, const NonlocalOutputs* tail_outputs,
                             Variant variant, void* stream);

}  // namespace lnlattennet::cuda::hopper
