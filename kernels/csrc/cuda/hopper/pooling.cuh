// Attention pooling of one region by some lanes: a group of kLanes neighbouring lanes shares a position, each lane
// holding 16 of its channels, and every group walks through positions of its own.
#pragma once

#include "../online_softmax.cuh"
#include "../parameters.cuh"
#include "plan.h"

namespace lnlattennet::cuda::hopper {

template <class T, int kLanes>
class Pooling {
 public:
  static constexpr int kPerVector = kWidest<T>;
  static constexpr int kVectors = kLaneChannels / kPerVector;
  static constexpr int kGroups = kWarpSize / kLanes;  // of a warp
  static constexpr int kChannels = kLanes * kLaneChannels;
  // In `store`. Half types' vectors are twice as wide in float: an odd number of 16 bytes spreads groups over the banks.
  static constexpr int kGroupFloats = 2 * kChannels + (kPerVector == 8 ? 4 : 0);

  __device__ explicit Pooling(int channels) : channels_(channels) {
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
      offsets_[vector] = exists(vector) ? first_channel(vector) * static_cast<int>(sizeof(T)) : kNothing;
    }
  }

  // `query` [channels], of which `scale` times is used.
  template <class P>
  __device__ void load_query(const P* query, float scale) {
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
      if (exists(vector)) load_part(query_[vector], query + first_channel(vector), kPerVector, true);
    }
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
#pragma unroll
      for (int i = 0; i < kPerVector; ++i) query_[vector][i] *= scale;
    }
  }

  // Takes one position in shared memory; one that is not valid does not exist and is not read.
  __device__ void take(const unsigned char* position, bool valid) {
    float features[kVectors][kPerVector];
    load(position, valid, features);
    const float product = sum_over_lanes(times_query(features), kLanes);
    const float score = valid ? product : minus_infinity(product);
    const float rescale = softmax_.raise(score);
    const float weight = softmax_.add(score);
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
#pragma unroll
      for (int i = 0; i < kPerVector; ++i) {
        pooled_[vector][i] = fmaf(weight, features[vector][i], pooled_[vector][i] * rescale);
        sums_[vector][i] += features[vector][i];
      }
    }
  }

  // Writes what this warp has pooled, relative to its highest score: [kGroups][kGroupFloats], of which the first
  // kChannels are the pooled features and the next the sums; and {highest score, sum of weights}.
  __device__ void store(float* partials, float* normaliser) const {
    const float highest = largest_over_lanes(softmax_.peak, kWarpSize);
    const float rescale = exp2_fast(softmax_.peak - highest);
    const float sum = sum_over_lanes(softmax_.sum * rescale, kWarpSize) / kLanes;
    if (threadIdx.x % kWarpSize == 0) {
      normaliser[0] = highest;
      normaliser[1] = sum;
    }
    float* group = partials + threadIdx.x % kWarpSize / kLanes * kGroupFloats;
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
      store_vector(group + first_channel(vector), pooled_[vector], rescale);
      store_vector(group + kChannels + first_channel(vector), sums_[vector], 1.0f);
    }
  }

 private:
  static constexpr int kNothing = -1;  // the offset of a vector beyond the channels: zeros

  __device__ bool exists(int vector) const { return first_channel(vector) < channels_; }

  // Lanes of a group read neighbouring vectors. Groups whose positions start in the same memory bank begin with
  // different vectors, so that the 8 lanes of one 128-byte access use every bank once.
  __device__ static int first_channel(int vector) {
    constexpr int kPositionBytes = kLanes * kVectors * 16;
    constexpr int kGroupsPerRow = kPositionBytes < 128 ? 128 / kPositionBytes : 1;
    const int group = threadIdx.x % kWarpSize / kLanes;
    const int swizzle = kLanes >= 8 ? 0 : group / kGroupsPerRow % kVectors;
    return ((vector ^ swizzle) * kLanes + static_cast<int>(threadIdx.x) % kLanes) * kPerVector;
  }

  __device__ void load(const unsigned char* position, bool valid, float (&features)[kVectors][kPerVector]) const {
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
      uint4 word = {0, 0, 0, 0};
      if (valid && offsets_[vector] != kNothing) word = *reinterpret_cast<const uint4*>(position + offsets_[vector]);
      const Packet<T, kPerVector> packet{word};
#pragma unroll
      for (int i = 0; i < kPerVector; ++i) features[vector][i] = packet[i];
    }
  }

  __device__ float times_query(const float (&features)[kVectors][kPerVector]) const {
    float sums[kVectors] = {};  // independent of each other, so that they can be computed at the same time
#pragma unroll
    for (int i = 0; i < kPerVector; ++i) {
#pragma unroll
      for (int vector = 0; vector < kVectors; ++vector) {
        sums[vector] = fmaf(query_[vector][i], features[vector][i], sums[vector]);
      }
    }
    float sum = sums[0];
#pragma unroll
    for (int vector = 1; vector < kVectors; ++vector) sum += sums[vector];
    return sum;
  }

  __device__ static void store_vector(float* target, const float (&values)[kPerVector], float factor) {
#pragma unroll
    for (int i = 0; i < kPerVector; i += 4) {
      *reinterpret_cast<float4*>(target + i) = {factor * values[i], factor * values[i + 1], factor * values[i + 2],
                                                factor * values[i + 3]};
    }
  }

  int channels_;
  int offsets_[kVectors];  // of this lane's vectors in a position, in bytes
  float query_[kVectors][kPerVector] = {};
  float pooled_[kVectors][kPerVector] = {};
  float sums_[kVectors][kPerVector] = {};
  OnlineSoftmax<float> softmax_;
};

}  // namespace lnlattennet::cuda::hopper
