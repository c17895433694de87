// The tail's first step: the queries, keys and values of an image's tokens.
#pragma once

#include "online_softmax.cuh"
#include "parameters.cuh"

namespace lnlattennet::cuda {

// A group of lanes shares a row of a weight and multiplies it with kTokens tokens, one of which ends up with each lane;
// a lane takes kChannels neighbouring channels of the row at a time.
struct Projection {
  static constexpr int kLanes = 8, kTokens = kLanes, kChannels = 4;
};

// Tokens lie token_pitch apart, and there are token_rows of them, the surplus being 0; queries, keys, values and
// contexts lie an odd distance apart, free of bank conflicts.
__host__ __device__ inline int64_t token_rows(int64_t regions) {
  return (regions + Projection::kTokens - 1) / Projection::kTokens * Projection::kTokens;
}
__host__ __device__ inline int64_t token_pitch(int64_t channels) {
  return (channels + Projection::kChannels - 1) / Projection::kChannels * Projection::kChannels;
}
__host__ __device__ inline int64_t tail_pitch(int64_t width) { return width | 1; }

// Sums 2 kHalf values over 2 kHalf neighbouring lanes: every step sends away the half of the values that the other
// lanes keep, until lane i has the sum of value i, in front.
template <int kHalf, class A>
__device__ __forceinline__ void scatter_sums(A (&sums)[Projection::kTokens], int lane) {
  const bool upper = lane & kHalf;
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    const A sent = upper ? sums[i] : sums[i + kHalf], kept = upper ? sums[i + kHalf] : sums[i];
    sums[i] = kept + __shfl_xor_sync(0xffffffffu, sent, kHalf);
  }
  if constexpr (kHalf > 1) scatter_sums<kHalf / 2>(sums, lane);
}

// A lane's part of the products of one row with kTokens tokens.
template <class A, class P>
__device__ __forceinline__ void multiply_row(A (&sums)[Projection::kTokens], const P* row, const A* tokens,
                                             int channels, int lane, bool in_words) {
  constexpr int kChannels = Projection::kChannels;
  const int pitch = static_cast<int>(token_pitch(channels));
  int c = lane * kChannels;
  A next[kChannels] = {};
  if (c < channels) load_part(next, row + c, channels - c, in_words);
#pragma unroll 1
  while (c < channels) {
    A weights[kChannels];
#pragma unroll
    for (int j = 0; j < kChannels; ++j) weights[j] = next[j];
    const int here = c;
    c += Projection::kLanes * kChannels;
    if (c < channels) load_part(next, row + c, channels - c, in_words);  // under way while this one is used
#pragma unroll
    for (int i = 0; i < Projection::kTokens; ++i) {
      A token[kChannels];
      read_aligned(token, tokens + i * pitch + here);
#pragma unroll
      for (int j = 0; j < kChannels; ++j) sums[i] += weights[j] * token[j];
    }
  }
}

// Row `row` of the three weights, one below the other, times tokens from `first` on.
template <class A, class P>
__device__ __forceinline__ void project_row(const NonlocalAttention& tail, int row, int first, int lane, bool store,
                                            const A* tokens, A* projected) {
  const int width = static_cast<int>(tail.width), channels = static_cast<int>(tail.channels);
  const int which = row / width, count = static_cast<int>(tail.regions) - first;
  const void* weight = which == 0 ? tail.query_weight : which == 1 ? tail.key_weight : tail.value_weight;
  const bool in_words = channels % Projection::kChannels == 0 && reinterpret_cast<uint64_t>(weight) % 16 == 0;
  A sums[Projection::kTokens] = {};
  multiply_row(sums, static_cast<const P*>(weight) + static_cast<int64_t>(row - which * width) * channels,
               tokens + first * token_pitch(channels), channels, lane, in_words);
  scatter_sums<Projection::kTokens / 2>(sums, lane);
  A bias = 0;
  if (which == 2) bias = static_cast<A>(load_element(static_cast<const P*>(tail.value_bias) + row - 2 * width));
  A* target = projected + (which * tail.regions + first + lane) * tail_pitch(width) + (row - which * width);
  if (store && lane < count) *target = sums[0] + bias;
}

// tokens [token rows, token pitch], aligned to 16 bytes -> projected: query, key and value [3, regions, tail pitch].
template <class T>
__device__ __forceinline__ void project_tokens(const NonlocalAttention& tail, const Accumulate<T>* tokens,
                                               Accumulate<T>* projected) {
  const int lane = threadIdx.x % Projection::kLanes, group = threadIdx.x / Projection::kLanes;
  const int groups = blockDim.x / Projection::kLanes, rows = 3 * static_cast<int>(tail.width);
  const int items = rows * ((static_cast<int>(tail.regions) - 1) / Projection::kTokens + 1);
  with_parameters<T>(tail.parameters, [&](auto type) {
#pragma unroll 1
    for (int base = 0; base < items; base += groups) {  // the same number of turns for all lanes: they shuffle
      const int item = min(base + group, items - 1);
      project_row<Accumulate<T>, decltype(type)>(tail, item % rows, item / rows * Projection::kTokens, lane,
                                                 base + group < items, tokens, projected);
    }
  });
}

}  // namespace lnlattennet::cuda
