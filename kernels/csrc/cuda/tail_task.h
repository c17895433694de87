// Host side of the tail: its limits, and whether its working memory fits a block's shared memory.
#pragma once

#include "last_block.cuh"
#include "launch.h"

namespace lnlattennet::cuda {

inline int64_t accumulation_bytes(DType dtype) { return dtype == DType::f64 ? 8 : 4; }

// Dynamic shared memory for the tail of an image after features (or means) of this type; 0 if that is more than every
// device grants, and so much that hardly any blocks would share a multiprocessor.
inline int64_t tail_shared_bytes(const NonlocalAttention& tail, DType features, int threads) {
  constexpr int64_t kMost = 48 * 1024;
  const int64_t bytes = tail_elements(tail, threads) * accumulation_bytes(features);
  return bytes <= kMost ? bytes : 0;
}

// No kernel gives a tail more threads than this.
inline constexpr int kMostTailThreads = 1024;

inline const char* check_tail(const NonlocalAttention& tail) {
  constexpr int64_t kMost = int64_t{1} << 30;
  if (tail_elements(tail, kMostTailThreads) > kMost || tail.batch > kMost) {
    return "nonlocal attention: regions x (channels + 3 x width) must not exceed 2^30; use a coarser grid";
  }
  return nullptr;
}

}  // namespace lnlattennet::cuda
