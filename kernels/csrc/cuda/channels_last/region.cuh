// Steps of the kernels that give a block one region: sizes as ints, strides in elements, threads over positions and
// channels, and a lane's channels of a position.
#pragma once

#include <algorithm>

#include "../common/elements.cuh"
#include "../common/online_softmax.cuh"

namespace lnlattennet::cuda {

// A block's threads form groups of 2^lane_bits lanes; a group takes one position at a time, its lanes the channels.
struct RegionTask {
  const void* features;
  int64_t batch_stride, channel_stride, row_stride, column_stride;
  int grid, heads, channels, rows, columns;  // rows and columns of a region
  int lane_bits;
  const void* query;
  DType parameters;

  __host__ __device__ int regions() const { return grid * grid; }
  __host__ __device__ int positions() const { return rows * columns; }
};

inline RegionTask region_task(const RegionAttention& problem, int lane_bits) {
  const FeatureMap& f = problem.features;
  const auto narrowed = [](int64_t value) { return static_cast<int>(value); };
  return {f.data,
          f.batch_stride,
          f.channel_stride,
          f.row_stride,
          f.column_stride,
          narrowed(problem.grid),
          narrowed(problem.heads),
          narrowed(f.channels),
          narrowed(f.height / problem.grid),
          narrowed(f.width / problem.grid),
          lane_bits,
          problem.query,
          problem.parameters};
}

// The region of an image that a block has, and a thread's part of it. A warp's groups start at `warp_group`.
struct RegionThread {
  int image, region, lane, lanes, group, groups, warp_group;
};

__device__ __forceinline__ RegionThread region_thread(const RegionTask& task) {
  RegionThread self;
  self.image = static_cast<int>(blockIdx.x / static_cast<unsigned>(task.regions()));
  self.region = static_cast<int>(blockIdx.x % static_cast<unsigned>(task.regions()));
  self.lanes = 1 << task.lane_bits;
  self.lane = static_cast<int>(threadIdx.x) & (self.lanes - 1);
  self.group = static_cast<int>(threadIdx.x) >> task.lane_bits;
  self.groups = static_cast<int>(blockDim.x) >> task.lane_bits;
  self.warp_group = (static_cast<int>(threadIdx.x) & ~31) >> task.lane_bits;
  return self;
}

// Offset of a region's first element in a map of these strides.
__device__ __forceinline__ int64_t region_offset(const RegionTask& task, const RegionThread& self, int64_t batch_stride,
                                                 int64_t row_stride, int64_t column_stride) {
  const int64_t row = static_cast<int64_t>(self.region / task.grid) * task.rows;
  const int64_t column = static_cast<int64_t>(self.region % task.grid) * task.columns;
  return self.image * batch_stride + row * row_stride + column * column_stride;
}

// The offsets of a group's positions p = group, group + groups, ... of a region, without a division per position.
// They fit an int: region_attention.cu refuses regions that span 2^30 elements. (Unsigned, as the walk may go on past
// the end.)
class PositionWalk {
 public:
  __device__ __forceinline__ PositionWalk(const RegionTask& task, const RegionThread& self, int64_t row_stride,
                                          int64_t column_stride)
      : columns_(task.columns), step_columns_(self.groups % task.columns), column_(self.group % task.columns) {
    const auto row = static_cast<unsigned>(row_stride), column = static_cast<unsigned>(column_stride);
    const auto rows = static_cast<unsigned>(self.group / columns_);
    offset_ = rows * row + static_cast<unsigned>(column_) * column;
    step_ = static_cast<unsigned>(self.groups / columns_) * row + static_cast<unsigned>(step_columns_) * column;
    wrap_ = row - static_cast<unsigned>(columns_) * column;
  }

  // The next kCount offsets, of which those of the first `left` of the region's positions exist; the others are -1.
  template <int kCount>
  __device__ __forceinline__ void next(int (&offsets)[kCount], int groups, int left) {
#pragma unroll
    for (int u = 0; u < kCount; ++u) {
      const int here = next();
      offsets[u] = u * groups < left ? here : -1;
    }
  }

 private:
  // Gives this position's offset and moves to the next one.
  __device__ __forceinline__ int next() {
    const int offset = static_cast<int>(offset_);
    column_ += step_columns_;
    offset_ += step_;
    if (column_ >= columns_) {
      column_ -= columns_;
      offset_ += wrap_;
    }
    return offset;
  }

  int columns_, step_columns_, column_;
  unsigned offset_, step_, wrap_;
};

// ---- a lane's channels of a position -------------------------------------------------------------------------------

// kPackets packets of kWidth neighboring elements. The group's lanes together hold a span of channels.
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

// ---- host side -----------------------------------------------------------------------------------------------------

inline int bits_for(int64_t count) {
  int bits = 0;
  while (int64_t{1} << bits < count) ++bits;
  return bits;
}

// log2 of the lanes that share a position's channels, when each lane holds `lane_channels` of them.
inline int region_lane_bits(int64_t channels, int lane_channels) {
  return std::min(bits_for((channels + lane_channels - 1) / lane_channels), 5);
}

// Enough threads for every position to be in flight where blocks are few, 128 where they fill the GPU anyway.
inline int region_threads(const RegionAttention& problem, int lane_bits, int unroll, int most, int processors) {
  const FeatureMap& f = problem.features;
  const int64_t regions = problem.grid * problem.grid, positions = f.height * f.width / regions;
  const int64_t useful = (positions + unroll - 1) / unroll << lane_bits;
  int64_t share = 128;
  while (2 * share * f.batch * regions <= int64_t{1024} * processors) share *= 2;
  const int wanted = 1 << bits_for(std::min<int64_t>({useful, share, most}));
  return std::clamp(wanted, 64, most);
}

// True if all of a region's positions can be read in 16-byte words.
inline bool region_in_words(const FeatureMap& f) {
  const int64_t bytes = element_bytes(f.dtype);
  const int64_t together = f.batch_stride | f.row_stride | f.column_stride | f.channels;
  return f.channel_stride == 1 && together * bytes % 16 == 0 && reinterpret_cast<uintptr_t>(f.data) % 16 == 0;
}

}  // namespace lnlattennet::cuda
