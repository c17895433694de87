// The two passes of the backward kernels that give a block one region, and what is kept of the region between them.
#pragma once

#include "region.cuh"

namespace lnlattennet::cuda {

struct BackwardTask {
  RegionTask region;
  const void *grad_pooled, *grad_mean;
  void* grad_features;
  int64_t batch_stride, channel_stride, row_stride, column_stride;  // of grad_features
  void* grad_query;                                                 // of the accumulation type
};

// With kOnePass the lanes hold all channels, and the queries and gradients of all heads lie in shared memory;
// otherwise channels are taken a span at a time, and both are read again from cache.
template <class Element, int kWidthOf, int kPacketsOf, bool kOnePassOf>
struct BackwardTile : RegionTile<Element, kWidthOf, kPacketsOf> {
  static constexpr bool kOnePass = kOnePassOf;
  static constexpr int kUnroll = kOnePassOf && sizeof(Element) < 4 ? 4 : 2;  // positions in flight in the first pass
  static constexpr int kGradientUnroll = 2;                                  // and in the second
  static constexpr int kMaxThreads = 256;
  static constexpr int kMinBlocks = kOnePassOf && sizeof(Element) < 8 ? 2 : 1;
};

// A head's softmax over the region: weights 2^(score - peak) * normalizer; `average`: sum of the weights' gradients.
template <class A>
struct HeadStatistics {
  A peak, normalizer, average;
};

// Shared memory: the groups' sums of the first pass [2, groups, span] and softmax states [3, groups], which all heads
// use in turn; statistics [heads]; with kOnePass query and gradient of pooled [heads, 2, span].
template <class Tile>
struct BackwardMemory {
  using A = typename Tile::A;
  int groups, span, heads;

  __host__ __device__ BackwardMemory(int threads, int lanes, int heads)
      : groups(threads / lanes), span(lanes * Tile::kChannels), heads(heads) {}

  __host__ __device__ int vectors() const { return 2 * groups * span; }  // offsets in elements
  __host__ __device__ int states() const { return vectors() + (Tile::kOnePass ? 2 * heads * span : 0); }
  __host__ __device__ int statistics() const { return states() + 3 * groups; }
  __host__ __device__ int end() const { return statistics() + 3 * heads; }
};

// The lane's query (times log2 e / sqrt C) and gradient of pooled of one head.
template <class Tile>
__device__ __forceinline__ void load_vectors(typename Tile::A (&query)[Tile::kChannels],
                                             typename Tile::A (&gradient)[Tile::kChannels], const BackwardTask& task,
                                             const RegionThread& self, int head, int span) {
  using A = typename Tile::A;
  const RegionTask& region = task.region;
  const A scale = kLog2E<A> * inverse_root(static_cast<A>(region.channels));
  const int64_t row = static_cast<int64_t>(self.region) * region.heads + head;
  const int64_t image = static_cast<int64_t>(self.image) * region.regions() * region.heads;
  with_parameters<typename Tile::T>(region.parameters, [&](auto type) {
    load_row<Tile>(query, static_cast<const decltype(type)*>(region.query) + row * region.channels, region.channels,
                   self, span, scale);
  });
  load_row<Tile>(gradient, static_cast<const typename Tile::T*>(task.grad_pooled) + (image + row) * region.channels,
                 region.channels, self, span, A(1));
}

// Adds a span's part of the scores (first kCount) and of the weights' gradients (last kCount) of kCount positions.
template <class Tile, int kCount>
__device__ __forceinline__ void add_dots(typename Tile::A (&dots)[2 * kCount],
                                         const typename Tile::A (&query)[Tile::kChannels],
                                         const typename Tile::A (&gradient)[Tile::kChannels],
                                         const typename Tile::Elements (&x)[kCount][Tile::kPackets]) {
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) {
      const auto value = element<Tile>(x[u], i);
      dots[u] += query[i] * value;
      dots[kCount + u] += gradient[i] * value;
    }
  }
}

// Adds the spans other than `span`.
template <class Tile, int kCount>
__device__ __forceinline__ void add_other_spans(typename Tile::A (&dots)[2 * kCount], const BackwardTask& task,
                                                const RegionThread& self, int head, int span,
                                                const typename Tile::T* region, const int (&offset)[kCount]) {
#pragma unroll 1
  for (int other = 0; other < task.region.channels; other += self.lanes * Tile::kChannels) {
    if (other == span) continue;
    typename Tile::A query[Tile::kChannels], gradient[Tile::kChannels];
    typename Tile::Elements x[kCount][Tile::kPackets];
    load_vectors<Tile>(query, gradient, task, self, head, other);
    load_elements<Tile>(x, region, offset, task.region, self, other);
    add_dots<Tile, kCount>(dots, query, gradient, x);
  }
}

// ---- first pass ----------------------------------------------------------------------------------------------------

// Per head, the softmax over the region and the gradient of its query.
//
// With weights a_p = softmax(s_p) and their gradients d_p = <g, F_p>, the query's gradient is
//   scale * sum_p a_p (d_p - D) F_p  =  scale * (sum_p a_p d_p F_p - D sum_p a_p F_p),   D = sum_p a_p d_p,
// so that one reading of the region gives the softmax, D and both sums.

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
  const A normalizer = inverse(sum_over_lanes(total, 32));
  slope = sum_over_lanes(slope, 32);
  if (lane == 0) head = {peak, normalizer, slope * normalizer};
}

template <class Tile>
__device__ __forceinline__ void write_grad_query(const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                                 const RegionThread& self, int head, int span,
                                                 const HeadStatistics<typename Tile::A>& statistics) {
  using A = typename Tile::A;
  const A *sums = shared_memory<A>(), *factors = sums + memory.states();
  const int channels = task.region.channels;
  const A scale = inverse_root(static_cast<A>(channels)) * statistics.normalizer;
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

// ---- second pass ---------------------------------------------------------------------------------------------------

// grad_F_p = sum_h (a_hp g_h + a_hp (d_hp - D_h) scale q_h) + g_mean / P, with the scores and d_hp = <g_h, F_p>
// computed again: reading F once more costs less than keeping them all.

// Puts all heads' queries and gradients into shared memory, for kOnePass; the caller syncs.
template <class Tile>
__device__ __forceinline__ void stage_vectors(const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                              const RegionThread& self) {
  using A = typename Tile::A;
  A* vectors = shared_memory<A>() + memory.vectors();
#pragma unroll 1
  for (int head = self.group; head < memory.heads; head += self.groups) {
    A query[Tile::kChannels], gradient[Tile::kChannels];
    load_vectors<Tile>(query, gradient, task, self, head, 0);
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) {
      A* target = vectors + 2 * head * memory.span + packet_channel<Tile>(self, 0, j);
      write_part<Tile::kWidth>(target, query + j * Tile::kWidth);
      write_part<Tile::kWidth>(target + memory.span, gradient + j * Tile::kWidth);
    }
  }
}

template <class Tile>
__device__ __forceinline__ void read_vectors(typename Tile::A (&query)[Tile::kChannels],
                                             typename Tile::A (&gradient)[Tile::kChannels],
                                             const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                             const RegionThread& self, int head, int span) {
  using A = typename Tile::A;
  if constexpr (Tile::kOnePass) {
    const A* vectors = shared_memory<A>() + memory.vectors() + 2 * head * memory.span;
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) {
      const int channel = packet_channel<Tile>(self, 0, j);
      read_part<Tile::kWidth>(query + j * Tile::kWidth, vectors + channel);
      read_part<Tile::kWidth>(gradient + j * Tile::kWidth, vectors + memory.span + channel);
    }
  } else {
    load_vectors<Tile>(query, gradient, task, self, head, span);
  }
}

// Adds one head's part of the gradients of kCount positions, whose elements are x.
template <class Tile, int kCount>
__device__ __forceinline__ void add_head(typename Tile::A (&gradients)[kCount][Tile::kChannels],
                                         const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                         const RegionThread& self, int head, int span, const typename Tile::T* start,
                                         const int (&offset)[kCount],
                                         typename Tile::Elements (&x)[kCount][Tile::kPackets]) {
  using A = typename Tile::A;
  constexpr A kLn2 = A(1) / kLog2E<A>;  // the query is scaled by log2 e
  const auto* statistics = reinterpret_cast<const HeadStatistics<A>*>(shared_memory<A>() + memory.statistics()) + head;
  A query[Tile::kChannels], gradient[Tile::kChannels], dots[2 * kCount] = {};
  read_vectors(query, gradient, memory, task, self, head, span);
  add_dots<Tile, kCount>(dots, query, gradient, x);
  if (!Tile::kOnePass) add_other_spans<Tile, kCount>(dots, task, self, head, span, start, offset);
  sum_over_group(dots, self);
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    const A weight = exp2_fast(dots[u] - statistics->peak) * statistics->normalizer;
    const A slope = weight * (dots[kCount + u] - statistics->average) * kLn2;
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) gradients[u][i] += weight * gradient[i] + slope * query[i];
  }
}

// Stores the gradients of the positions that exist.
template <class Tile, int kCount>
__device__ __forceinline__ void store_gradients(const typename Tile::A (&gradients)[kCount][Tile::kChannels],
                                                typename Tile::T* start, const int (&offset)[kCount],
                                                const BackwardTask& task, const RegionThread& self, int span) {
  using A = typename Tile::A;
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) {
      const int c = packet_channel<Tile>(self, span, j);
      if (offset[u] < 0 || c >= task.region.channels) continue;
      A part[Tile::kWidth];
#pragma unroll
      for (int i = 0; i < Tile::kWidth; ++i) part[i] = gradients[u][j * Tile::kWidth + i];
      store_packet<typename Tile::T, Tile::kWidth>(start + offset[u] + (Tile::kWidth > 1 ? c : c * task.channel_stride),
                                                   part);
    }
  }
}

template <class Tile>
__device__ __forceinline__ void features_pass(const BackwardMemory<Tile>& memory, const BackwardTask& task,
                                              const RegionThread& self, int span) {
  using T = typename Tile::T;
  using A = typename Tile::A;
  constexpr int kCount = Tile::kGradientUnroll;
  const RegionTask& region = task.region;
  const T* start = static_cast<const T*>(region.features) +
                   region_offset(region, self, region.batch_stride, region.row_stride, region.column_stride);
  T* target = static_cast<T*>(task.grad_features) +
              region_offset(region, self, task.batch_stride, task.row_stride, task.column_stride);
  const int64_t row = static_cast<int64_t>(self.image) * region.regions() + self.region;
  A mean[Tile::kChannels];
  load_row<Tile>(mean, static_cast<const T*>(task.grad_mean) + row * region.channels, region.channels, self, span,
                 inverse(A(region.positions())));
  PositionWalk walk(region, self, region.row_stride, region.column_stride);
  PositionWalk target_walk(region, self, task.row_stride, task.column_stride);
#pragma unroll 1
  for (int first = self.warp_group; first < region.positions(); first += self.groups * kCount) {  // whole warps
    const int left = region.positions() - first - (self.group - self.warp_group);
    int offset[kCount], target_offset[kCount];
    walk.next(offset, self.groups, left);
    target_walk.next(target_offset, self.groups, left);
    typename Tile::Elements x[kCount][Tile::kPackets];
    load_elements<Tile>(x, start, offset, region, self, span);
    A gradients[kCount][Tile::kChannels];
#pragma unroll
    for (int u = 0; u < kCount; ++u) {
#pragma unroll
      for (int i = 0; i < Tile::kChannels; ++i) gradients[u][i] = mean[i];
    }
#pragma unroll 1
    for (int head = 0; head < memory.heads; ++head) {
      add_head<Tile, kCount>(gradients, memory, task, self, head, span, start, offset, x);
    }
    store_gradients<Tile, kCount>(gradients, target, target_offset, task, self, span);
  }
}

}  // namespace lnlattennet::cuda
