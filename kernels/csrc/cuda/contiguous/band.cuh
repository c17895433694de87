// Steps of the kernels for contiguous features: a block has a band, the rows of one row of regions, of one image.
// Neighboring columns are neighbors in memory, so a thread reads kWidth columns of a row in one word.
#pragma once

#include "../common/elements.cuh"
#include "../common/online_softmax.cuh"

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

// Two blocks of 320 threads a multiprocessor: enough loads in flight, and few enough bands that L2 still holds them
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

// Split of a block's threads over words of one channel (for scores): `lanes` threads take a word each, with different
// channels. And over the columns of `slots` channels at a time (for sums over positions).
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

// ---- step 1: scores ------------------------------------------------------------------------------------------------
//
// The dot products of every position with kDots vectors of its region (query, gradient of pooled).

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

// ---- step 2: softmax -----------------------------------------------------------------------------------------------
//
// The scores of each region become softmax weights.

// A team of warps per region (a region per team, in turns, where regions outnumber warps).
struct BandTeam {
  int warps, first_region, stride, thread, threads;

  __device__ __forceinline__ explicit BandTeam(const BandTask& task) {
    constexpr int kWarps = kBandThreads / 32;
    warps = max(kWarps / task.grid, 1);
    const int warp = static_cast<int>(threadIdx.x) / 32;
    first_region = warp / warps;
    stride = kWarps / warps;
    thread = warp % warps * 32 + static_cast<int>(threadIdx.x) % 32;
    threads = warps * 32;
  }
};

// Index in the band of position p of a region.
__device__ __forceinline__ int band_position(const BandTask& task, int region, int p) {
  return p / task.region_columns * task.columns + region * task.region_columns + p % task.region_columns;
}

__host__ __device__ inline int64_t band_stats_elements(const BandTask& task) {
  return 3 * static_cast<int64_t>(kBandThreads / 32 + task.grid);
}

// dots [lanes, positions] -> their sum over the lanes, in the first lane's place.
template <class A>
__device__ __forceinline__ A sum_lanes(const BandTask& task, A* dots, int lanes, int position) {
  A sum = dots[position];
#pragma unroll 1
  for (int lane = 1; lane < lanes; ++lane) sum += dots[static_cast<int64_t>(lane) * task.positions() + position];
  dots[position] = sum;
  return sum;
}

// A warp's part of one region's statistics -> stats[0 .. 2].
template <bool kGradient, class A>
__device__ __forceinline__ void gather_region(const BandTask& task, const BandTeam& team, int lanes, int region,
                                              A* scores, A* gradients, A* stats) {
  SlopedSoftmax<A> state;
#pragma unroll 1
  for (int p = team.thread; p < task.region_positions(); p += team.threads) {
    const int position = band_position(task, region, p);
    const A score = sum_lanes(task, scores, lanes, position);
    state.raise(score);
    state.add(score, kGradient ? sum_lanes(task, gradients, lanes, position) : A(0));
  }
  for (int step = 16; step > 0; step /= 2) {
    const A peak = __shfl_xor_sync(0xffffffffu, state.softmax.peak, step);
    const A sum = __shfl_xor_sync(0xffffffffu, state.softmax.sum, step);
    state.merge(peak, sum, __shfl_xor_sync(0xffffffffu, state.slope, step));
  }
  if (threadIdx.x % 32 > 0) return;
  stats[0] = state.softmax.peak;
  stats[1] = state.softmax.sum;
  stats[2] = state.slope;
}

// scores [lanes, positions], in base 2, become softmax weights [positions]; with kGradient the gradients
// [lanes, positions] of the weights become those of the scores, weight (gradient - sum weight gradient). The results
// may lie in the first lanes' places. `stats`: working memory. Ends with a __syncthreads.
template <bool kGradient, class A>
__device__ __forceinline__ void band_softmax(const BandTask& task, int lanes, A* scores, A* gradients, A* weights,
                                             A* slopes, A* stats) {
  const BandTeam team(task);
  const int warp = static_cast<int>(threadIdx.x) / 32 % team.warps;
  __syncthreads();
#pragma unroll 1
  for (int region = team.first_region; region < task.grid; region += team.stride) {
    gather_region<kGradient>(task, team, lanes, region, scores, gradients, stats + 3 * (region * team.warps + warp));
  }
  __syncthreads();
#pragma unroll 1
  for (int region = team.first_region; region < task.grid; region += team.stride) {
    SlopedSoftmax<A> state;
#pragma unroll 1
    for (int w = 0; w < team.warps; ++w) {
      const A* part = stats + 3 * (region * team.warps + w);
      state.merge(part[0], part[1], part[2]);
    }
    const A normalizer = inverse(state.softmax.sum), average = state.slope * normalizer;
#pragma unroll 1
    for (int p = team.thread; p < task.region_positions(); p += team.threads) {
      const int position = band_position(task, region, p);
      const A weight = exp2_fast(scores[position] - state.softmax.peak) * normalizer;
      weights[position] = weight;
      if (kGradient) slopes[position] = weight * (gradients[position] - average);
    }
  }
  __syncthreads();
}

// ---- step 3: sums --------------------------------------------------------------------------------------------------
//
// Sums over each region's positions, one per channel.

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
