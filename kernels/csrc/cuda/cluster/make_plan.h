// Makes plans: pure functions of problem and device, no CUDA calls.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "../common/online_softmax.cuh"
#include "../region_attention.h"
#include "plan.h"

namespace lnlattennet::cuda::cluster {

inline int divide_up(int value, int divisor) { return (value + divisor - 1) / divisor; }

inline int round_up(int value, int multiple) { return divide_up(value, multiple) * multiple; }

inline bool aligned(const void* pointer, int64_t bytes = 0) {
  return (reinterpret_cast<uintptr_t>(pointer) | static_cast<uintptr_t>(bytes)) % 16 == 0;
}

// True if every row of a tile is one chunk that the copy engine takes: 16-byte units, channels innermost.
inline bool copies_in_bulk(const FeatureMap& map) {
  const int64_t bytes = element_bytes(map.dtype);
  return map.dtype != DType::f64 && map.channel_stride == 1 && map.column_stride == map.channels &&
         aligned(map.data, map.channels * bytes) && aligned(nullptr, map.row_stride * bytes) &&
         aligned(nullptr, map.batch_stride * bytes);
}

// The learned tensors are read and prefetched 16 bytes at a time; their rows are as long as a position's channels.
inline bool parameters_aligned(const RegionAttention& problem, const NonlocalAttention* nonlocal) {
  return aligned(problem.query) &&
         (nonlocal == nullptr || (aligned(nonlocal->position) && aligned(nonlocal->query_weight) &&
                                  aligned(nonlocal->key_weight) && aligned(nonlocal->value_weight)));
}

// The numbers that plans hold as int stay far below its limit, and the tiles' warps are enough.
inline bool sizes_fit(const RegionAttention& problem, const NonlocalAttention* nonlocal, Variant variant) {
  const FeatureMap& map = problem.features;
  const int64_t tiles = variant == Variant::cluster_bands ? problem.grid : problem.grid * problem.grid;
  const int64_t tile_regions = variant == Variant::cluster_bands ? problem.grid : 1;
  const int64_t largest_cluster = nonlocal == nullptr ? 256 : variant == Variant::cluster_bands ? 8 : 16;
  return map.batch >= 1 && tiles <= largest_cluster && tile_regions * problem.heads <= kMaxWarps &&
         map.channels <= kMaxChannels && map.height <= (1 << 20) && map.width * map.channels <= (1 << 20) &&
         map.batch * tiles <= INT32_MAX && (nonlocal == nullptr || nonlocal->width <= 4096);
}

// Lanes that share a position: a power of two.
inline int position_lanes(int channels) {
  int lanes = 2;
  while (lanes * kLaneChannels < channels) lanes *= 2;
  return lanes;
}

// As many rows as fit, unless fewer keep the lanes busier: a region's positions in a stage are dealt out in rounds of
// one to each group.
inline int choose_stage_rows(const Plan& plan, int largest_stage) {
  const int most = std::clamp(largest_stage / plan.row_bytes, 1, plan.rows);
  int best = 1;
  double best_use = 0;
  for (int rows = 1; rows <= most; ++rows) {
    const int positions = rows * plan.region_columns;
    const double use = static_cast<double>(positions) / round_up(positions, plan.groups);
    if (use > best_use - 0.01) best = rows, best_use = std::max(best_use, use);
  }
  return best;
}

inline void plan_walk(Plan& plan) {
  plan.groups = plan.parts * (kWarpSize / plan.lanes);
  plan.step_columns = plan.groups % plan.region_columns;
  plan.step_bytes = plan.groups / plan.region_columns * plan.row_bytes + plan.step_columns * plan.position_bytes;
  plan.wrap_bytes = plan.row_bytes - plan.region_columns * plan.position_bytes;
}

// `share`: shared memory that the ring can have.
inline void plan_ring(Plan& plan, int share) {
  const int ring = std::min(96 * 1024, share);
  plan.stage_rows = choose_stage_rows(plan, ring / 3);
  plan.stage_bytes = plan.stage_rows * plan.row_bytes;
  const int needed = divide_up(plan.rows, plan.stage_rows);
  plan.stages = std::min(needed, std::clamp(ring / plan.stage_bytes, 2, kMaxStages));
}

inline Scratch plan_scratch(const Plan& plan, bool nonlocal) {
  Scratch scratch{};
  int end = 0;
  const auto take = [&end](int floats) {
    const int start = end;
    end += round_up(floats, 4);  // rows are read 16 bytes at a time
    return start;
  };
  scratch.partials = take(plan.warps * kWarpSize * (2 * kLaneChannels + 2));
  scratch.normalizers = take(plan.warps * 2);
  scratch.means = take(plan.tile_regions * plan.channels);
  if (nonlocal) {
    scratch.tokens = take(plan.regions * plan.token_stride);
    scratch.projected = take(3 * plan.slice * plan.regions);
    scratch.products = take(plan.regions * plan.regions);
    scratch.affinity = take(plan.regions * (plan.regions + 1));
    scratch.contexts = take(plan.slice * plan.regions);
    scratch.logits = take(plan.regions);
    scratch.weights = take(plan.regions);
  }
  scratch.size = end;
  return scratch;
}

inline void plan_tile(Plan& plan, const RegionAttention& problem, Variant variant) {
  const FeatureMap& map = problem.features;
  const int grid = static_cast<int>(problem.grid);
  const bool bands = variant == Variant::cluster_bands;
  plan.regions = grid * grid;
  plan.tiles = bands ? grid : plan.regions;
  plan.tile_regions = bands ? grid : 1;
  plan.rows = static_cast<int>(map.height) / grid;
  plan.region_columns = static_cast<int>(map.width) / grid;
  plan.columns = plan.region_columns * plan.tile_regions;
  plan.channels = static_cast<int>(map.channels);
  plan.heads = static_cast<int>(problem.heads);
  plan.position_bytes = static_cast<int>(map.channels * element_bytes(map.dtype));
  plan.row_bytes = plan.columns * plan.position_bytes;
  plan.dense = map.row_stride == static_cast<int64_t>(plan.columns) * map.channels;
}

inline void plan_shared_memory(Plan& plan, const NonlocalAttention* nonlocal, int shared_bytes) {
  // Two blocks on a multiprocessor (each costs 1 KiB of its own), so that one computes while the other waits.
  const int share = (shared_bytes + 1024) / 2 - 1024 - kRingOffset;
  const int parameter_bytes = nonlocal == nullptr ? 0 : static_cast<int>(element_bytes(nonlocal->parameters));
  int weights = 3 * plan.slice * plan.channels * parameter_bytes;
  plan.stages_weights = 0 < weights && weights <= share / 4;
  if (!plan.stages_weights) weights = 0;
  plan_ring(plan, share - weights);
  plan.scratch = plan_scratch(plan, nonlocal != nullptr);
  plan.weights_offset = kRingOffset + round_up(std::max(plan.stages * plan.stage_bytes, plan.scratch.size * 4), 16);
  plan.shared_bytes = plan.weights_offset + weights;
}

// Only for problems whose sizes_fit and features that copies_in_bulk; `shared_bytes` is what a block can have. A plan
// may come out larger than that.
inline Plan make_plan(const RegionAttention& problem, const NonlocalAttention* nonlocal, Variant variant,
                      int shared_bytes) {
  Plan plan{};
  plan_tile(plan, problem, variant);
  plan.lanes = position_lanes(plan.channels);
  plan.parts = std::max(1, 8 / (plan.tile_regions * plan.heads));
  plan.warps = plan.tile_regions * plan.heads * plan.parts;
  plan_walk(plan);
  plan.width = nonlocal == nullptr ? 0 : static_cast<int>(nonlocal->width);
  plan.slice = divide_up(plan.width, plan.tiles);
  plan.token_stride = plan.channels + 4;  // spreads the tokens over the memory's banks
  plan.score_scale = kLog2E<float> / std::sqrt(static_cast<float>(plan.channels));
  plan.product_scale = kLog2E<float> / std::sqrt(static_cast<float>(std::max(1, plan.width)));
  plan_shared_memory(plan, nonlocal, shared_bytes);
  return plan;
}

// The variant that came out best on an H100 (docs/records/attention.md has the figures): bands, except for few images
// without an epilogue. There a block per region is up to 9% faster than the portable kernel on a map that is not in the
// cache, and 12 to 18% slower as a single call.
inline Variant fastest(const RegionAttention& problem, const NonlocalAttention* nonlocal, int multiprocessors) {
  const bool few = problem.features.batch * problem.grid * problem.grid <= 2 * multiprocessors;
  return few && nonlocal == nullptr ? Variant::portable : Variant::cluster_bands;
}

}  // namespace lnlattennet::cuda::cluster
