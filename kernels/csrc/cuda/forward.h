// The portable forward launchers, one per memory layout; launch.cu picks.
#pragma once

#include "last_block.cuh"

namespace lnlattennet::cuda {

// A block per region. Any strides; fastest for channels_last features whose positions start at 16-byte boundaries.
const char* channels_last_forward(const RegionAttention& problem, const RegionOutputs& outputs, const TailTask& tail,
                                  void* stream);

// A block per row of regions, for features (not float64) whose columns are neighbours in memory, as long as a band's
// scores fit the shared memory of a block.
bool contiguous_forward_fits(const RegionAttention& problem, int64_t shared_bytes);
const char* contiguous_forward(const RegionAttention& problem, const RegionOutputs& outputs, const TailTask& tail,
                               void* stream);

}  // namespace lnlattennet::cuda
