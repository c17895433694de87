// What the kernels for contiguous features get: a block has a band, the rows of one row of regions, of one image.
// Neighbouring columns are neighbours in memory, so a thread reads kWidth columns of a row in one word.
#pragma once

#include "elements.cuh"
#include "online_softmax.cuh"
#include "parameters.cuh"

namespace lnlattennet::cuda {

struct BandTask {
  const void* features;
  int64_t batch_stride, channel_stride, row_stride;
  int grid, heads, channels, rows, columns, region_columns;  // rows of a band, columns of the map and of a region
  const void* query;
  DType parameters;

  __host__ __device__ int positions() const { return rows * columns; }  // of the band
  __host__ __device__ int region_positions() const { return rows * region_columns; }
  __host__ __device__ int regions() const { return grid * grid; }
};

inline BandTask band_task(const RegionAttention& problem) {
  const FeatureMap& f = problem.features;
  const auto narrowed = [](int64_t value) { return static_cast<int>(value); };
  return {f.data,
          f.batch_stride,
          f.channel_stride,
          f.row_stride,
          narrowed(problem.grid),
          narrowed(problem.heads),
          narrowed(f.channels),
          narrowed(f.height / problem.grid),
          narrowed(f.width),
          narrowed(f.width / problem.grid),
          problem.query,
          problem.parameters};
}

// Two blocks of 320 threads a multiprocessor: enough loads under way, and few enough bands that L2 still holds them
// when they are read again.
inline constexpr int kBandThreads = 320;

// Channels whose queries are in shared memory together.
inline constexpr int kBandChannels = 64;

struct BandBlock {
  int64_t image;
  int band;

  // Region of the map in column `column` of the band.
  __device__ __forceinline__ int region(const BandTask& task, int column) const {
    return band * task.grid + column / task.region_columns;
  }
};

__device__ __forceinline__ BandBlock band_block(const BandTask& task) {
  const auto grid = static_cast<unsigned>(task.grid);
  return {static_cast<int64_t>(blockIdx.x / grid), static_cast<int>(blockIdx.x % grid)};
}

// First element of the band in a map of type T with these strides.
template <class T>
__device__ __forceinline__ T* band_start(T* map, const BandTask& task, const BandBlock& block, int64_t batch_stride,
                                         int64_t row_stride) {
  return map + block.image * batch_stride + static_cast<int64_t>(block.band) * task.rows * row_stride;
}

// How a block's threads share the words of one channel (for scores): `lanes` threads take a word each, with different
// channels. And how they share the columns of `slots` channels at a time (for sums over positions).
struct BandShares {
  int words, words_per_row, lanes, slots;

  __host__ __device__ BandShares(const BandTask& task, int width)
      : words(task.positions() / width),
        words_per_row(task.columns / width),
        lanes(at_least_one(kBandThreads / words, task.channels)),
        slots(at_least_one(kBandThreads / words_per_row, task.channels)) {}

 private:
  __host__ __device__ static int at_least_one(int count, int most) {
    return count < 1 ? 1 : count < most ? count : most;
  }
};

// The widest word, in elements, in which all rows of this map can be read: 16 bytes; for half types also 8 bytes; else
// one element.
inline int band_width(const FeatureMap& f) {
  const int64_t bytes = element_bytes(f.dtype);
  const int64_t strides = (f.batch_stride | f.channel_stride | f.row_stride | f.width) * bytes;
  const int64_t together = strides | static_cast<int64_t>(reinterpret_cast<uintptr_t>(f.data));
  if (together % 16 == 0) return static_cast<int>(16 / bytes);
  return bytes == 2 && together % 8 == 0 ? 4 : 1;
}

}  // namespace lnlattennet::cuda
