// The kernel of both cluster variants: a block per tile, a cluster per image (where there is an epilogue).
#pragma once

#include "epilogue.cuh"
#include "plan.h"
#include "pooling.cuh"

namespace lnlattennet::cuda::cluster {

// ---- outputs of a tile, from what the warps of its block have pooled -----------------------------------------------

// Sums up what the warps of one region and head stored in shared memory.
template <class Pool>
class Partials {
 public:
  static constexpr int kWarpFloats = Pool::kGroups * Pool::kGroupFloats;

  __device__ Partials(const Plan& plan, float* scratch, int region, int head)
      : parts_(plan.parts), first_warp_((region * plan.heads + head) * plan.parts) {
    values_ = scratch + plan.scratch.partials + first_warp_ * kWarpFloats;
    normalizers_ = scratch + plan.scratch.normalizers + first_warp_ * 2;
  }

  __device__ float pooled(int channel) const {
    float highest = kLowest<float>;
#pragma unroll 1
    for (int part = 0; part < parts_; ++part) highest = larger(highest, normalizers_[2 * part]);
    float value = 0.0f;
    float sum = 0.0f;
#pragma unroll 1
    for (int part = 0; part < parts_; ++part) {
      const float weight = exp2_fast(normalizers_[2 * part] - highest);
      value = fmaf(weight, warp_sum(part, channel), value);
      sum = fmaf(weight, normalizers_[2 * part + 1], sum);
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
  const float* normalizers_;
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

// ---- kernel --------------------------------------------------------------------------------------------------------

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
  const int rank = blockIdx.x % plan.tiles;  // in the cluster too: clusters are made of neighboring blocks
  const int first_region = rank * plan.tile_regions;
  const int warp = threadIdx.x / kWarpSize;
  float* scratch = shared_memory<float>() + kRingOffset / sizeof(float);

  Ring ring(plan);
  if (threadIdx.x == 0) {
    barrier_init(weights_barrier(), 1);
    ring.initialize();
  }
  __syncthreads();
  wait_for_previous_kernel();

  const bool copies = warp == plan.warps;
  Pool pooling(plan.channels);
  if (copies) {
    if (arguments.has_nonlocal && threadIdx.x % kWarpSize == 0) {
      with_parameters<T>(arguments.nonlocal.parameters,
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
                  scratch + plan.scratch.normalizers + 2 * warp);
  }
  allow_next_kernel();
  __syncthreads();
  average_tile<Pool>(plan, scratch);
  // A cluster's barrier waits for all writes before it: outputs are written after it has been announced.
  if (arguments.has_nonlocal) cluster_arrive();
  write_tile<T, Pool>(arguments, scratch, image, first_region);
  if (!arguments.has_nonlocal) return;
  with_parameters<T>(arguments.nonlocal.parameters,
                     [&](auto type) { ClusterEpilogue<decltype(type)>(arguments, scratch, image, rank).run(); });
}

template <class T, int kLanes>
__global__ void __launch_bounds__(kMaxThreads) cluster_attention(const __grid_constant__ Arguments arguments) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  attend<T, kLanes>(arguments);
#else
  __trap();  // no clusters here; the launcher has checked `supports`
#endif
}

template <class T>
Kernel kernel_for(int lanes) {
  switch (lanes) {
    case 2: return cluster_attention<T, 2>;
    case 4: return cluster_attention<T, 4>;
    case 8: return cluster_attention<T, 8>;
    case 16: return cluster_attention<T, 16>;
    default: return cluster_attention<T, 32>;
  }
}

}  // namespace lnlattennet::cuda::cluster
