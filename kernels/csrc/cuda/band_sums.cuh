// Step 3 of a band: sums over each region's positions, one per channel.
#pragma once

#include "band_task.cuh"

namespace lnlattennet::cuda {

__host__ __device__ inline int64_t band_columns_elements(const BandTask& task, const BandShares& shares) {
  return 2 * static_cast<int64_t>(shares.slots) * task.columns;
}

// For every region r of the band and channel c: store(r, c, sum_p weights_p F_pc, sum_p F_pc), with weights
// [positions] of the band. `columns`: working memory [slots, 2, columns], the sums over each column of the band.
template <class T, int kWidth, class Store>
__device__ __forceinline__ void band_sums(const BandTask& task, const BandBlock& block, const BandShares& shares,
                                          const Accumulate<T>* weights, Accumulate<T>* columns, Store&& store) {
  using A = Accumulate<T>;
  const T* band = band_start(static_cast<const T*>(task.features), task, block, task.batch_stride, task.row_stride);
#pragma unroll 1
  for (int first = 0; first < task.channels; first += shares.slots) {
    const int count = min(shares.slots, task.channels - first);
#pragma unroll 1
    for (int i = threadIdx.x; i < count * shares.words_per_row; i += kBandThreads) {
      const int slot = i / shares.words_per_row, column = i % shares.words_per_row * kWidth;
      const T* address = band + (first + slot) * task.channel_stride + column;
      A weighted[kWidth] = {}, plain[kWidth] = {};
#pragma unroll 4
      for (int row = 0; row < task.rows; ++row) {
        const auto x = load_packet<T, kWidth>(address + row * task.row_stride);
        A weight[kWidth];
        read_aligned(weight, weights + row * task.columns + column);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
          weighted[j] += weight[j] * x[j];
          plain[j] += x[j];
        }
      }
      A* target = columns + 2 * slot * task.columns + column;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        target[j] = weighted[j];
        target[task.columns + j] = plain[j];
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int i = threadIdx.x; i < count * task.grid; i += kBandThreads) {
      const int slot = i / task.grid, region = i % task.grid;
      const A* source = columns + 2 * slot * task.columns + region * task.region_columns;
      A weighted = 0, plain = 0;
#pragma unroll 1
      for (int j = 0; j < task.region_columns; ++j) {
        weighted += source[j];
        plain += source[task.columns + j];
      }
      store(region, first + slot, weighted, plain);
    }
    __syncthreads();  // the next channels' sums overwrite these
  }
}

}  // namespace lnlattennet::cuda
