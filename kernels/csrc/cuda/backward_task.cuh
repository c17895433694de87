// What the backward kernels that give a block one region get, and what they keep of a region between their passes.
#pragma once

#include "region_tile.cuh"

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

// A head's softmax over the region: weights 2^(score - peak) * normaliser; `average`: sum of the weights' gradients.
template <class A>
struct HeadStatistics {
  A peak, normaliser, average;
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

}  // namespace lnlattennet::cuda
