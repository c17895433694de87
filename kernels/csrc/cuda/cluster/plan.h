// Plan of a problem: its spread over thread blocks, warps and shared memory; computed on the host, read by the kernel.
//
// A tile is what one thread block pools: a band (`grid` regions side by side, over the image's full width) or one
// region. The tiles of an image make up a cluster.
#pragma once

#include <cstdint>

#include "../../core/problem.h"

namespace lnlattennet::cuda::cluster {

constexpr int kWarpSize = 32;
constexpr int kMaxWarps = 16;  // that compute; one more copies
constexpr int kMaxThreads = (kMaxWarps + 1) * kWarpSize;
constexpr int kMaxStages = 4;
constexpr int kLaneChannels = 16;  // channels of a position that a lane holds in registers
constexpr int kMaxChannels = kWarpSize * kLaneChannels;
constexpr int kRingOffset = 128;  // bytes; the barriers lie before it

// Offsets of the floats that take the ring's place once all of it is read; in floats from the ring's start.
struct Scratch {
  int partials;     // [warps][groups of lanes][pooled, sum][channels of a group], and padding
  int normalizers;  // [warps][maximum, sum]
  int means;        // [tile_regions][channels]
  int tokens;       // [regions][token_stride]
  int projected;    // [query, key, value][slice][regions]
  int products;     // [regions][regions]: this block's part of every <q, k>
  int affinity;     // [regions][regions + 1]
  int contexts;     // [slice][regions]
  int logits;       // [regions]: this block's part
  int weights;      // [regions]
  int size;
};

struct Plan {
  int tiles, tile_regions, regions;   // tiles of an image, regions of a tile, regions of an image
  int rows, columns, region_columns;  // of a tile, in positions; columns of one of its regions
  int channels, heads;
  int lanes;                     // that share a position
  int parts, warps;              // warps that share a region and head; all that compute
  int groups;                    // of lanes that share a region and head: each takes every groups-th position,
  int step_columns, step_bytes;  // which is so far behind the one before, or, if that is past the region's
  int wrap_bytes;                // last column, so much farther
  int stages, stage_rows;        // the ring: rows of the tile that one stage holds
  int position_bytes, row_bytes, stage_bytes;
  bool dense;                      // the tile is one chunk of memory, not one per row
  int width, slice, token_stride;  // the non-local d, the part of d of one block, floats between tokens
  bool stages_weights;             // in shared memory, at this offset in bytes
  int weights_offset;
  float score_scale, product_scale;  // log2(e) / sqrt(channels), log2(e) / sqrt(width)
  Scratch scratch;
  int shared_bytes;
};

// All that a launch needs.
struct Arguments {
  RegionAttention attention;
  RegionOutputs outputs;
  bool has_nonlocal;
  NonlocalAttention nonlocal;
  NonlocalOutputs nonlocal_outputs;
  Plan plan;
};

// A source file per type, so that they compile side by side.
using Kernel = void (*)(Arguments);

// The kernel for `lanes` lanes (2, 4, ..., 32) that share a position.
Kernel half_kernel(int lanes);
Kernel bfloat16_kernel(int lanes);
Kernel float_kernel(int lanes);

}  // namespace lnlattennet::cuda::cluster
