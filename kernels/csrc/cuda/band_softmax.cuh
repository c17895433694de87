// Step 2 of a band: the scores of each region become softmax weights.
#pragma once

#include "band_task.cuh"

namespace lnlattennet::cuda {

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
    const A normaliser = inverse(state.softmax.sum), average = state.slope * normaliser;
#pragma unroll 1
    for (int p = team.thread; p < task.region_positions(); p += team.threads) {
      const int position = band_position(task, region, p);
      const A weight = exp2_fast(scores[position] - state.softmax.peak) * normaliser;
      weights[position] = weight;
      if (kGradient) slopes[position] = weight * (gradients[position] - average);
    }
  }
  __syncthreads();
}

}  // namespace lnlattennet::cuda
