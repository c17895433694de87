// The CPU kernels: one table of functions per SIMD target, the best one chosen when it is first asked for.
//
// Parameters are float32 here (float64 for float64 features): the binding converts the few of them.
// A work item of the region kernels is a band of one image (one row of regions): item i is band i % grid of
// image i / grid. Functions handle the items [begin, end) and may run side by side on disjoint ranges.
#pragma once

#include <cstdint>

#include "../core/problem.h"

namespace lnlattennet::cpu {

struct Kernels {
  const char* target;
  void (*region_attention)(const RegionAttention&, const RegionOutputs&, int64_t begin, int64_t end);
  // Adds to `grad_query` [K, heads, channels], of the parameters' type; the caller zeroes and sums them.
  // `grad_features` has the features' sizes and type, and 1 where they have their stride of 1.
  void (*region_attention_backward)(const RegionAttention&, const RegionGradients&, const FeatureMap& grad_features,
                                    void* grad_query, int64_t begin, int64_t end);
  // A work item is one image. `mean` [batch, regions, channels] is of type `mean_type`.
  void (*nonlocal_attention)(const NonlocalAttention&, const void* mean, DType mean_type, const NonlocalOutputs&,
                             int64_t begin, int64_t end);
};

// One table per SIMD target; x86-64 has all of them, other machines the generic one.
extern const Kernels generic_kernels, avx2_kernels, avx512_kernels, avx512_bf16_kernels;

// The kernels of the best target that this CPU has, or of the one that LNLATTENNET_CPU_TARGET names.
// Throws std::runtime_error if that one is unknown or not supported here.
const Kernels& kernels();

}  // namespace lnlattennet::cpu
