// Step 1 of a band: the dot products of every position with kDots vectors of its region (query, gradient of pooled).
#pragma once

#include "band_task.cuh"

namespace lnlattennet::cuda {

// Elements of `dots`, the result, and of `staged`, working memory.
__host__ __device__ inline int64_t band_dots_elements(const BandTask& task, const BandShares& shares, int dots) {
  return static_cast<int64_t>(dots) * shares.lanes * task.positions();
}
__host__ __device__ inline int64_t band_staged_elements(const BandTask& task, int dots) {
  return static_cast<int64_t>(dots) * task.grid * kBandChannels;
}

// vectors[d] at (region r of the band, channel c): load(d, r, c). Result: dots [kDots, lanes, positions], to be summed
// over the lanes. The caller syncs before it reads them.
template <class T, int kWidth, int kDots, class Load>
__device__ __forceinline__ void band_dots(const BandTask& task, const BandBlock& block, const BandShares& shares,
                                          Accumulate<T>* dots, Accumulate<T>* staged, Load&& load) {
  using A = Accumulate<T>;
  constexpr int kUnroll = 4;
  const T* band = band_start(static_cast<const T*>(task.features), task, block, task.batch_stride, task.row_stride);
#pragma unroll 1
  for (int first = 0; first < task.channels; first += kBandChannels) {
    const int count = min(kBandChannels, task.channels - first);
    __syncthreads();  // the previous channels' vectors have been used
#pragma unroll 1
    for (int i = threadIdx.x; i < kDots * task.grid * count; i += kBandThreads) {
      const int c = i % count, r = i / count % task.grid, d = i / count / task.grid;
      staged[(d * task.grid + r) * kBandChannels + c] = load(d, r, first + c);
    }
    __syncthreads();
#pragma unroll 1
    for (int i = threadIdx.x; i < shares.words * shares.lanes; i += kBandThreads) {
      const int word = i % shares.words, lane = i / shares.words;
      const int row = word / shares.words_per_row, column = word % shares.words_per_row * kWidth;
      const T* address = band + row * task.row_stride + column + first * task.channel_stride;
      A sums[kDots][kWidth] = {};
      int region[kWidth];
#pragma unroll
      for (int j = 0; j < kWidth; ++j) region[j] = (column + j) / task.region_columns * kBandChannels;
#pragma unroll 1
      for (int c = lane; c < count; c += shares.lanes * kUnroll) {
        Packet<T, kWidth> x[kUnroll];
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
          const int channel = min(c + u * shares.lanes, count - 1);  // beyond the last: read again, not used
          x[u] = load_packet<T, kWidth>(address + channel * task.channel_stride);
        }
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
          if (c + u * shares.lanes >= count) break;
#pragma unroll
          for (int d = 0; d < kDots; ++d) {
            const A* vectors = staged + d * task.grid * kBandChannels + c + u * shares.lanes;
#pragma unroll
            for (int j = 0; j < kWidth; ++j) sums[d][j] += vectors[region[j]] * x[u][j];
          }
        }
      }
#pragma unroll
      for (int d = 0; d < kDots; ++d) {
        A* target = dots + (static_cast<int64_t>(d) * shares.lanes + lane) * task.positions() + word * kWidth;
#pragma unroll
        for (int j = 0; j < kWidth; ++j) target[j] = (first > 0 ? target[j] : A(0)) + sums[d][j];
      }
    }
  }
}

}  // namespace lnlattennet::cuda
