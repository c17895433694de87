// Backward pass for contiguous features: a block per band. Per head it reads the band twice (dots, query gradient);
// the gradient of the features then needs only the weights and slopes that are kept in shared memory.
#include <algorithm>

#include "../common/launch.cuh"
#include "../region_attention.h"
#include "band.cuh"

namespace lnlattennet::cuda {
namespace {

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

// The block's shared memory, in elements: weights and slopes of all heads [heads, 2, positions] come first.
struct BandMemory {
  int64_t dots, staged, stats, columns, end;

  __host__ __device__ BandMemory(const BandTask& task, const BandShares& shares)
      : dots((2 * static_cast<int64_t>(task.heads) * task.positions() + 3) / 4 * 4),
        staged(dots + band_dots_elements(task, shares, 2)),
        stats(staged + band_staged_elements(task, 2)),
        columns(stats + band_stats_elements(task)),
        end(columns + band_columns_elements(task, shares)) {}
};

template <class T, int kWidth>
__device__ __forceinline__ void weigh_head(const BandTask& task, const BandBlock& block, const BandShares& shares,
                                           const BandMemory& memory, const BandGradients& gradients, int head) {
  using A = Accumulate<T>;
  A *shared = shared_memory<A>(), *dots = shared + memory.dots, *weights = head_weights<A>(task, head);
  const A scale = kLog2E<A> * inverse_root(static_cast<A>(task.channels));
  const T* pooled = static_cast<const T*>(gradients.pooled);
  band_dots<T, kWidth, 2>(task, block, shares, dots, shared + memory.staged, [&](int which, int region, int channel) {
    const int64_t row = (static_cast<int64_t>(block.band) * task.grid + region) * task.heads + head;
    const int64_t image = static_cast<int64_t>(block.image) * task.regions() * task.heads;
    return which == 0 ? scale * load_parameter<T>(task.query, row * task.channels + channel, task.parameters)
                      : load_element(pooled + (image + row) * task.channels + channel);
  });
  band_softmax<true>(task, shares.lanes, dots, dots + band_dots_elements(task, shares, 1), weights,
                     weights + task.positions(), shared + memory.stats);
}

template <class T, int kWidth>
__device__ __forceinline__ void sum_grad_query(const BandTask& task, const BandBlock& block, const BandShares& shares,
                                               const BandMemory& memory, const BandGradients& gradients, int head) {
  using A = Accumulate<T>;
  const A scale = inverse_root(static_cast<A>(task.channels));
  A* shared = shared_memory<A>();
  band_sums<T, kWidth>(task, block, shares, head_weights<A>(task, head) + task.positions(), shared + memory.columns,
                       [&](int region, int channel, A weighted, A) {
                         const int64_t k = (block.image * task.grid + block.band) * task.grid + region;
                         static_cast<A*>(gradients.query)[(k * task.heads + head) * task.channels + channel] =
                             scale * weighted;
                       });
}

// ---- gradient of the features --------------------------------------------------------------------------------------
//
// grad_F_p = sum_h (a_hp g_h + slope_hp scale q_h) + g_mean / P, from weights a and slopes (the scores' gradients) that
// lie in shared memory.

// Factors of the weights and slopes of kWidth columns, for one channel.
template <class A, int kWidth>
struct BandCoefficients {
  A pooled[kWidth], query[kWidth];
};

template <class T, int kWidth>
__device__ __forceinline__ void load_coefficients(BandCoefficients<Accumulate<T>, kWidth>& coefficients,
                                                  const BandTask& task, const BandBlock& block,
                                                  const BandGradients& gradients, const int (&region)[kWidth], int head,
                                                  int channel) {
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

// ---- kernel and launch ---------------------------------------------------------------------------------------------

template <class T, int kWidth>
__global__ void __launch_bounds__(kBandThreads, kWidth < 8 ? 2 : 1)  // eight columns need more registers
    contiguous_backward_kernel(const BandTask task, const BandGradients gradients) {
  const BandBlock block = band_block(task);
  const BandShares shares(task, kWidth);
  const BandMemory memory(task, shares);
#pragma unroll 1
  for (int head = 0; head < task.heads; ++head) {
    weigh_head<T, kWidth>(task, block, shares, memory, gradients, head);
    sum_grad_query<T, kWidth>(task, block, shares, memory, gradients, head);
  }
  write_grad_features<T, kWidth>(task, block, shares, gradients);
}

template <class T, int kWidth>
const char* launch(const BackwardProblem& problem, void* stream) {
  const BandTask task = band_task(problem.regions);
  const FeatureMap& to = problem.grad_features;
  const BandGradients gradients = {problem.gradients.pooled, problem.gradients.mean, const_cast<void*>(to.data),
                                   to.batch_stride,          to.channel_stride,      to.row_stride,
                                   problem.grad_query};
  const int64_t bytes = BandMemory(task, BandShares(task, kWidth)).end * static_cast<int64_t>(sizeof(Accumulate<T>));
  const LaunchShape shape{problem.regions.features.batch * problem.regions.grid, kBandThreads, bytes};
  return message(launch_kernel(contiguous_backward_kernel<T, kWidth>, shape, stream, task, gradients));
}

int width_of(const BackwardProblem& problem) {
  return std::min(band_width(problem.regions.features), band_width(problem.grad_features));
}

template <class T>
const char* launch_width(const BackwardProblem& problem, void* stream) {
  const int width = width_of(problem);
  if (width == kWidest<T>) return launch<T, kWidest<T>>(problem, stream);
  if constexpr (sizeof(T) == 2) {
    if (width == 4) return launch<T, 4>(problem, stream);
  }
  return launch<T, 1>(problem, stream);
}

}  // namespace

bool contiguous_backward_fits(const BackwardProblem& problem, int64_t shared_bytes) {
  const FeatureMap &from = problem.regions.features, &to = problem.grad_features;
  if (from.column_stride != 1 || to.column_stride != 1 || from.dtype == DType::f64) return false;
  const BandTask task = band_task(problem.regions);
  const BandMemory memory(task, BandShares(task, width_of(problem)));
  return memory.end * static_cast<int64_t>(sizeof(float)) <= shared_bytes;
}

const char* contiguous_backward(const BackwardProblem& problem, void* stream) {
  switch (problem.regions.features.dtype) {
    case DType::f16: return launch_width<Half>(problem, stream);
    case DType::bf16: return launch_width<BFloat16>(problem, stream);
    default: return launch_width<float>(problem, stream);
  }
}

}  // namespace lnlattennet::cuda
