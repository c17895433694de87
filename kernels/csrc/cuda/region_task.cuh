// What the kernels that give a block one region get: sizes as ints, strides in elements, and how threads are spread.
#pragma once

#include "elements.cuh"
#include "online_softmax.cuh"

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

// Which region of which image a block has, and which part of it a thread. A warp's groups start at `warp_group`.
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
__device__ __forceinline__ int64_t region_offset(const RegionTask& task, const RegionThread& self,
                                                 int64_t batch_stride, int64_t row_stride, int64_t column_stride) {
  const int64_t row = static_cast<int64_t>(self.region / task.grid) * task.rows;
  const int64_t column = static_cast<int64_t>(self.region % task.grid) * task.columns;
  return self.image * batch_stride + row * row_stride + column * column_stride;
}

// The offsets of a group's positions p = group, group + groups, ... of a region, without a division per position.
// They fit an int: launch.cu refuses regions that span 2^30 elements. (Unsigned, as the walk may go on past the end.)
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

}  // namespace lnlattennet::cuda
