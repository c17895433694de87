// The ring through which a tile's rows reach a block: bulk copies by one warp, read by the others. Every stage has two
// barriers: `full` (the bytes have come) and `empty` (every computing warp has read them).
//
// Stage i of the tile lies in slot i % stages, and is use i / stages of that slot: a barrier's phase, whose parity
// is what waits look at.
#pragma once

#include "../device.cuh"
#include "plan.h"

namespace lnlattennet::cuda::hopper {

// Rows of the stage that begins with row `first_row` of the tile.
__device__ inline int stage_rows(const Plan& plan, int first_row) {
  return plan.rows - first_row < plan.stage_rows ? plan.rows - first_row : plan.stage_rows;
}

class Ring {
 public:
  __device__ explicit Ring(const Plan& plan)
      : plan_(plan), full_(shared_memory<CopyBarrier>()), empty_(full_ + kMaxStages) {}

  // By one thread, before a __syncthreads.
  __device__ void initialise() {
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

}  // namespace lnlattennet::cuda::hopper
