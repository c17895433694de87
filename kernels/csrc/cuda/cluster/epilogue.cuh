// The non-local attention of one image by the blocks of its cluster, at the end of the forward launch. Block r
// multiplies the tokens of all regions with its slice of the weights' d rows, so that a cluster reads the weights once;
// what crosses between blocks, through distributed shared memory, is only means, parts of the products <q, k>, and
// parts of the logits.
#pragma once

#include "../common/elements.cuh"
#include "../common/online_softmax.cuh"
#include "plan.h"

namespace lnlattennet::cuda::cluster {

// ---- the block's rows of the three weights -------------------------------------------------------------------------
//
// Where they are small, the copy engine brings them into shared memory while the block still pools; larger ones are
// read from device memory when they are needed.

// Not a ring: used once, by the barrier that follows the ring's.
__device__ inline CopyBarrier* weights_barrier() { return shared_memory<CopyBarrier>() + 2 * kMaxStages; }

// P: type of the parameters.
template <class P>
class Weights {
 public:
  __device__ Weights(const Arguments& arguments, int rank)
      : plan_(arguments.plan), nonlocal_(arguments.nonlocal), first_row_(rank * plan_.slice) {
    rows_ = plan_.width - first_row_;
    rows_ = rows_ < 0 ? 0 : rows_ < plan_.slice ? rows_ : plan_.slice;
  }

  __device__ int first_row() const { return first_row_; }
  __device__ int rows() const { return rows_; }

  // By one thread.
  __device__ void start_copies() const {
    if (!plan_.stages_weights) return;
    const uint32_t bytes = rows_ * plan_.channels * sizeof(P);
    barrier_arrive_expect(weights_barrier(), 3 * bytes);
    if (bytes == 0) return;
    for (int which = 0; which < 3; ++which) bulk_copy(staged(which), source(which), bytes, weights_barrier());
  }

  // By every thread that reads rows, before it does.
  __device__ void wait() const {
    if (plan_.stages_weights) barrier_wait(weights_barrier(), 0);
  }

  // Row first_row() + n of the query (0), key (1) or value weights (2).
  __device__ const P* row(int which, int n) const {
    return (plan_.stages_weights ? staged(which) : source(which)) + n * plan_.channels;
  }

 private:
  __device__ P* staged(int which) const {
    return reinterpret_cast<P*>(shared_memory<unsigned char>() + plan_.weights_offset) +
           which * plan_.slice * plan_.channels;
  }

  __device__ const P* source(int which) const {
    const void* weights = which == 0   ? nonlocal_.query_weight
                          : which == 1 ? nonlocal_.key_weight
                                       : nonlocal_.value_weight;
    return static_cast<const P*>(weights) + static_cast<int64_t>(first_row_) * plan_.channels;
  }

  const Plan& plan_;
  const NonlocalAttention& nonlocal_;
  int first_row_, rows_;
};

// <row, token>; both lie aligned to four elements.
template <class P>
__device__ float dot(const P* row, const float* token, int channels) {
  float sum = 0.0f;
#pragma unroll 4
  for (int channel = 0; channel < channels; channel += 4) {
    const auto factors = *reinterpret_cast<const Packet<P, 4>*>(row + channel);
    const float4 values = *reinterpret_cast<const float4*>(token + channel);
    sum = fmaf(factors[0], values.x, sum);
    sum = fmaf(factors[1], values.y, sum);
    sum = fmaf(factors[2], values.z, sum);
    sum = fmaf(factors[3], values.w, sum);
  }
  return sum;
}

// ---- the image -----------------------------------------------------------------------------------------------------

// Softmax of a row in shared memory by one warp; in place, in base 2. Lane l touches values l, l + 32, ... only.
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

// P: type of the parameters. Known to the compiler, so that loads need not wait for each other.
template <class P>
class ClusterEpilogue {
 public:
  __device__ ClusterEpilogue(const Arguments& arguments, float* scratch, int64_t image, int rank)
      : plan_(arguments.plan),
        nonlocal_(arguments.nonlocal),
        outputs_(arguments.nonlocal_outputs),
        scratch_(scratch),
        image_(image),
        rank_(rank),
        weights_(arguments, rank) {}

  // By all threads of all blocks of the cluster, which have announced their means (cluster_arrive).
  __device__ void run() const {
    cluster_wait();  // all means are there
    gather_tokens();
    __syncthreads();
    project();
    __syncthreads();
    multiply();
    cluster_sync();  // all parts of the products are there
    attend();
    __syncthreads();
    mix();
    __syncthreads();
    score();
    cluster_sync();  // all parts of the logits are there
    if (warp() == 0) weigh();
    cluster_arrive();  // this block reads no other's memory any more
    __syncthreads();
    write_outputs();
    cluster_wait();  // and no other reads this block's: it may end
  }

 private:
  __device__ static int warp() { return threadIdx.x / kWarpSize; }
  __device__ static int lane() { return threadIdx.x % kWarpSize; }

  __device__ static float parameter(const void* base, int64_t index) {
    return load_element(static_cast<const P*>(base) + index);
  }
  __device__ static void store(void* base, int64_t index, float value) {
    static_cast<P*>(base)[index] = narrow<P>(value);
  }

  // tokens[k] = mean[k] + position[k], four channels at a time
  __device__ void gather_tokens() const {
#pragma unroll 1
    for (int item = 4 * threadIdx.x; item < plan_.regions * plan_.channels; item += 4 * blockDim.x) {
      const int region = item / plan_.channels;
      const int channel = item % plan_.channels;
      const float* mean = scratch_ + plan_.scratch.means + region % plan_.tile_regions * plan_.channels + channel;
      float position[4];
      load_part(position, static_cast<const P*>(nonlocal_.position) + item, 4, true);
      const float4 token = *reinterpret_cast<const float4*>(map_to_rank(mean, region / plan_.tile_regions));
      *reinterpret_cast<float4*>(scratch_ + plan_.scratch.tokens + region * plan_.token_stride + channel) = {
          token.x + position[0], token.y + position[1], token.z + position[2], token.w + position[3]};
    }
  }

  // projected[which][n][k]: row n of the block's query, key or value weights times token k.
  __device__ void project() const {
    weights_.wait();
    const int per_weight = weights_.rows() * plan_.regions;
#pragma unroll 1
    for (int item = threadIdx.x; item < 3 * per_weight; item += blockDim.x) {
      const int which = item / per_weight;
      const int place = item - which * per_weight;
      const int n = place / plan_.regions;
      const float* token = scratch_ + plan_.scratch.tokens + place % plan_.regions * plan_.token_stride;
      const float bias = which == 2 ? parameter(nonlocal_.value_bias, weights_.first_row() + n) : 0.0f;
      projected(which)[place] = bias + dot(weights_.row(which, n), token, plan_.channels);
    }
  }

  // products[i][j]: this slice's part of <query i, key j>.
  __device__ void multiply() const {
#pragma unroll 1
    for (int item = threadIdx.x; item < plan_.regions * plan_.regions; item += blockDim.x) {
      const float* query = projected(0) + item / plan_.regions;
      const float* key = projected(1) + item % plan_.regions;
      float sum = 0.0f;
#pragma unroll 4
      for (int n = 0; n < weights_.rows(); ++n) sum = fmaf(query[n * plan_.regions], key[n * plan_.regions], sum);
      scratch_[plan_.scratch.products + item] = sum;
    }
  }

  // Every block needs all of the affinity, so each makes it for itself.
  __device__ void attend() const {
#pragma unroll 1
    for (int row = warp(); row < plan_.regions; row += blockDim.x / kWarpSize) {
      float* affinity = affinity_row(row);
      gather_sum(plan_.scratch.products + row * plan_.regions, plan_.product_scale, affinity);
      warp_softmax(affinity, plan_.regions);
    }
  }

  // target[k] = scale * the sum over all blocks of their scratch[place + k]; always in the same order, so that all
  // blocks get the same. By one warp, a lane per k: lanes read only what they wrote themselves.
  __device__ void gather_sum(int place, float scale, float* target) const {
#pragma unroll 1
    for (int k = lane(); k < plan_.regions; k += kWarpSize) {
      float sum = 0.0f;
#pragma unroll 4
      for (int rank = 0; rank < plan_.tiles; ++rank) sum += map_to_rank(scratch_ + place, rank)[k];
      target[k] = scale * sum;
    }
  }

  // contexts[n][k] = sum_j affinity[k][j] value[j]
  __device__ void mix() const {
#pragma unroll 1
    for (int item = threadIdx.x; item < weights_.rows() * plan_.regions; item += blockDim.x) {
      const int region = item % plan_.regions;
      const float* affinity = affinity_row(region);
      const float* values = projected(2) + item - region;
      float sum = 0.0f;
#pragma unroll 4
      for (int j = 0; j < plan_.regions; ++j) sum = fmaf(affinity[j], values[j], sum);
      scratch_[plan_.scratch.contexts + item] = sum;
    }
  }

  // logits[k]: this slice's part of <score weight, relu(context k)>.
  __device__ void score() const {
#pragma unroll 1
    for (int region = threadIdx.x; region < plan_.regions; region += blockDim.x) {
      float sum = 0.0f;
#pragma unroll 4
      for (int n = 0; n < weights_.rows(); ++n) {
        const float context = scratch_[plan_.scratch.contexts + n * plan_.regions + region];
        const float active = context < 0.0f ? 0.0f : context;  // NaN stays NaN
        sum = fmaf(parameter(nonlocal_.score_weight, weights_.first_row() + n), active, sum);
      }
      scratch_[plan_.scratch.logits + region] = sum;
    }
  }

  __device__ void weigh() const {
    float* weights = scratch_ + plan_.scratch.weights;
    gather_sum(plan_.scratch.logits, kLog2E<float>, weights);
    warp_softmax(weights, plan_.regions);
  }

  // The affinity of the tile's own regions, the slice's part of the context, and (block 0) the weights.
  __device__ void write_outputs() const {
    const float* weights = scratch_ + plan_.scratch.weights;
    const int64_t first_region = image_ * plan_.regions + rank_ * plan_.tile_regions;
#pragma unroll 1
    for (int item = threadIdx.x; item < plan_.tile_regions * plan_.regions; item += blockDim.x) {
      const int region = item / plan_.regions;
      store(outputs_.affinity, first_region * plan_.regions + item,
            affinity_row(rank_ * plan_.tile_regions + region)[item - region * plan_.regions]);
    }
#pragma unroll 1
    for (int k = threadIdx.x; rank_ == 0 && k < plan_.regions; k += blockDim.x) {
      store(outputs_.weights, first_region + k, weights[k]);
    }
#pragma unroll 1
    for (int n = threadIdx.x; n < weights_.rows(); n += blockDim.x) {
      const float* contexts = scratch_ + plan_.scratch.contexts + n * plan_.regions;
      float sum = 0.0f;
#pragma unroll 4
      for (int k = 0; k < plan_.regions; ++k) sum = fmaf(weights[k], contexts[k], sum);
      store(outputs_.context, image_ * plan_.width + weights_.first_row() + n, sum);
    }
  }

  __device__ float* affinity_row(int region) const {
    return scratch_ + plan_.scratch.affinity + region * (plan_.regions + 1);
  }

  __device__ float* projected(int which) const {
    return scratch_ + plan_.scratch.projected + which * plan_.slice * plan_.regions;
  }

  const Plan& plan_;
  const NonlocalAttention& nonlocal_;
  const NonlocalOutputs& outputs_;
  float* scratch_;
  const int64_t image_;
  const int rank_;
  const Weights<P> weights_;
};

}  // namespace lnlattennet::cuda::cluster
