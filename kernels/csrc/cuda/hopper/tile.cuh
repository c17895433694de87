// From the ring into registers: the regions of one tile, by all computing warps of a block.
#pragma once

#include "pooling.cuh"
#include "ring.cuh"

namespace lnlattennet::cuda::hopper {

// Which region of the tile a computing warp pools, for which head, and which share of the positions is its own.
struct Role {
  int region, head, part;

  __device__ Role(const Plan& plan, int warp)
      : region(warp / (plan.parts * plan.heads)), head(warp / plan.parts % plan.heads), part(warp % plan.parts) {}
};

// The positions of a region in a stage that one group of lanes takes: its own number, then every groups-th, row-major.
class Walk {
 public:
  __device__ Walk(const Plan& plan, int group)
      : plan_(plan), group_(group), column_(group % plan.region_columns) {
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

}  // namespace lnlattennet::cuda::hopper
