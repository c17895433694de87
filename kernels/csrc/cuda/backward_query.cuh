// First pass of the backward kernels: per head, the softmax over the region and the gradient of its query.
//
// With weights a_p = softmax(s_p) and their gradients d_p = <g, F_p>, the query's gradient is
//   scale * sum_p a_p (d_p - D) F_p  =  scale * (sum_p a_p d_p F_p - D sum_p a_p F_p),   D = sum_p a_p d_p,
// so that one reading of the region gives the softmax, D and both sums.
#pragma once

#include "backward_task.cuh"

namespace lnlattennet::cuda {

template <class Tile>
struct QueryState {
  using A = typename Tile::A;
  A query[Tile::kChannels], gradient[Tile::kChannels];
  A sloped[Tile::kChannels] = {};  // sum of weight * d * F
  A pooled[Tile::kChannels] = {};  // sum of weight * F
  SlopedSoftmax<A> softmax;
};

// Takes kUnroll positions' dots and elements into the sums; `left` as in the forward pass.
template <class Tile>
__device__ __forceinline__ void accumulate_query(QueryState<Tile>& state, typename Tile::A (&dots)[2 * Tile::kUnroll],
                                                 const RegionThread& self, int left,
                                                 typename Tile::Elements (&x)[Tile::kUnroll][Tile::kPackets]) {
  using A = typename Tile::A;
  constexpr int kUnroll = Tile::kUnroll;
  A peak = kLowest<A>;
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    if (u * self.groups >= left) dots[u] = minus_infinity(A());
    peak = larger(peak, dots[u]);
  }
  const A rescale = state.softmax.raise(peak);
#pragma unroll
  for (int i = 0; i < Tile::kChannels; ++i) {
    state.sloped[i] *= rescale;
    state.pooled[i] *= rescale;
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) forget_unpacked(x[u][j].word);
    const A weight = state.softmax.add(dots[u], dots[kUnroll + u]), sloped = weight * dots[kUnroll + u];
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) {
      const A value = element<Tile>(x[u], i);
      state.pooled[i] += weight * value;
      state.sloped[i] += sloped * value;
    }
  }
}

template <class Tile>
__device__ __forceinline__ void sum_query(QueryState<Tile>& state, const BackwardTask& task, const RegionThread& self,
                                          int head, int span) {
  using T = typename Tile::T;
  constexpr int kUnroll = Tile::kUnroll;
  const RegionTask& region = task.region;
  const T* start = static_cast<const T*>(region.features) +
                   region_offset(region, self, region.batch_stride, region.row_stride, region.column_stride);
  PositionWalk walk(region, self, region.row_stride, region.column_stride);
#pragma unroll 1
  for (int first = self.warp_group; first < region.positions(); first += self.groups * kUnroll) {  // whole warps
    const int left = region.positions() - first - (self.group - self.warp_group);
    int offset[kUnroll];
    walk.next(offset, self.groups, left);
    typename Tile::Elements x[kUnroll][Tile::kPackets];
    load_elements<Tile>(x, start, offset, region, self, span);
    typename Tile::A dots[2 * kUnroll] = {};
    add_dots<Tile, kUnroll>(dots, state.query, state.gradient, x);
    if (!Tile::kOnePass) add_other_spans<Tile, kUnroll>(dots, task, self, head, span, start, offset);
    sum_over_group(dots, self);
    accumulate_query(state, dots, self, left, x);
  }
}

// Leaves this group's sums and state in shared memory.
template <class Tile>
__device__ __forceinline__ void write_query_group(const BackwardMemory<Tile>& memory, const QueryState<Tile>& state,
                                                  const RegionThread& self) {
  using A = typename Tile::A;
  A* sums = shared_memory<A>();
#pragma unroll
  for (int j = 0; j < Tile::kPackets; ++j) {
    A* target = sums + self.group * memory.span + packet_channel<Tile>(self, 0, j);
    write_part<Tile::kWidth>(target, state.sloped + j * Tile::kWidth);
    write_part<Tile::kWidth>(target + memory.groups * memory.span, state.pooled + j * Tile::kWidth);
  }
  if (self.lane > 0) return;
  A* states = sums + memory.states() + self.group;
  states[0] = state.softmax.softmax.peak;
  states[memory.groups] = state.softmax.softmax.sum;
  states[2 * memory.groups] = state.softmax.slope;
}

// The groups' states -> the head's statistics; the peaks become the factors of the groups' sums. By one warp.
template <class A>
__device__ __forceinline__ void merge_states(A* states, int groups, HeadStatistics<A>& head) {
  const int lane = threadIdx.x % 32;
  A peak = kLowest<A>, total = 0, slope = 0;
#pragma unroll 1
  for (int g = lane; g < groups; g += 32) peak = larger(peak, states[g]);
  peak = largest_over_lanes(peak, 32);
#pragma unroll 1
  for (int g = lane; g < groups; g += 32) {
    const A factor = exp2_fast(states[g] - peak);
    total += factor * states[groups + g];
    slope += factor * states[2 * groups + g];
    states[g] = factor;
  }
  const A normaliser = inverse(sum_over_lanes(total, 32));
  slope = sum_over_lanes(slope, 32);
  if (lane == 0) head = {peak, normaliser, slope * normaliser};
}

template <class Tile>
__device__ __forceinline__ void write_grad_query(const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                                 const RegionThread& self, int head, int span,
                                                 const HeadStatistics<typename Tile::A>& statistics) {
  using A = typename Tile::A;
  const A *sums = shared_memory<A>(), *factors = sums + memory.states();
  const int channels = task.region.channels;
  const A scale = inverse_root(static_cast<A>(channels)) * statistics.normaliser;
  const int64_t row = (static_cast<int64_t>(self.image) * task.region.regions() + self.region) * memory.heads + head;
#pragma unroll 1
  for (int local = threadIdx.x; local < memory.span && span + local < channels; local += blockDim.x) {
    A sloped = 0, pooled = 0;
#pragma unroll 4
    for (int g = 0; g < memory.groups; ++g) {
      sloped += factors[g] * sums[g * memory.span + local];
      pooled += factors[g] * sums[(memory.groups + g) * memory.span + local];
    }
    static_cast<A*>(task.grad_query)[row * channels + span + local] = scale * (sloped - statistics.average * pooled);
  }
}

// The whole pass; ends with the heads' statistics in shared memory for all threads.
template <class Tile>
__device__ __forceinline__ void query_pass(const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                           const RegionThread& self) {
  using A = typename Tile::A;
  auto* statistics = reinterpret_cast<HeadStatistics<A>*>(shared_memory<A>() + memory.statistics());
#pragma unroll 1
  for (int head = 0; head < memory.heads; ++head) {
#pragma unroll 1
    for (int span = 0; span < (Tile::kOnePass ? 1 : task.region.channels); span += memory.span) {
      QueryState<Tile> state;
      load_vectors<Tile>(state.query, state.gradient, task, self, head, span);
      sum_query(state, task, self, head, span);
      __syncthreads();  // the previous turn's sums have been read
      write_query_group(memory, state, self);
      __syncthreads();
      if (threadIdx.x < 32) merge_states(shared_memory<A>() + memory.states(), memory.groups, statistics[head]);
      __syncthreads();
      write_grad_query(memory, task, self, head, span, statistics[head]);
    }
  }
}

}  // namespace lnlattennet::cuda
