// Second pass of the backward kernels: grad_F_p = sum_h (a_hp g_h + a_hp (d_hp - D_h) scale q_h) + g_mean / P, with
// the scores and d_hp = <g_h, F_p> computed again: reading F once more costs less than keeping them all.
#pragma once

#include "backward_task.cuh"

namespace lnlattennet::cuda {

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
  const auto* statistics =
      reinterpret_cast<const HeadStatistics<A>*>(shared_memory<A>() + memory.statistics()) + head;
  A query[Tile::kChannels], gradient[Tile::kChannels], dots[2 * kCount] = {};
  read_vectors(query, gradient, memory, task, self, head, span);
  add_dots<Tile, kCount>(dots, query, gradient, x);
  if (!Tile::kOnePass) add_other_spans<Tile, kCount>(dots, task, self, head, span, start, offset);
  sum_over_group(dots, self);
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    const A weight = exp2_fast(dots[u] - statistics->peak) * statistics->normaliser;
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
