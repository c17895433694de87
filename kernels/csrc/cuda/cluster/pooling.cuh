// From device memory into registers: the ring through which a tile's rows reach a block, and the attention pooling of
// the tile's regions by all computing warps of the block.
#pragma once

#include "../common/elements.cuh"
#include "../common/online_softmax.cuh"
#include "plan.h"

namespace lnlattennet::cuda::cluster {

// ---- ring ----------------------------------------------------------------------------------------------------------
//
// Bulk copies by one warp, read by the others. Every stage has two barriers: `full` (the bytes have arrived) and
// `empty` (every computing warp has read them).
//
// Stage i of the tile lies in slot i % stages, and is use i / stages of that slot: a barrier's phase, whose parity
// is what waits look at.

// Rows of the stage that begins with row `first_row` of the tile.
__device__ inline int stage_rows(const Plan& plan, int first_row) {
  return plan.rows - first_row < plan.stage_rows ? plan.rows - first_row : plan.stage_rows;
}

class Ring {
 public:
  __device__ explicit Ring(const Plan& plan)
      : plan_(plan), full_(shared_memory<CopyBarrier>()), empty_(full_ + kMaxStages) {}

  // By one thread, before a __syncthreads.
  __device__ void initialize() {
    for (int slot = 0; slot < plan_.stages; ++slot) {
      barrier_init(&full_[slot], 1);
      barrier_init(&empty_[slot], plan_.warps);
    }
    barrier_init_fence();
    fence_before_bulk_copy();
  }

  // By all lanes of the copying warp; `tile` is the tile's first element, rows are `row_stride` bytes apart.
  __device__ void fill(const unsigned char* tile, int64_t row_stride) {
    for (int first_row = 0; first_row < plan_.rows; first_row += plan_.stage_rows, advance()) {
      const int rows = stage_rows(plan_, first_row);
      wait_until_free();
      if (lane() == 0) barrier_arrive_expect(&full_[slot_], rows * plan_.row_bytes);
      __syncwarp();
      copy(tile + first_row * row_stride, row_stride, rows);
    }
  }

  // Waits for the next stage; its rows follow each other without gaps.
  __device__ const unsigned char* wait() const {
    barrier_wait(&full_[slot_], parity_);
    return slot();
  }

  // By all lanes of a computing warp, when they have read the stage they waited for.
  __device__ void release() {
    __syncwarp();
    if (lane() == 0) barrier_arrive(&empty_[slot_]);
    advance();
  }

 private:
  __device__ static int lane() { return threadIdx.x % kWarpSize; }

  __device__ unsigned char* slot() const {
    return shared_memory<unsigned char>() + kRingOffset + slot_ * plan_.stage_bytes;
  }

  // The slot's previous use must have been read. Before its first use, the phase "before the first", of parity 1,
  // counts as complete.
  __device__ void wait_until_free() { barrier_wait(&empty_[slot_], parity_ ^ 1); }

  __device__ void advance() {
    if (++slot_ == plan_.stages) {
      slot_ = 0;
      parity_ ^= 1;
    }
  }

  __device__ void copy(const unsigned char* source, int64_t row_stride, int rows) const {
    if (plan_.dense) {
      if (lane() == 0) bulk_copy(slot(), source, rows * plan_.row_bytes, &full_[slot_]);
      return;
    }
    for (int row = lane(); row < rows; row += kWarpSize) {
      bulk_copy(slot() + row * plan_.row_bytes, source + row * row_stride, plan_.row_bytes, &full_[slot_]);
    }
  }

  const Plan& plan_;
  CopyBarrier* full_;
  CopyBarrier* empty_;
  int slot_ = 0;
  uint32_t parity_ = 0;
};

// ---- one region by some lanes --------------------------------------------------------------------------------------
//
// A group of kLanes neighboring lanes shares a position, each lane holding 16 of its channels, and every group walks
// through positions of its own.

template <class T, int kLanes>
class Pooling {
 public:
  static constexpr int kPerVector = kWidest<T>;
  static constexpr int kVectors = kLaneChannels / kPerVector;
  static constexpr int kGroups = kWarpSize / kLanes;  // of a warp
  static constexpr int kChannels = kLanes * kLaneChannels;
  // In `store`. Half types' vectors are twice as wide in float: an odd number of 16 bytes spreads groups over the
  // banks.
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
  __device__ void store(float* partials, float* normalizer) const {
    const float highest = largest_over_lanes(softmax_.peak, kWarpSize);
    const float rescale = exp2_fast(softmax_.peak - highest);
    const float sum = sum_over_lanes(softmax_.sum * rescale, kWarpSize) / kLanes;
    if (threadIdx.x % kWarpSize == 0) {
      normalizer[0] = highest;
      normalizer[1] = sum;
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

  // Lanes of a group read neighboring vectors. Groups whose positions start in the same memory bank begin with
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

// ---- the tile by all computing warps -------------------------------------------------------------------------------

// The region of the tile and the head that a computing warp pools, and its share of the positions.
struct Role {
  int region, head, part;

  __device__ Role(const Plan& plan, int warp)
      : region(warp / (plan.parts * plan.heads)), head(warp / plan.parts % plan.heads), part(warp % plan.parts) {}
};

// The positions of a region in a stage that one group of lanes takes: its own number, then every groups-th, row-major.
class Walk {
 public:
  __device__ Walk(const Plan& plan, int group) : plan_(plan), group_(group), column_(group % plan.region_columns) {
    offset_ = group / plan.region_columns * plan.row_bytes + column_ * plan.position_bytes;
  }

  template <class Take>
  __device__ void run(const unsigned char* region, int positions, Take&& take) const {
    int column = column_;
    region += offset_;
    for (int index = group_; index - group_ < positions; index += plan_.groups) {
      take(region, index < positions);
      column += plan_.step_columns;
      region += plan_.step_bytes;
      if (column >= plan_.region_columns) {  // in the next row
        column -= plan_.region_columns;
        region += plan_.wrap_bytes;
      }
    }
  }

 private:
  const Plan& plan_;
  int group_, column_, offset_;  // where it begins
};

// Takes all stages of the tile out of the ring.
template <class T, int kLanes>
__device__ void pool_tile(const Plan& plan, const Role& role, Ring& ring, Pooling<T, kLanes>& pooling) {
  constexpr int kGroups = Pooling<T, kLanes>::kGroups;
  const Walk walk(plan, role.part * kGroups + threadIdx.x % kWarpSize / kLanes);
  const int region_offset = role.region * plan.region_columns * plan.position_bytes;
  for (int first_row = 0; first_row < plan.rows; first_row += plan.stage_rows) {
    const int positions = stage_rows(plan, first_row) * plan.region_columns;
    walk.run(ring.wait() + region_offset, positions,
             [&](const unsigned char* position, bool valid) { pooling.take(position, valid); });
    ring.release();
  }
}

}  // namespace lnlattennet::cuda::cluster
