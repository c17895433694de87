// Launches the region-per-block forward pass with the tile that fits the type, alignment, channels and heads.
#include <algorithm>

#include "forward.h"
#include "host.cuh"
#include "merge_groups.cuh"
#include "region_launch.h"
#include "tail_task.h"

namespace lnlattennet::cuda {
namespace {

template <class Tile>
__device__ __forceinline__ void pool_region(const RegionTask& task, const RegionThread& self, int first_head, int span,
                                            const RegionOutputs& outputs) {
  ForwardState<Tile> state;
  load_query(state, task, self, first_head, span);
  pool_positions(state, task, self, first_head, span);
  merge_groups(state, task, self, first_head, span, outputs);
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kMaxThreads, Tile::kMinBlocks)
    channels_last_forward_kernel(const RegionTask task, const RegionOutputs outputs,
                                 const __grid_constant__ TailTask tail) {
  const RegionThread self = region_thread(task);
  if constexpr (Tile::kOnePass) {
    pool_region<Tile>(task, self, 0, 0, outputs);
  } else {
    for (int first_head = 0; first_head < task.heads; first_head += Tile::kHeads) {
      for (int span = 0; span < task.channels; span += self.lanes * Tile::kChannels) {
        pool_region<Tile>(task, self, first_head, span, outputs);
      }
    }
  }
  finish_image<typename Tile::T>(tail, static_cast<unsigned>(task.regions()), outputs.mean);
}

template <class Tile>
const char* launch(const RegionAttention& problem, const RegionOutputs& outputs, const TailTask& tail, void* stream) {
  DeviceLimits limits{};
  if (const char* failure = message(device_limits(limits))) return failure;
  const int lane_bits = region_lane_bits(problem.features.channels, Tile::kChannels);
  const int threads = region_threads(problem, lane_bits, Tile::kUnroll, Tile::kMaxThreads, limits.processors);
  constexpr int64_t kBytes = sizeof(typename Tile::A);
  const int64_t sums = GroupSums<Tile>::elements(threads, 1 << lane_bits) * kBytes;
  const LaunchShape shape{problem.features.batch * problem.grid * problem.grid, threads,
                          std::max(sums, tail_shared_bytes(tail.tail, problem.features.dtype, threads))};
  return message(launch_kernel(channels_last_forward_kernel<Tile>, shape, stream, region_task(problem, lane_bits),
                               outputs, tail));
}

// Every tile costs compile time: those that the common shapes gain from, and for each type one that takes any shape.
template <class T>
const char* launch_tile(const RegionAttention& problem, const RegionOutputs& outputs, const TailTask& tail,
                        void* stream) {
  const int64_t channels = problem.features.channels, heads = problem.heads;
  if constexpr (sizeof(T) < 8) {
    constexpr int kWidth = kWidest<T>, kFew = 8 / kWidth, kMany = 16 / kWidth;
    if (region_in_words(problem.features)) {
      using Few = ForwardTile<T, kWidth, kFew, 1, true>;
      using Many = ForwardTile<T, kWidth, kMany, 1, true>;
      if (heads == 1 && channels <= 32 * Few::kChannels) return launch<Few>(problem, outputs, tail, stream);
      if (heads == 1 && channels <= 32 * Many::kChannels) return launch<Many>(problem, outputs, tail, stream);
      return launch<ForwardTile<T, kWidth, kFew, 2, false>>(problem, outputs, tail, stream);
    }
  }
  return launch<ForwardTile<T, 1, 8, 1, false>>(problem, outputs, tail, stream);
}

}  // namespace

const char* channels_last_forward(const RegionAttention& problem, const RegionOutputs& outputs, const TailTask& tail,
                                  void* stream) {
  return dispatch(problem.features.dtype, [&](auto element) {
    return launch_tile<decltype(element)>(problem, outputs, tail, stream);
  });
}

}  // namespace lnlattennet::cuda
