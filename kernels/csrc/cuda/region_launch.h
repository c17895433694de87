// How the kernels that give a block one region are spread over threads.
#pragma once

#include <algorithm>

#include "elements.cuh"

namespace lnlattennet::cuda {

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

// Whether all of a region's positions can be read in 16-byte words.
inline bool region_in_words(const FeatureMap& f) {
  const int64_t bytes = element_bytes(f.dtype);
  const int64_t together = f.batch_stride | f.row_stride | f.column_stride | f.channels;
  return f.channel_stride == 1 && together * bytes % 16 == 0 && reinterpret_cast<uintptr_t>(f.data) % 16 == 0;
}

}  // namespace lnlattennet::cuda
