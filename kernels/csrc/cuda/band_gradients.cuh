// Last step of a band's backward pass: grad_F_p = sum_h (a_hp g_h + slope_hp scale q_h) + g_mean / P, from weights a and
// slopes (the scores' gradients) that lie in shared memory.
#pragma once

#include "band_task.cuh"

namespace lnlattennet::cuda {

struct BandGradients {
  const void *pooled, *mean;
  void* features;
  int64_t batch_stride, channel_stride, row_stride;  // of the features' gradient
  void* query;
};

// One head's weights [positions], and behind them its slopes.
template <class A>
__device__ __forceinline__ A* head_weights(const BandTask& task, int head) {
  return shared_memory<A>() + 2 * static_cast<int64_t>(head) * task.positions();
}

// What the weights and slopes of kWidth columns are multiplied with, for one channel.
template <class A, int kWidth>
struct BandCoefficients {
  A pooled[kWidth], query[kWidth];
};

template <class T, int kWidth>
__device__ __forceinline__ void load_coefficients(BandCoefficients<Accumulate<T>, kWidth>& coefficients,
                                                  const BandTask& task, const BandBlock& block,
                                                  const BandGradients& gradients, const int (&region)[kWidth],
                                                  int head, int channel) {
  using A = Accumulate<T>;
  const A scale = inverse_root(static_cast<A>(task.channels));
  const int64_t image = block.image * task.regions();
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    const int64_t query = (static_cast<int64_t>(region[j]) * task.heads + head) * task.channels + channel;
    const int64_t pooled = image * task.heads * task.channels + query;
    coefficients.pooled[j] = load_element(static_cast<const T*>(gradients.pooled) + pooled);
    coefficients.query[j] = scale * load_parameter<T>(task.query, query, task.parameters);
  }
}

// The gradients of kWidth columns, from `column` on, of one channel.
template <class T, int kWidth>
__device__ __forceinline__ void write_columns(const BandTask& task, const BandBlock& block,
                                              const BandGradients& gradients, int channel, int column, T* target) {
  using A = Accumulate<T>;
  constexpr int kRows = 2;  // share what is loaded per column
  const A one_position = inverse(A(task.region_positions()));
  int region[kWidth];
  A mean[kWidth];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    region[j] = block.region(task, column + j);
    const int64_t k = block.image * task.regions() + region[j];
    mean[j] = one_position * load_element(static_cast<const T*>(gradients.mean) + k * task.channels + channel);
  }
#pragma unroll 1
  for (int first = 0; first < task.rows; first += kRows) {
    A sums[kRows][kWidth];
#pragma unroll
    for (int i = 0; i < kRows * kWidth; ++i) sums[i / kWidth][i % kWidth] = mean[i % kWidth];
#pragma unroll 1
    for (int head = 0; head < task.heads; ++head) {
      BandCoefficients<A, kWidth> coefficients;
      load_coefficients<T, kWidth>(coefficients, task, block, gradients, region, head, channel);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const A* weights = head_weights<A>(task, head) + min(first + r, task.rows - 1) * task.columns + column;
        A weight[kWidth], slope[kWidth];
        read_aligned(weight, weights);
        read_aligned(slope, weights + task.positions());
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
          sums[r][j] += weight[j] * coefficients.pooled[j] + slope[j] * coefficients.query[j];
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (first + r < task.rows) store_packet<T, kWidth>(target + (first + r) * gradients.row_stride, sums[r]);
    }
  }
}

template <class T, int kWidth>
__device__ __forceinline__ void write_grad_features(const BandTask& task, const BandBlock& block,
                                                    const BandShares& shares, const BandGradients& gradients) {
  T* band = band_start(static_cast<T*>(gradients.features), task, block, gradients.batch_stride, gradients.row_stride);
#pragma unroll 1
  for (int first = 0; first < task.channels; first += shares.slots) {
    const int count = min(shares.slots, task.channels - first);
#pragma unroll 1
    for (int i = threadIdx.x; i < count * shares.words_per_row; i += kBandThreads) {
      const int channel = first + i / shares.words_per_row, column = i % shares.words_per_row * kWidth;
      write_columns<T, kWidth>(task, block, gradients, channel, column,
                               band + channel * gradients.channel_stride + column);
    }
  }
}

}  // namespace lnlattennet::cuda
