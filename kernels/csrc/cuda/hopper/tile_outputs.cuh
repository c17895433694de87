// From what the warps of a block have pooled to the tile's `pooled` and `mean`.
#pragma once

#include "../elements.cuh"
#include "../online_softmax.cuh"
#include "plan.h"

namespace lnlattennet::cuda::hopper {

// Sums up what the warps of one region and head stored in shared memory.
template <class Pool>
class Partials {
 public:
  static constexpr int kWarpFloats = Pool::kGroups * Pool::kGroupFloats;

  __device__ Partials(const Plan& plan, float* scratch, int region, int head)
      : parts_(plan.parts), first_warp_((region * plan.heads + head) * plan.parts) {
    values_ = scratch + plan.scratch.partials + first_warp_ * kWarpFloats;
    normalisers_ = scratch + plan.scratch.normalisers + first_warp_ * 2;
  }

  __device__ float pooled(int channel) const {
    float highest = kLowest<float>;
#pragma unroll 1
    for (int part = 0; part < parts_; ++part) highest = larger(highest, normalisers_[2 * part]);
    float value = 0.0f;
    float sum = 0.0f;
#pragma unroll 1
    for (int part = 0; part < parts_; ++part) {
      const float weight = exp2_fast(normalisers_[2 * part] - highest);
      value = fmaf(weight, warp_sum(part, channel), value);
      sum = fmaf(weight, normalisers_[2 * part + 1], sum);
    }
    return value / sum;
  }

  __device__ float total(int channel) const {
    float value = 0.0f;
#pragma unroll 1
    for (int part = 0; part < parts_; ++part) value += warp_sum(part, Pool::kChannels + channel);
    return value;
  }

 private:
  __device__ float warp_sum(int part, int place) const {
    float sum = 0.0f;
#pragma unroll
    for (int group = 0; group < Pool::kGroups; ++group) {
      sum += values_[part * kWarpFloats + group * Pool::kGroupFloats + place];
    }
    return sum;
  }

  const float* values_;
  const float* normalisers_;
  int parts_, first_warp_;
};

// The means of the tile's regions, into shared memory only: other blocks of the cluster wait for them.
template <class Pool>
__device__ void average_tile(const Plan& plan, float* scratch) {
  const float share = 1.0f / (static_cast<float>(plan.rows) * static_cast<float>(plan.region_columns));
#pragma unroll 1
  for (int item = threadIdx.x; item < plan.tile_regions * plan.channels; item += blockDim.x) {
    const Partials<Pool> partials(plan, scratch, item / plan.channels, 0);
    scratch[plan.scratch.means + item] = share * partials.total(item % plan.channels);
  }
}

// Both outputs of the tile's regions, from number `first_region` of image `image` on. After average_tile, without a
// barrier between them: a thread reads means that it wrote itself.
template <class T, class Pool>
__device__ void write_tile(const Arguments& arguments, float* scratch, int64_t image, int first_region) {
  const Plan& plan = arguments.plan;
  const int64_t first = image * plan.regions + first_region;
  T* pooled = static_cast<T*>(arguments.outputs.pooled) + first * plan.heads * plan.channels;
  T* mean = static_cast<T*>(arguments.outputs.mean) + first * plan.channels;
#pragma unroll 1
  for (int item = threadIdx.x; item < plan.tile_regions * plan.channels; item += blockDim.x) {
    mean[item] = narrow<T>(scratch[plan.scratch.means + item]);
  }
#pragma unroll 1
  for (int item = threadIdx.x; item < plan.tile_regions * plan.heads * plan.channels; item += blockDim.x) {
    const int head = item / plan.channels;  // of all heads of the tile
    const Partials<Pool> partials(plan, scratch, head / plan.heads, head % plan.heads);
    pooled[item] = narrow<T>(partials.pooled(item % plan.channels));
  }
}

}  // namespace lnlattennet::cuda::hopper
