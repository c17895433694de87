// Softmax over a stream of scores, in base 2: exp(s) = 2^(s log2 e), with log2 e folded into the query.
#pragma once

#include "device.cuh"

namespace lnlattennet::cuda {

// Below every finite score, and finite itself: the weight of an empty stream, 2^(lowest - peak), is 0 or (against
// another empty one) 1 times a sum of 0, never a NaN from inf - inf. NaN scores pass fmax by and make the sum NaN.
template <class A>
inline constexpr A kLowest = -static_cast<A>(sizeof(A) == 8 ? 1.7e308 : 3.0e38);

template <class A>
inline constexpr A kLog2E = static_cast<A>(1.4426950408889634074);

// Infinitely unlikely: the score of a position that does not exist.
__device__ __forceinline__ float minus_infinity(float) { return -INFINITY; }
__device__ __forceinline__ double minus_infinity(double) { return -INFINITY; }

__device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

// sum = sum over the scores seen of 2^(score - peak).
template <class A>
struct OnlineSoftmax {
  A peak = kLowest<A>;
  A sum = A(0);

  // Takes the stream's new peak; what was accumulated before must be multiplied by the result.
  __device__ __forceinline__ A raise(A candidate) {
    const A higher = larger(peak, candidate);
    const A rescale = exp2_fast(peak - higher);
    peak = higher;
    sum *= rescale;
    return rescale;
  }

  // The weight of one score, not above the peak.
  __device__ __forceinline__ A add(A score) {
    const A weight = exp2_fast(score - peak);
    sum += weight;
    return weight;
  }

  __device__ __forceinline__ void merge(const OnlineSoftmax& other) {
    const A higher = larger(peak, other.peak);
    sum = sum * exp2_fast(peak - higher) + other.sum * exp2_fast(other.peak - higher);
    peak = higher;
  }
};

// A softmax, and the sum of its weights' gradients under those weights: what the gradients of the scores need.
template <class A>
struct SlopedSoftmax {
  OnlineSoftmax<A> softmax;
  A slope = A(0);

  // As OnlineSoftmax's.
  __device__ __forceinline__ A raise(A candidate) {
    const A rescale = softmax.raise(candidate);
    slope *= rescale;
    return rescale;
  }
  __device__ __forceinline__ A add(A score, A gradient) {
    const A weight = softmax.add(score);
    slope += weight * gradient;
    return weight;
  }

  __device__ __forceinline__ void merge(A peak, A sum, A other_slope) {
    raise(peak);
    const A factor = exp2_fast(peak - softmax.peak);
    softmax.sum += sum * factor;
    slope += other_slope * factor;
  }
};

// Over the lanes of aligned groups of `lanes` (a power of two up to 32); every lane of the warp takes part.
template <class A>
__device__ __forceinline__ A sum_over_lanes(A value, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

template <class A>
__device__ __forceinline__ A largest_over_lanes(A value, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    value = larger(value, __shfl_xor_sync(0xffffffffu, value, step));
  }
  return value;
}

}  // namespace lnlattennet::cuda
