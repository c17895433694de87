// Backward pass for any strides: a block per region.
#include "backward.cuh"

#include "../common/launch.cuh"
#include "../region_attention.h"

namespace lnlattennet::cuda {
namespace {

template <class Tile>
__global__ void __launch_bounds__(Tile::kMaxThreads, Tile::kMinBlocks)
    channels_last_backward_kernel(const __grid_constant__ BackwardTask task) {
  const RegionThread self = region_thread(task.region);
  const BackwardMemory<Tile> memory(blockDim.x, self.lanes, task.region.heads);
  if (Tile::kOnePass) stage_vectors(memory, task, self);
  query_pass(memory, task, self);
#pragma unroll 1
  for (int span = 0; span < (Tile::kOnePass ? 1 : task.region.channels); span += memory.span) {
    features_pass(memory, task, self, span);
  }
}

constexpr int64_t kMaxShared = 48 * 1024;

template <class Tile>
int64_t shared_bytes(const RegionAttention& problem, int threads, int lanes) {
  return BackwardMemory<Tile>(threads, lanes, static_cast<int>(problem.heads)).end() *
         static_cast<int64_t>(sizeof(typename Tile::A));
}

template <class Tile>
const char* launch(const BackwardProblem& problem, void* stream) {
  const RegionAttention& regions = problem.regions;
  DeviceLimits limits{};
  if (const char* failure = message(device_limits(limits))) return failure;
  const int lane_bits = region_lane_bits(regions.features.channels, Tile::kChannels);
  const int threads = region_threads(regions, lane_bits, Tile::kUnroll, Tile::kMaxThreads, limits.processors);
  const BackwardTask task = {region_task(regions, lane_bits),
                             problem.gradients.pooled,
                             problem.gradients.mean,
                             const_cast<void*>(problem.grad_features.data),
                             problem.grad_features.batch_stride,
                             problem.grad_features.channel_stride,
                             problem.grad_features.row_stride,
                             problem.grad_features.column_stride,
                             problem.grad_query};
  const LaunchShape shape{regions.features.batch * regions.grid * regions.grid, threads,
                          shared_bytes<Tile>(regions, threads, 1 << lane_bits)};
  return message(launch_kernel(channels_last_backward_kernel<Tile>, shape, stream, task));
}

template <class Tile>
bool fits_one_pass(const RegionAttention& problem) {
  const int lane_bits = region_lane_bits(problem.features.channels, Tile::kChannels);
  return problem.features.channels <= 32 * Tile::kChannels &&
         shared_bytes<Tile>(problem, Tile::kMaxThreads, 1 << lane_bits) <= kMaxShared;
}

}  // namespace

const char* channels_last_backward(const BackwardProblem& problem, void* stream) {
  const bool words = region_in_words(problem.regions.features) && region_in_words(problem.grad_features);
  return dispatch(problem.regions.features.dtype, [&](auto element) {
    using T = decltype(element);
    if constexpr (sizeof(T) < 8) {
      constexpr int kWidth = kWidest<T>, kPackets = 8 / kWidth;
      using OnePass = BackwardTile<T, kWidth, kPackets, true>;
      if (words && fits_one_pass<OnePass>(problem.regions)) return launch<OnePass>(problem, stream);
      if (words) return launch<BackwardTile<T, kWidth, kPackets, false>>(problem, stream);
    }
    return launch<BackwardTile<T, 1, sizeof(T) < 8 ? 8 : 4, false>>(problem, stream);
  });
}

}  // namespace lnlattennet::cuda
