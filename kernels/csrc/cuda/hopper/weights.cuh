// A block's rows of the tail's three weights. Where they are small, the copy engine brings them into shared memory
// while the block still pools; larger ones are read from device memory when they are needed.
#pragma once

#include "../elements.cuh"
#include "plan.h"

namespace lnlattennet::cuda::hopper {

// Not a ring: used once, by the barrier that follows the ring's.
__device__ inline CopyBarrier* weights_barrier() { return shared_memory<CopyBarrier>() + 2 * kMaxStages; }

// P: type of the parameters.
template <class P>
class Weights {
 public:
  __device__ Weights(const Arguments& arguments, int rank)
      : plan_(arguments.plan), tail_(arguments.tail), first_row_(rank * plan_.slice) {
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
    const void* weights = which == 0 ? tail_.query_weight : which == 1 ? tail_.key_weight : tail_.value_weight;
    return static_cast<const P*>(weights) + static_cast<int64_t>(first_row_) * plan_.channels;
  }

  const Plan& plan_;
  const NonlocalAttention& tail_;
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

}  // namespace lnlattennet::cuda::hopper
