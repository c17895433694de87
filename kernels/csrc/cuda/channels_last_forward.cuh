// pooled and mean of one region per block, read once: channels over the lanes of a group, positions over the groups.
#pragma once

#include "last_block.cuh"
#include "region_tile.cuh"

namespace lnlattennet::cuda {

// The lanes hold kHeads heads at a time. With kOnePass these are all heads, and the span all channels; otherwise they
// are taken in turns, and every turn reads the region again (from cache).
template <class Element, int kWidthOf, int kPacketsOf, int kHeadsOf, bool kOnePassOf>
struct ForwardTile : RegionTile<Element, kWidthOf, kPacketsOf> {
  using Base = RegionTile<Element, kWidthOf, kPacketsOf>;
  static constexpr int kHeads = kHeadsOf;
  static constexpr bool kOnePass = kOnePassOf;
  // Positions in flight: 64 bytes a lane hide the memory's latency at the occupancy below.
  static constexpr int kUnroll = Base::kChannels * sizeof(Element) <= 16 && kWidthOf > 1 ? 4 : 2;
  static constexpr int kMaxThreads = 256;
  // Blocks per multiprocessor that leave registers enough for the query and the sums (in 4-byte words), not more.
  static constexpr int kWords = Base::kChannels * (2 * kHeads + 1) * static_cast<int>(sizeof(typename Base::A)) / 4;
  static constexpr int kMinBlocks = !kOnePass ? (kWords <= 40 ? 2 : 1) : kWords <= 24 && sizeof(Element) < 4 ? 3 : kWords <= 48 ? 2 : 1;
};

// One group's share of a region: q and the sums for its lanes' channels.
template <class Tile>
struct ForwardState {
  using A = typename Tile::A;
  A query[Tile::kHeads][Tile::kChannels];
  A pooled[Tile::kHeads][Tile::kChannels] = {};
  A sum[Tile::kChannels] = {};
  OnlineSoftmax<A> softmax[Tile::kHeads];
};

template <class Tile>
__device__ __forceinline__ void load_query(ForwardState<Tile>& state, const RegionTask& task, const RegionThread& self,
                                           int first_head, int span) {
  using A = typename Tile::A;
  const A scale = kLog2E<A> * inverse_root(static_cast<A>(task.channels));
  const int64_t start = (static_cast<int64_t>(self.region) * task.heads + first_head) * task.channels;
  with_parameters<typename Tile::T>(task.parameters, [&](auto type) {  // all loads are under way together
    const auto* query = static_cast<const decltype(type)*>(task.query) + start;
#pragma unroll
    for (int h = 0; h < Tile::kHeads; ++h) {
      const bool exists = first_head + h < task.heads;
      load_row<Tile>(state.query[h], query + (exists ? h * task.channels : 0), task.channels, self, span, scale);
    }
  });
}

template <class Tile>
__device__ __forceinline__ void add_scores(typename Tile::A (&scores)[Tile::kHeads * Tile::kUnroll],
                                           const ForwardState<Tile>& state,
                                           const typename Tile::Elements (&x)[Tile::kUnroll][Tile::kPackets]) {
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) {
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) {
      const auto value = element<Tile>(x[u], i);
#pragma unroll
      for (int h = 0; h < Tile::kHeads; ++h) scores[h * Tile::kUnroll + u] += state.query[h][i] * value;
    }
  }
}

// Turns one head's scores of kUnroll positions into weights; `left` positions of the region are left from the first
// of them on, one in self.groups of which is this group's.
template <class Tile>
__device__ __forceinline__ void weigh(ForwardState<Tile>& state, int head, const RegionThread& self, int left,
                                      typename Tile::A* scores) {
  using A = typename Tile::A;
  A peak = kLowest<A>;
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) {
    if (u * self.groups >= left) scores[u] = minus_infinity(A());
    peak = larger(peak, scores[u]);
  }
  const A rescale = state.softmax[head].raise(peak);
#pragma unroll
  for (int i = 0; i < Tile::kChannels; ++i) state.pooled[head][i] *= rescale;
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) scores[u] = state.softmax[head].add(scores[u]);
}

// Takes kUnroll positions' elements into the sums.
template <class Tile>
__device__ __forceinline__ void accumulate(ForwardState<Tile>& state,
                                           const typename Tile::A (&weights)[Tile::kHeads * Tile::kUnroll],
                                           typename Tile::Elements (&x)[Tile::kUnroll][Tile::kPackets]) {
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) {
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) forget_unpacked(x[u][j].word);
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) {
      const auto value = element<Tile>(x[u], i);
      state.sum[i] += value;
#pragma unroll
      for (int h = 0; h < Tile::kHeads; ++h) state.pooled[h][i] += weights[h * Tile::kUnroll + u] * value;
    }
  }
}

template <class Tile>
__device__ __forceinline__ void pool_positions(ForwardState<Tile>& state, const RegionTask& task,
                                               const RegionThread& self, int first_head, int span) {
  using T = typename Tile::T;
  constexpr int kUnroll = Tile::kUnroll;
  const T* region = static_cast<const T*>(task.features) +
                    region_offset(task, self, task.batch_stride, task.row_stride, task.column_stride);
  PositionWalk walk(task, self, task.row_stride, task.column_stride);
#pragma unroll 1
  for (int first = self.warp_group; first < task.positions(); first += self.groups * kUnroll) {  // whole warps
    const int left = task.positions() - first - (self.group - self.warp_group);
    int offset[kUnroll];
    walk.next(offset, self.groups, left);
    typename Tile::Elements x[kUnroll][Tile::kPackets];
    load_elements<Tile>(x, region, offset, task, self, span);
    typename Tile::A scores[Tile::kHeads * kUnroll] = {};
    add_scores<Tile>(scores, state, x);
    for (int other = 0; !Tile::kOnePass && other < task.channels; other += self.lanes * Tile::kChannels) {
      if (other == span) continue;
      ForwardState<Tile> elsewhere;
      typename Tile::Elements y[kUnroll][Tile::kPackets];
      load_query(elsewhere, task, self, first_head, other);
      load_elements<Tile>(y, region, offset, task, self, other);
      add_scores<Tile>(scores, elsewhere, y);
    }
    sum_over_group(scores, self);
#pragma unroll
    for (int h = 0; h < Tile::kHeads; ++h) weigh<Tile>(state, h, self, left, scores + h * kUnroll);
    accumulate<Tile>(state, scores, x);
  }
}

}  // namespace lnlattennet::cuda
