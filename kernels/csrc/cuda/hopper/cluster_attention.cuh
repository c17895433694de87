// The kernel of both cluster variants: a block per tile, a cluster per image (where there is a tail).
#pragma once

#include "kernels.h"
#include "tail.cuh"
#include "tile.cuh"
#include "tile_outputs.cuh"

namespace lnlattennet::cuda::hopper {

// The tile of block `rank` of an image's cluster: its first element, and the number of its first region.
template <class T>
__device__ const unsigned char* tile_start(const Arguments& arguments, int64_t image, int first_region) {
  const FeatureMap& map = arguments.attention.features;
  const int64_t grid = arguments.attention.grid;
  const int64_t row = first_region / grid * arguments.plan.rows;
  const int64_t column = first_region % grid * arguments.plan.region_columns;
  const T* data = static_cast<const T*>(map.data);
  return reinterpret_cast<const unsigned char*>(data + image * map.batch_stride + row * map.row_stride +
                                                column * map.column_stride);
}

template <class T, int kLanes>
__device__ void attend(const Arguments& arguments) {
  using Pool = Pooling<T, kLanes>;
  const Plan& plan = arguments.plan;
  const int64_t image = blockIdx.x / plan.tiles;
  const int rank = blockIdx.x % plan.tiles;  // in the cluster too: clusters are made of neighbouring blocks
  const int first_region = rank * plan.tile_regions;
  const int warp = threadIdx.x / kWarpSize;
  float* scratch = shared_memory<float>() + kRingOffset / sizeof(float);

  Ring ring(plan);
  if (threadIdx.x == 0) {
    barrier_init(weights_barrier(), 1);
    ring.initialise();
  }
  __syncthreads();
  wait_for_previous_kernel();

  const bool copies = warp == plan.warps;
  Pool pooling(plan.channels);
  if (copies) {
    if (arguments.has_tail && threadIdx.x % kWarpSize == 0) {
      with_parameters<T>(arguments.tail.parameters,
                             [&](auto type) { Weights<decltype(type)>(arguments, rank).start_copies(); });
    }
    const int64_t row_stride = arguments.attention.features.row_stride * static_cast<int64_t>(sizeof(T));
    ring.fill(tile_start<T>(arguments, image, first_region), row_stride);
  } else {
    const Role role(plan, warp);
    const int64_t query = ((first_region + role.region) * plan.heads + role.head) * plan.channels;
    with_parameters<T>(arguments.attention.parameters, [&](auto type) {
      pooling.load_query(static_cast<const decltype(type)*>(arguments.attention.query) + query, plan.score_scale);
    });
    pool_tile(plan, role, ring, pooling);
  }
  __syncthreads();  // All of the ring is read: the scratch memory takes its place.
  if (!copies) {
    pooling.store(scratch + plan.scratch.partials + warp * Partials<Pool>::kWarpFloats,
                  scratch + plan.scratch.normalisers + 2 * warp);
  }
  allow_next_kernel();
  __syncthreads();
  average_tile<Pool>(plan, scratch);
  // A cluster's barrier waits for all writes before it: outputs are written after it has been announced.
  if (arguments.has_tail) cluster_arrive();
  write_tile<T, Pool>(arguments, scratch, image, first_region);
  if (!arguments.has_tail) return;
  with_parameters<T>(arguments.tail.parameters, [&](auto type) {
    ClusterTail<decltype(type)>(arguments, scratch, image, rank).run();
  });
}

template <class T, int kLanes>
__global__ void __launch_bounds__(kMaxThreads) cluster_attention(const __grid_constant__ Arguments arguments) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  attend<T, kLanes>(arguments);
#else
  __trap();  // no clusters here; `supports` says no before this can be launched
#endif
}

template <class T>
Kernel kernel_for(int lanes) {
  switch (lanes) {
    case 2:
      return cluster_attention<T, 2>;
    case 4:
      return cluster_attention<T, 4>;
    case 8:
      return cluster_attention<T, 8>;
    case 16:
      return cluster_attention<T, 16>;
    default:
      return cluster_attention<T, 32>;
  }
}

}  // namespace lnlattennet::cuda::hopper
