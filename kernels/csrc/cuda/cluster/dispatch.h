// The thread-block-cluster variants of the forward pass (sm_90 and later).
#pragma once

#include "../region_attention.h"

namespace lnlattennet::cuda::cluster {

// True if `variant` (cluster_bands or cluster_regions) can run this problem on the current device: compute
// capability, type, alignment, shared memory. `nonlocal` may be null.
bool supports(const RegionAttention& problem, const NonlocalAttention* nonlocal, Variant variant);

// The variant that should be the fastest here: one that `supports` accepts, or Variant::portable.
Variant preferred(const RegionAttention& problem, const NonlocalAttention* nonlocal);

// Only where `supports` is true; otherwise like cuda::region_attention. Needs no counters: a cluster waits for its
// own blocks.
const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* nonlocal, const NonlocalOutputs* nonlocal_outputs,
                             Variant variant, void* stream);

}  // namespace lnlattennet::cuda::cluster
