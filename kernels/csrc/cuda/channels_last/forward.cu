// Forward pass for any strides: a block per region, which it reads once; channels over the lanes of a group, positions
// over the groups.
#include <algorithm>

#include "../common/launch.cuh"
#include "../nonlocal/attention.cuh"
#include "../region_attention.h"
#include "region.cuh"

namespace lnlattennet::cuda {

namespace {

// The lanes hold kHeads heads at a time. With kOnePass these are all heads, and the span all channels; otherwise they
// are taken in turns, and every turn reads the region again (from cache).
template <class Element, int kWidthOf, int kPacketsOf, int kHeadsOf, bool kOnePassOf>
struct ForwardTile : RegionTile<Element, kWidthOf, kPacketsOf> {
  using Base = RegionTile<Element, kWidthOf, kPacketsOf>;
  static constexpr int kHeads = kHeadsOf;
  static constexpr bool kOnePass = kOnePassOf;
  // Positions in flight: 64 bytes a lane hide the memory's latency at the occupancy below.
  static constexpr int kUnroll = Base::kChannels * sizeof(Element) <= 16 && kWidthOf > 1 ? 4 : 2;
  static constexpr int kMaxThreads = 256;
  // Blocks per multiprocessor that leave registers enough for the query and the sums (in 4-byte words), not more.
  static constexpr int kWords = Base::kChannels * (2 * kHeads + 1) * static_cast<int>(sizeof(typename Base::A)) / 4;
  static constexpr int kMinBlocks = !kOnePass                             ? (kWords <= 40 ? 2 : 1)
                                    : kWords <= 24 && sizeof(Element) < 4 ? 3
                                    : kWords <= 48                        ? 2
                                                                          : 1;
};

// One group's share of a region: q and the sums for its lanes' channels.
template <class Tile>
struct ForwardState {
  using A = typename Tile::A;
  A query[Tile::kHeads][Tile::kChannels];
  A pooled[Tile::kHeads][Tile::kChannels] = {};
  A sum[Tile::kChannels] = {};
  OnlineSoftmax<A> softmax[Tile::kHeads];
};

template <class Tile>
__device__ __forceinline__ void load_query(ForwardState<Tile>& state, const RegionTask& task, const RegionThread& self,
                                           int first_head, int span) {
  using A = typename Tile::A;
  const A scale = kLog2E<A> * inverse_root(static_cast<A>(task.channels));
  const int64_t start = (static_cast<int64_t>(self.region) * task.heads + first_head) * task.channels;
  with_parameters<typename Tile::T>(task.parameters, [&](auto type) {  // all loads are in flight together
    const auto* query = static_cast<const decltype(type)*>(task.query) + start;
#pragma unroll
    for (int h = 0; h < Tile::kHeads; ++h) {
      const bool exists = first_head + h < task.heads;
      load_row<Tile>(state.query[h], query + (exists ? h * task.channels : 0), task.channels, self, span, scale);
    }
  });
}

template <class Tile>
__device__ __forceinline__ void add_scores(typename Tile::A (&scores)[Tile::kHeads * Tile::kUnroll],
                                           const ForwardState<Tile>& state,
                                           const typename Tile::Elements (&x)[Tile::kUnroll][Tile::kPackets]) {
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) {
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) {
      const auto value = element<Tile>(x[u], i);
#pragma unroll
      for (int h = 0; h < Tile::kHeads; ++h) scores[h * Tile::kUnroll + u] += state.query[h][i] * value;
    }
  }
}

// Turns one head's scores of kUnroll positions into weights; `left` positions of the region are left from the first
// of them on, one in self.groups of which is this group's.
template <class Tile>
__device__ __forceinline__ void weigh(ForwardState<Tile>& state, int head, const RegionThread& self, int left,
                                      typename Tile::A* scores) {
  using A = typename Tile::A;
  A peak = kLowest<A>;
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) {
    if (u * self.groups >= left) scores[u] = minus_infinity(A());
    peak = larger(peak, scores[u]);
  }
  const A rescale = state.softmax[head].raise(peak);
#pragma unroll
  for (int i = 0; i < Tile::kChannels; ++i) state.pooled[head][i] *= rescale;
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) scores[u] = state.softmax[head].add(scores[u]);
}

// Takes kUnroll positions' elements into the sums.
template <class Tile>
__device__ __forceinline__ void accumulate(ForwardState<Tile>& state,
                                           const typename Tile::A (&weights)[Tile::kHeads * Tile::kUnroll],
                                           typename Tile::Elements (&x)[Tile::kUnroll][Tile::kPackets]) {
#pragma unroll
  for (int u = 0; u < Tile::kUnroll; ++u) {
#pragma unroll
    for (int j = 0; j < Tile::kPackets; ++j) forget_unpacked(x[u][j].word);
#pragma unroll
    for (int i = 0; i < Tile::kChannels; ++i) {
      const auto value = element<Tile>(x[u], i);
      state.sum[i] += value;
#pragma unroll
      for (int h = 0; h < Tile::kHeads; ++h) state.pooled[h][i] += weights[h * Tile::kUnroll + u] * value;
    }
  }
}

template <class Tile>
__device__ __forceinline__ void pool_positions(ForwardState<Tile>& state, const RegionTask& task,
                                               const RegionThread& self, int first_head, int span) {
  using T = typename Tile::T;
  constexpr int kUnroll = Tile::kUnroll;
  const T* region = static_cast<const T*>(task.features) +
                    region_offset(task, self, task.batch_stride, task.row_stride, task.column_stride);
  PositionWalk walk(task, self, task.row_stride, task.column_stride);
#pragma unroll 1
  for (int first = self.warp_group; first < task.positions(); first += self.groups * kUnroll) {  // whole warps
    const int left = task.positions() - first - (self.group - self.warp_group);
    int offset[kUnroll];
    walk.next(offset, self.groups, left);
    typename Tile::Elements x[kUnroll][Tile::kPackets];
    load_elements<Tile>(x, region, offset, task, self, span);
    typename Tile::A scores[Tile::kHeads * kUnroll] = {};
    add_scores<Tile>(scores, state, x);
    for (int other = 0; !Tile::kOnePass && other < task.channels; other += self.lanes * Tile::kChannels) {
      if (other == span) continue;
      ForwardState<Tile> elsewhere;
      typename Tile::Elements y[kUnroll][Tile::kPackets];
      load_query(elsewhere, task, self, first_head, other);
      load_elements<Tile>(y, region, offset, task, self, other);
      add_scores<Tile>(scores, elsewhere, y);
    }
    sum_over_group(scores, self);
#pragma unroll
    for (int h = 0; h < Tile::kHeads; ++h) weigh<Tile>(state, h, self, left, scores + h * kUnroll);
    accumulate<Tile>(state, scores, x);
  }
}

// ---- the groups' sums become pooled and mean -----------------------------------------------------------------------

// Results of the block's groups in shared memory: sums [kHeads + 1, groups, span channels] (the last array is
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
      write_part<Tile::kWidth>(shared.sums + (h * self.groups + self.group) * span_channels + channel,
                               values + j * Tile::kWidth);
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
__device__ __forceinline__ void normalize_groups(A* peaks, const A* totals, int groups) {
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
  const A normalizer = inverse(sum_over_lanes(total, 32));
#pragma unroll 1
  for (int g = lane; g < groups; g += 32) peaks[g] *= normalizer;
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
    normalize_groups(shared.peaks + h * self.groups, shared.totals + h * self.groups, self.groups);
  }
  __syncthreads();
  write_outputs(shared, task, self, first_head, span, outputs);
}

// ---- kernel and launch ---------------------------------------------------------------------------------------------

template <class Tile>
__device__ __forceinline__ void pool_region(const RegionTask& task, const RegionThread& self, int first_head, int span,
                                            const RegionOutputs& outputs) {
  ForwardState<Tile> state;
  load_query(state, task, self, first_head, span);
  pool_positions(state, task, self, first_head, span);
  merge_groups(state, task, self, first_head, span, outputs);
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kMaxThreads, Tile::kMinBlocks)
    channels_last_forward_kernel(const RegionTask task, const RegionOutputs outputs,
                                 const __grid_constant__ NonlocalEpilogue epilogue) {
  const RegionThread self = region_thread(task);
  if constexpr (Tile::kOnePass) {
    pool_region<Tile>(task, self, 0, 0, outputs);
  } else {
    for (int first_head = 0; first_head < task.heads; first_head += Tile::kHeads) {
      for (int span = 0; span < task.channels; span += self.lanes * Tile::kChannels) {
        pool_region<Tile>(task, self, first_head, span, outputs);
      }
    }
  }
  run_epilogue<typename Tile::T>(epilogue, static_cast<unsigned>(task.regions()), outputs.mean);
}

template <class Tile>
const char* launch(const RegionAttention& problem, const RegionOutputs& outputs, const NonlocalEpilogue& epilogue,
                   void* stream) {
  DeviceLimits limits{};
  if (const char* failure = message(device_limits(limits))) return failure;
  const int lane_bits = region_lane_bits(problem.features.channels, Tile::kChannels);
  const int threads = region_threads(problem, lane_bits, Tile::kUnroll, Tile::kMaxThreads, limits.processors);
  constexpr int64_t kBytes = sizeof(typename Tile::A);
  const int64_t sums = GroupSums<Tile>::elements(threads, 1 << lane_bits) * kBytes;
  const LaunchShape shape{problem.features.batch * problem.grid * problem.grid, threads,
                          std::max(sums, nonlocal_shared_bytes(epilogue.attention, problem.features.dtype, threads))};
  return message(launch_kernel(channels_last_forward_kernel<Tile>, shape, stream, region_task(problem, lane_bits),
                               outputs, epilogue));
}

// Every tile costs compile time: those that the common shapes gain from, and for each type one that takes any shape.
template <class T>
const char* launch_tile(const RegionAttention& problem, const RegionOutputs& outputs, const NonlocalEpilogue& epilogue,
                        void* stream) {
  const int64_t channels = problem.features.channels, heads = problem.heads;
  if constexpr (sizeof(T) < 8) {
    constexpr int kWidth = kWidest<T>, kFew = 8 / kWidth, kMany = 16 / kWidth;
    if (region_in_words(problem.features)) {
      using Few = ForwardTile<T, kWidth, kFew, 1, true>;
      using Many = ForwardTile<T, kWidth, kMany, 1, true>;
      if (heads == 1 && channels <= 32 * Few::kChannels) return launch<Few>(problem, outputs, epilogue, stream);
      if (heads == 1 && channels <= 32 * Many::kChannels) return launch<Many>(problem, outputs, epilogue, stream);
      return launch<ForwardTile<T, kWidth, kFew, 2, false>>(problem, outputs, epilogue, stream);
    }
  }
  return launch<ForwardTile<T, 1, 8, 1, false>>(problem, outputs, epilogue, stream);
}

}  // namespace

const char* channels_last_forward(const RegionAttention& problem, const RegionOutputs& outputs,
                                  const NonlocalEpilogue& epilogue, void* stream) {
  return dispatch(problem.features.dtype,
                  [&](auto element) { return launch_tile<decltype(element)>(problem, outputs, epilogue, stream); });
}

}  // namespace lnlattennet::cuda
