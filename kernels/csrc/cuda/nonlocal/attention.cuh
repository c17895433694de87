// The non-local attention of one image by one block: tokens, projections, affinity and contexts, region weights. A
// launch of its own (attention.cu), or the epilogue of a forward kernel: the image's block that finishes last runs it.
#pragma once

#include "../common/elements.cuh"
#include "../common/online_softmax.cuh"
#include "../region_attention.h"

namespace lnlattennet::cuda {

// ---- queries, keys and values of an image's tokens -----------------------------------------------------------------

// A group of lanes shares a row of a weight and multiplies it with kTokens tokens, one of which ends up with each lane;
// a lane takes kChannels neighboring channels of the row at a time.
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
__host__ __device__ inline int64_t width_pitch(int64_t width) { return width | 1; }

// Sums 2 kHalf values over 2 kHalf neighboring lanes: every step sends away the half of the values that the other
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
    if (c < channels) load_part(next, row + c, channels - c, in_words);  // in flight while this one is used
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
__device__ __forceinline__ void project_row(const NonlocalAttention& nonlocal, int row, int first, int lane, bool store,
                                            const A* tokens, A* projected) {
  const int width = static_cast<int>(nonlocal.width), channels = static_cast<int>(nonlocal.channels);
  const int which = row / width, count = static_cast<int>(nonlocal.regions) - first;
  const void* weight = which == 0 ? nonlocal.query_weight : which == 1 ? nonlocal.key_weight : nonlocal.value_weight;
  const bool in_words = channels % Projection::kChannels == 0 && reinterpret_cast<uint64_t>(weight) % 16 == 0;
  A sums[Projection::kTokens] = {};
  multiply_row(sums, static_cast<const P*>(weight) + static_cast<int64_t>(row - which * width) * channels,
               tokens + first * token_pitch(channels), channels, lane, in_words);
  scatter_sums<Projection::kTokens / 2>(sums, lane);
  A bias = 0;
  if (which == 2) bias = static_cast<A>(load_element(static_cast<const P*>(nonlocal.value_bias) + row - 2 * width));
  A* target = projected + (which * nonlocal.regions + first + lane) * width_pitch(width) + (row - which * width);
  if (store && lane < count) *target = sums[0] + bias;
}

// tokens [token rows, token pitch], aligned to 16 bytes -> projected: query, key and value [3, regions, width pitch].
template <class T>
__device__ __forceinline__ void project_tokens(const NonlocalAttention& nonlocal, const Accumulate<T>* tokens,
                                               Accumulate<T>* projected) {
  const int lane = threadIdx.x % Projection::kLanes, group = threadIdx.x / Projection::kLanes;
  const int groups = blockDim.x / Projection::kLanes, rows = 3 * static_cast<int>(nonlocal.width);
  const int items = rows * ((static_cast<int>(nonlocal.regions) - 1) / Projection::kTokens + 1);
  with_parameters<T>(nonlocal.parameters, [&](auto type) {
#pragma unroll 1
    for (int base = 0; base < items; base += groups) {  // the same number of turns for all lanes: they shuffle
      const int item = min(base + group, items - 1);
      project_row<Accumulate<T>, decltype(type)>(nonlocal, item % rows, item / rows * Projection::kTokens, lane,
                                                 base + group < items, tokens, projected);
    }
  });
}

// ---- one image -----------------------------------------------------------------------------------------------------

// Working memory of one image for a block of `threads`, in elements (a multiple of 16 bytes).
__host__ __device__ inline int64_t nonlocal_elements(const NonlocalAttention& nonlocal, int threads) {
  const int64_t tokens = token_rows(nonlocal.regions) * token_pitch(nonlocal.channels);
  return (tokens + nonlocal.regions * (3 * width_pitch(nonlocal.width) + 1 + threads / 32) + 3) / 4 * 4;
}

// All threads of the block call run(). The memory is shared, or scratch where that is too small; the mean's type T
// sets the accumulation type.
template <class T>
class ImageNonlocal {
  using A = Accumulate<T>;

 public:
  // `memory`: nonlocal_elements, aligned to 16 bytes.
  __device__ __forceinline__ ImageNonlocal(const NonlocalAttention& nonlocal, const NonlocalOutputs& outputs,
                                           int64_t image, A* memory)
      : nonlocal_(nonlocal),
        outputs_(outputs),
        image_(image),
        regions_(static_cast<int>(nonlocal.regions)),
        width_(static_cast<int>(nonlocal.width)),
        pitch_(static_cast<int>(width_pitch(nonlocal.width))),
        tokens_(memory),
        projected_(memory + token_rows(nonlocal.regions) * token_pitch(nonlocal.channels)),
        score_(projected_ + 3 * regions_ * pitch_) {}

  // `mean` [regions, channels] may have been written in this launch, before a fence.
  __device__ __forceinline__ void run(const T* mean) const {
    stage_tokens(mean);
    __syncthreads();
    project_tokens<T>(nonlocal_, tokens_, projected_);
    __syncthreads();
    attend();
    __syncthreads();
    if (threadIdx.x < 32) weigh();
    __syncthreads();
    pool();
  }

 private:
  __device__ __forceinline__ int lane() const { return static_cast<int>(threadIdx.x) % 32; }
  // Rows of regions; the context of a region takes its query's place.
  __device__ __forceinline__ A* query(int region) const { return projected_ + region * pitch_; }
  __device__ __forceinline__ A* key(int region) const { return query(regions_ + region); }
  __device__ __forceinline__ A* value(int region) const { return query(2 * regions_ + region); }

  __device__ __forceinline__ void stage_tokens(const T* mean) const {
    const int channels = static_cast<int>(nonlocal_.channels), pitch = static_cast<int>(token_pitch(channels));
#pragma unroll 1
    for (int i = threadIdx.x; i < token_rows(regions_) * pitch; i += blockDim.x) {
      const int region = i / pitch, c = i - region * pitch, source = region * channels + c;
      const bool exists = region < regions_ && c < channels;
      tokens_[i] =
          exists ? load_written(mean + source) + load_parameter<T>(nonlocal_.position, source, nonlocal_.parameters)
                 : A(0);
    }
  }

  // A warp per region: its row of the affinity, its context and its score = score_weight . relu(context).
  __device__ __forceinline__ void attend() const {
    const int warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
    A* affinity = score_ + regions_ + warp * regions_;
#pragma unroll 1
    for (int region = warp; region < regions_; region += warps) {
      fill_affinity(region, affinity);
      __syncwarp();
      A part = 0;
#pragma unroll 1
      for (int j = lane(); j < width_; j += 32) {
        A sum = 0;
#pragma unroll 4
        for (int k = 0; k < regions_; ++k) sum += affinity[k] * value(k)[j];
        query(region)[j] = sum;
        const A active = sum < A(0) ? A(0) : sum;  // relu that lets a NaN through
        part += active * load_parameter<T>(nonlocal_.score_weight, j, nonlocal_.parameters);
      }
      part = sum_over_lanes(part, 32);
      if (lane() == 0) score_[region] = part;
      __syncwarp();  // the next region overwrites `affinity`
    }
  }

  // The softmax over all keys, here and in the outputs; lanes read only what they wrote.
  __device__ __forceinline__ void fill_affinity(int region, A* affinity) const {
    const A scale = kLog2E<A> * inverse_root(static_cast<A>(width_));
    A peak = kLowest<A>;
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) {
      A product = 0;
#pragma unroll 4
      for (int j = 0; j < width_; ++j) product += query(region)[j] * key(k)[j];
      affinity[k] = product * scale;
      peak = larger(peak, affinity[k]);
    }
    normalize(affinity, largest_over_lanes(peak, 32), outputs_.affinity, (image_ * regions_ + region) * regions_);
  }

  // The region weights: softmax(score), here and in the outputs.
  __device__ __forceinline__ void weigh() const {
    A peak = kLowest<A>;
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) {
      score_[k] *= kLog2E<A>;
      peak = larger(peak, score_[k]);
    }
    normalize(score_, largest_over_lanes(peak, 32), outputs_.weights, image_ * regions_);
  }

  // One warp: base-2 scores [regions] -> softmax weights in their place, and in `output` from `start` on.
  __device__ __forceinline__ void normalize(A* scores, A peak, void* output, int64_t start) const {
    OnlineSoftmax<A> softmax;
    softmax.peak = peak;
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) scores[k] = softmax.add(scores[k]);
    const A normalizer = inverse(sum_over_lanes(softmax.sum, 32));
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) {
      scores[k] *= normalizer;
      store_parameter<T>(output, start + k, nonlocal_.parameters, scores[k]);
    }
  }

  // sum_k weights_k context_k.
  __device__ __forceinline__ void pool() const {
#pragma unroll 1
    for (int j = threadIdx.x; j < width_; j += blockDim.x) {
      A sum = 0;
#pragma unroll 4
      for (int k = 0; k < regions_; ++k) sum += score_[k] * query(k)[j];
      store_parameter<T>(outputs_.context, image_ * width_ + j, nonlocal_.parameters, sum);
    }
  }

  const NonlocalAttention& nonlocal_;
  const NonlocalOutputs& outputs_;
  int64_t image_;
  int regions_, width_, pitch_;
  A *tokens_, *projected_, *score_;
};

// ---- epilogue of a forward kernel ----------------------------------------------------------------------------------

// The image's block that finishes last runs it. Called by all threads of every block once the block's part of `mean` is
// written; each image has `blocks` neighboring blocks. Shared memory is overwritten. The counter wraps to zero by
// itself, ready for the next launch or graph replay.
template <class T>
__device__ __forceinline__ void run_epilogue(const NonlocalEpilogue& epilogue, unsigned blocks, const void* mean) {
  if (epilogue.attention.regions == 0) return;
  unsigned* arrived_before = shared_memory<unsigned>();
  __threadfence();  // this thread's part of `mean`, before the block's arrival
  __syncthreads();
  const int64_t image = block_index_again() / blocks;
  if (threadIdx.x == 0) *arrived_before = atomicInc(epilogue.counters + image, blocks - 1);
  __syncthreads();
  const bool last = *arrived_before == blocks - 1;
  __syncthreads();  // everyone has read it: what follows may overwrite it
  if (!last) return;
  __threadfence();
  const T* start = static_cast<const T*>(mean) + image * epilogue.attention.regions * epilogue.attention.channels;
  ImageNonlocal<T>(epilogue.attention, epilogue.outputs, image, shared_memory<Accumulate<T>>()).run(start);
}

// ---- host side -----------------------------------------------------------------------------------------------------

inline int64_t accumulation_bytes(DType dtype) { return dtype == DType::f64 ? 8 : 4; }

// Dynamic shared memory for the non-local attention of an image after features (or means) of this type; 0 if that is
// more than every device grants, and so much that hardly any blocks would share a multiprocessor.
inline int64_t nonlocal_shared_bytes(const NonlocalAttention& nonlocal, DType features, int threads) {
  constexpr int64_t kMax = 48 * 1024;
  const int64_t bytes = nonlocal_elements(nonlocal, threads) * accumulation_bytes(features);
  return bytes <= kMax ? bytes : 0;
}

// No kernel gives it more threads than this.
inline constexpr int kMaxNonlocalThreads = 1024;

inline const char* check_nonlocal(const NonlocalAttention& nonlocal) {
  constexpr int64_t kMax = int64_t{1} << 30;
  if (nonlocal_elements(nonlocal, kMaxNonlocalThreads) > kMax || nonlocal.batch > kMax) {
    return "nonlocal attention: regions x (channels + 3 x width) must not exceed 2^30; use a coarser grid";
  }
  return nullptr;
}

}  // namespace lnlattennet::cuda
