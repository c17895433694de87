// Forward pass for contiguous features: a block per band. It reads the band twice, the second time from L2.
#include <algorithm>

#include "../common/launch.cuh"
#include "../nonlocal/attention.cuh"
#include "../region_attention.h"
#include "band.cuh"

namespace lnlattennet::cuda {
namespace {

// The block's shared memory, in elements.
struct BandMemory {
  int64_t staged, stats, columns, end;  // the scores come first

  __host__ __device__ BandMemory(const BandTask& task, const BandShares& shares)
      : staged((band_dots_elements(task, shares, 1) + 3) / 4 * 4),
        stats(staged + band_staged_elements(task, 1)),
        columns(stats + band_stats_elements(task)),
        end(columns + band_columns_elements(task, shares)) {}
};

// One head of one band; `mean` is null for all heads but one.
template <class T, int kWidth>
__device__ __forceinline__ void pool_band(const BandTask& task, const BandBlock& block, int head, T* pooled, T* mean) {
  using A = Accumulate<T>;
  const BandShares shares(task, kWidth);
  const BandMemory memory(task, shares);
  A* scores = shared_memory<A>();
  const A scale = kLog2E<A> * inverse_root(static_cast<A>(task.channels));
  const A one_position = inverse(A(task.region_positions()));
  const int first_region = block.band * task.grid;
  band_dots<T, kWidth, 1>(task, block, shares, scores, scores + memory.staged, [&](int, int region, int channel) {
    const int64_t row = static_cast<int64_t>(first_region + region) * task.heads + head;
    return scale * load_parameter<T>(task.query, row * task.channels + channel, task.parameters);
  });
  band_softmax<false>(task, shares.lanes, scores, scores, scores, scores, scores + memory.stats);
  band_sums<T, kWidth>(task, block, shares, scores, scores + memory.columns,
                       [&](int region, int channel, A weighted, A plain) {
                         const int64_t k = block.image * task.regions() + first_region + region;
                         pooled[(k * task.heads + head) * task.channels + channel] = narrow<T>(weighted);
                         if (mean) mean[k * task.channels + channel] = narrow<T>(plain * one_position);
                       });
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kBandThreads, 2)
    contiguous_forward_kernel(const BandTask task, const RegionOutputs outputs,
                              const __grid_constant__ NonlocalEpilogue epilogue) {
  const BandBlock block = band_block(task);
#pragma unroll 1
  for (int head = 0; head < task.heads; ++head) {
    pool_band<T, kWidth>(task, block, head, static_cast<T*>(outputs.pooled),
                         head == 0 ? static_cast<T*>(outputs.mean) : nullptr);
  }
  run_epilogue<T>(epilogue, static_cast<unsigned>(task.grid), outputs.mean);
}

template <class T, int kWidth>
const char* launch(const RegionAttention& problem, const RegionOutputs& outputs, const NonlocalEpilogue& epilogue,
                   void* stream) {
  const BandTask task = band_task(problem);
  const BandMemory memory(task, BandShares(task, kWidth));
  const int64_t bytes = memory.end * static_cast<int64_t>(sizeof(Accumulate<T>));
  const LaunchShape shape{
      problem.features.batch * problem.grid, kBandThreads,
      std::max(bytes, nonlocal_shared_bytes(epilogue.attention, problem.features.dtype, kBandThreads))};
  return message(launch_kernel(contiguous_forward_kernel<T, kWidth>, shape, stream, task, outputs, epilogue));
}

template <class T>
const char* launch_width(const RegionAttention& problem, const RegionOutputs& outputs, const NonlocalEpilogue& epilogue,
                         void* stream) {
  const int width = band_width(problem.features);
  if (width == kWidest<T>) return launch<T, kWidest<T>>(problem, outputs, epilogue, stream);
  if constexpr (sizeof(T) == 2) {
    if (width == 4) return launch<T, 4>(problem, outputs, epilogue, stream);
  }
  return launch<T, 1>(problem, outputs, epilogue, stream);
}

}  // namespace

bool contiguous_forward_fits(const RegionAttention& problem, int64_t shared_bytes) {
  if (problem.features.column_stride != 1 || problem.features.dtype == DType::f64) return false;
  const BandTask task = band_task(problem);
  const BandMemory memory(task, BandShares(task, band_width(problem.features)));
  return memory.end * static_cast<int64_t>(sizeof(float)) <= shared_bytes;
}

const char* contiguous_forward(const RegionAttention& problem, const RegionOutputs& outputs,
                               const NonlocalEpilogue& epilogue, void* stream) {
  switch (problem.features.dtype) {
    case DType::f16: return launch_width<Half>(problem, outputs, epilogue, stream);
    case DType::bf16: return launch_width<BFloat16>(problem, outputs, epilogue, stream);
    default: return launch_width<float>(problem, outputs, epilogue, stream);
  }
}

}  // namespace lnlattennet::cuda
