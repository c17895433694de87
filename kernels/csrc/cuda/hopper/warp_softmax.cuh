// Softmax of a row in shared memory by one warp.
#pragma once

#include "../online_softmax.cuh"
#include "plan.h"

namespace lnlattennet::cuda::hopper {

// In place, in base 2. Lane l touches values l, l + 32, ... only.
__device__ inline void warp_softmax(float* values, int count) {
  const int lane = threadIdx.x % kWarpSize;
  float highest = kLowest<float>;
#pragma unroll 1
  for (int k = lane; k < count; k += kWarpSize) highest = larger(highest, values[k]);
  highest = largest_over_lanes(highest, kWarpSize);
  float sum = 0.0f;
#pragma unroll 1
  for (int k = lane; k < count; k += kWarpSize) sum += values[k] = exp2_fast(values[k] - highest);
  const float share = 1.0f / sum_over_lanes(sum, kWarpSize);
#pragma unroll 1
  for (int k = lane; k < count; k += kWarpSize) values[k] *= share;
}

}  // namespace lnlattennet::cuda::hopper
