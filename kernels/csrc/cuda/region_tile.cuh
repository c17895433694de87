// A lane's share of a position: which channels it holds, and how it loads them.
#pragma once

#include "parameters.cuh"
#include "region_task.cuh"

namespace lnlattennet::cuda {

// kPackets packets of kWidth neighbouring elements. The group's lanes together hold a span of channels.
template <class Element, int kWidthOf, int kPacketsOf>
struct RegionTile {
  using T = Element;
  using A = Accumulate<T>;
  using Elements = Packet<T, kWidthOf>;
  static constexpr int kWidth = kWidthOf, kPackets = kPacketsOf, kChannels = kWidthOf * kPacketsOf;
};

// First channel of a lane's packet j in the span that starts at `span`.
template <class Tile>
__device__ __forceinline__ int packet_channel(const RegionThread& self, int span, int j) {
  return span + (j * self.lanes + self.lane) * Tile::kWidth;
}

// The lane's channels of a row [channels] of another array (a query, a gradient), times `scale`; 0 beyond the row.
template <class Tile, class P>
__device__ __forceinline__ void load_row(typename Tile::A (&values)[Tile::kChannels], const P* row, int channels,
                                         const RegionThread& self, int span, typename Tile::A scale) {
  using A = typename Tile::A;
#pragma unroll
  for (int i = 0; i < Tile::kChannels; ++i) {
    const int c = packet_channel<Tile>(self, span, i / Tile::kWidth) + i % Tile::kWidth;
    const A value = static_cast<A>(load_element(row + (c < channels ? c : 0)));
    values[i] = c < channels ? scale * value : A(0);
  }
}

// This lane's elements, in the span from `span` on, of the positions at these offsets (negative: no position).
template <class Tile, int kCount>
__device__ __forceinline__ void load_elements(typename Tile::Elements (&x)[kCount][Tile::kPackets],
                                              const typename Tile::T* region, const int (&offset)[kCount],
                                              const RegionTask& task, const RegionThread& self, int span) {
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) {
      const int c = packet_channel<Tile>(self, span, j);
      const auto* address = region + offset[u] + (Tile::kWidth > 1 ? c : c * task.channel_stride);
      x[u][j] = offset[u] >= 0 && c < task.channels ? load_packet<typename Tile::T, Tile::kWidth>(address)
                                                    : typename Tile::Elements{};
    }
  }
}

// Element i of a lane's channels.
template <class Tile>
__device__ __forceinline__ typename Tile::A element(const typename Tile::Elements (&x)[Tile::kPackets], int i) {
  return x[i / Tile::kWidth][i % Tile::kWidth];
}

// Sums over the lanes of each group, for kCount values at a time.
template <class A, int kCount>
__device__ __forceinline__ void sum_over_group(A (&values)[kCount], const RegionThread& self) {
#pragma unroll 1
  for (int step = self.lanes / 2; step > 0; step /= 2) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] += __shfl_xor_sync(0xffffffffu, values[i], step);
  }
}

}  // namespace lnlattennet::cuda
