// The end of a region's forward pass: the groups' sums become pooled and mean.
#pragma once

#include "channels_last_forward.cuh"

namespace lnlattennet::cuda {

// What the block's groups leave in shared memory: their sums [kHeads + 1, groups, span channels] (the last array is
// the plain sum) and their softmax states [kHeads, groups].
template <class Tile>
struct GroupSums {
  using A = typename Tile::A;
  A *sums, *peaks, *totals;

  __device__ __forceinline__ GroupSums(const RegionThread& self)
      : sums(shared_memory<A>()),
        peaks(sums + (Tile::kHeads + 1) * self.groups * self.lanes * Tile::kChannels),
        totals(peaks + Tile::kHeads * self.groups) {}

  static int64_t elements(int threads, int lanes) {
    return static_cast<int64_t>(threads) * Tile::kChannels * (Tile::kHeads + 1) +
           2 * static_cast<int64_t>(Tile::kHeads) * (threads / lanes);
  }
};

template <class Tile>
__device__ __forceinline__ void write_group(const GroupSums<Tile>& shared, const ForwardState<Tile>& state,
                                            const RegionThread& self) {
  const int span_channels = self.lanes * Tile::kChannels;
#pragma unroll
  for (int j = 0; j < Tile::kPackets; ++j) {
    const int channel = packet_channel<Tile>(self, 0, j);
#pragma unroll
    for (int h = 0; h <= Tile::kHeads; ++h) {
      const auto* values = h < Tile::kHeads ? state.pooled[h] : state.sum;
      write_part<Tile::kWidth>(
          shared.sums + (h * self.groups + self.group) * span_channels + channel, values + j * Tile::kWidth);
    }
  }
  if (self.lane > 0) return;
#pragma unroll
  for (int h = 0; h < Tile::kHeads; ++h) {
    shared.peaks[h * self.groups + self.group] = state.softmax[h].peak;
    shared.totals[h * self.groups + self.group] = state.softmax[h].sum;
  }
}

// Turns a head's peaks into the factors of its groups' sums, by one warp.
template <class A>
__device__ __forceinline__ void normalise_groups(A* peaks, const A* totals, int groups) {
  const int lane = threadIdx.x % 32;
  A peak = kLowest<A>, total = 0;
#pragma unroll 1
  for (int g = lane; g < groups; g += 32) peak = larger(peak, peaks[g]);
  peak = largest_over_lanes(peak, 32);
#pragma unroll 1
  for (int g = lane; g < groups; g += 32) {
    peaks[g] = exp2_fast(peaks[g] - peak);
    total += peaks[g] * totals[g];
  }
  const A normaliser = inverse(sum_over_lanes(total, 32));
#pragma unroll 1
  for (int g = lane; g < groups; g += 32) peaks[g] *= normaliser;
}

template <class Tile>
__device__ __forceinline__ void write_outputs(const GroupSums<Tile>& shared, const RegionTask& task,
                                              const RegionThread& self, int first_head, int span,
                                              const RegionOutputs& outputs) {
  using T = typename Tile::T;
  using A = typename Tile::A;
  const int span_channels = self.lanes * Tile::kChannels;
  const int64_t region = static_cast<int64_t>(self.image) * task.regions() + self.region;
  const A one_position = inverse(A(task.positions()));
#pragma unroll 1
  for (int i = threadIdx.x; i < (Tile::kHeads + 1) * span_channels; i += blockDim.x) {
    const int h = i / span_channels, local = i % span_channels, channel = span + local;
    const bool is_mean = h == Tile::kHeads;
    if (channel >= task.channels || (is_mean ? first_head > 0 : first_head + h >= task.heads)) continue;
    A sum = 0;
#pragma unroll 4
    for (int g = 0; g < self.groups; ++g) {
      const A factor = is_mean ? A(1) : shared.peaks[h * self.groups + g];
      sum += factor * shared.sums[(h * self.groups + g) * span_channels + local];
    }
    if (is_mean) {
      static_cast<T*>(outputs.mean)[region * task.channels + channel] = narrow<T>(sum * one_position);
    } else {
      static_cast<T*>(outputs.pooled)[(region * task.heads + first_head + h) * task.channels + channel] =
          narrow<T>(sum);
    }
  }
}

// Of heads first_head .. first_head + kHeads - 1 and the channels of one span; the block's threads together.
template <class Tile>
__device__ __forceinline__ void merge_groups(const ForwardState<Tile>& state, const RegionTask& task,
                                             const RegionThread& self, int first_head, int span,
                                             const RegionOutputs& outputs) {
  const GroupSums<Tile> shared(self);
  __syncthreads();  // the previous span's sums have been read
  write_group(shared, state, self);
  __syncthreads();
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
#pragma unroll 1
  for (int h = warp; h < Tile::kHeads; h += warps) {
    normalise_groups(shared.peaks + h * self.groups, shared.totals + h * self.groups, self.groups);
  }
  __syncthreads();
  write_outputs(shared, task, self, first_head, span, outputs);
}

}  // namespace lnlattennet::cuda
