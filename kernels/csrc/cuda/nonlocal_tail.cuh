// The non-local tail of one image, by one block: tokens, projections, affinity and contexts, region weights.
#pragma once

#include "nonlocal_projection.cuh"

namespace lnlattennet::cuda {

// Working memory of one image's tail for a block of `threads`, in elements (a multiple of 16 bytes).
__host__ __device__ inline int64_t tail_elements(const NonlocalAttention& tail, int threads) {
  const int64_t tokens = token_rows(tail.regions) * token_pitch(tail.channels);
  return (tokens + tail.regions * (3 * tail_pitch(tail.width) + 1 + threads / 32) + 3) / 4 * 4;
}

// All threads of the block call run(). The memory is shared, or scratch where that is too small; the mean's type T
// sets the accumulation type.
template <class T>
class ImageTail {
  using A = Accumulate<T>;

 public:
  // `memory`: tail_elements, aligned to 16 bytes.
  __device__ __forceinline__ ImageTail(const NonlocalAttention& tail, const NonlocalOutputs& outputs, int64_t image,
                                       A* memory)
      : tail_(tail),
        outputs_(outputs),
        image_(image),
        regions_(static_cast<int>(tail.regions)),
        width_(static_cast<int>(tail.width)),
        pitch_(static_cast<int>(tail_pitch(tail.width))),
        tokens_(memory),
        projected_(memory + token_rows(tail.regions) * token_pitch(tail.channels)),
        score_(projected_ + 3 * regions_ * pitch_) {}

  // `mean` [regions, channels] may have been written in this launch, before a fence.
  __device__ __forceinline__ void run(const T* mean) const {
    stage_tokens(mean);
    __syncthreads();
    project_tokens<T>(tail_, tokens_, projected_);
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
    const int channels = static_cast<int>(tail_.channels), pitch = static_cast<int>(token_pitch(channels));
#pragma unroll 1
    for (int i = threadIdx.x; i < token_rows(regions_) * pitch; i += blockDim.x) {
      const int region = i / pitch, c = i - region * pitch, source = region * channels + c;
      const bool exists = region < regions_ && c < channels;
      tokens_[i] = exists ? load_written(mean + source) + load_parameter<T>(tail_.position, source, tail_.parameters)
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
        part += active * load_parameter<T>(tail_.score_weight, j, tail_.parameters);
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
    normalise(affinity, largest_over_lanes(peak, 32), outputs_.affinity, (image_ * regions_ + region) * regions_);
  }

  // The region weights: softmax(score), here and in the outputs.
  __device__ __forceinline__ void weigh() const {
    A peak = kLowest<A>;
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) {
      score_[k] *= kLog2E<A>;
      peak = larger(peak, score_[k]);
    }
    normalise(score_, largest_over_lanes(peak, 32), outputs_.weights, image_ * regions_);
  }

  // One warp: base-2 scores [regions] -> softmax weights in their place, and in `output` from `start` on.
  __device__ __forceinline__ void normalise(A* scores, A peak, void* output, int64_t start) const {
    OnlineSoftmax<A> softmax;
    softmax.peak = peak;
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) scores[k] = softmax.add(scores[k]);
    const A normaliser = inverse(sum_over_lanes(softmax.sum, 32));
#pragma unroll 1
    for (int k = lane(); k < regions_; k += 32) {
      scores[k] *= normaliser;
      store_parameter<T>(output, start + k, tail_.parameters, scores[k]);
    }
  }

  // sum_k weights_k context_k.
  __device__ __forceinline__ void pool() const {
#pragma unroll 1
    for (int j = threadIdx.x; j < width_; j += blockDim.x) {
      A sum = 0;
#pragma unroll 4
      for (int k = 0; k < regions_; ++k) sum += score_[k] * query(k)[j];
      store_parameter<T>(outputs_.context, image_ * width_ + j, tail_.parameters, sum);
    }
  }

  const NonlocalAttention& tail_;
  const NonlocalOutputs& outputs_;
  int64_t image_;
  int regions_, width_, pitch_;
  A *tokens_, *projected_, *score_;
};

}  // namespace lnlattennet::cuda
