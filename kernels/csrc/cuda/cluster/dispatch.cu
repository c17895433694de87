// Checks whether a cluster kernel can run a problem, picks one and launches it.
#include "dispatch.h"

#include <map>
#include <mutex>
#include <tuple>

#include "../common/launch.cuh"
#include "make_plan.h"

namespace lnlattennet::cuda::cluster {
namespace {

Kernel choose_kernel(DType dtype, int lanes) {
  switch (dtype) {
    case DType::f16: return half_kernel(lanes);
    case DType::bf16: return bfloat16_kernel(lanes);
    default: return float_kernel(lanes);
  }
}

// Without an epilogue the blocks exchange nothing.
LaunchShape launch_shape(const RegionAttention& problem, const NonlocalAttention* nonlocal, const Plan& plan) {
  LaunchShape shape;
  shape.blocks = problem.features.batch * plan.tiles;
  shape.threads = (plan.warps + 1) * kWarpSize;
  shape.shared_bytes = plan.shared_bytes;
  shape.cluster = nonlocal == nullptr ? 1 : plan.tiles;
  shape.overlap = true;
  return shape;
}

// True if the device can hold one cluster at all; CUDA answers that for launches with clusters only. The call takes
// microseconds, so answers are kept, one for all devices with the same limits.
bool cluster_fits(const DeviceLimits& limits, Kernel kernel, const LaunchShape& shape) {
  if (shape.cluster == 1) return true;
  static std::mutex mutex;
  static std::map<std::tuple<int, int, int, Kernel, int, int64_t, int>, bool> answers;
  const std::lock_guard lock(mutex);
  const auto [answer, is_new] = answers.try_emplace({limits.capability, limits.processors, limits.shared_bytes, kernel,
                                                     shape.threads, shape.shared_bytes, shape.cluster});
  if (is_new) {
    int clusters = 0;
    answer->second = active_clusters(kernel, shape, clusters) == cudaSuccess && clusters > 0;
  }
  return answer->second;
}

bool supports(const RegionAttention& problem, const NonlocalAttention* nonlocal, Variant variant,
              const DeviceLimits& limits) {
  if (limits.capability < 90 || !sizes_fit(problem, nonlocal, variant) || !copies_in_bulk(problem.features) ||
      !parameters_aligned(problem, nonlocal)) {
    return false;
  }
  const Plan plan = make_plan(problem, nonlocal, variant, limits.shared_bytes);
  return plan.shared_bytes <= limits.shared_bytes &&
         cluster_fits(limits, choose_kernel(problem.features.dtype, plan.lanes), launch_shape(problem, nonlocal, plan));
}

}  // namespace

bool supports(const RegionAttention& problem, const NonlocalAttention* nonlocal, Variant variant) {
  DeviceLimits limits;
  return device_limits(limits) == cudaSuccess && supports(problem, nonlocal, variant, limits);
}

Variant preferred(const RegionAttention& problem, const NonlocalAttention* nonlocal) {
  DeviceLimits limits;
  if (device_limits(limits) != cudaSuccess) return Variant::portable;
  const Variant variant = fastest(problem, nonlocal, limits.processors);
  return supports(problem, nonlocal, variant, limits) ? variant : Variant::portable;
}

const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* nonlocal, const NonlocalOutputs* nonlocal_outputs,
                             Variant variant, void* stream) {
  DeviceLimits limits;
  if (const char* failure = message(device_limits(limits))) return failure;
  const Plan plan = make_plan(problem, nonlocal, variant, limits.shared_bytes);
  Arguments arguments{problem, outputs, nonlocal != nullptr, {}, {}, plan};
  if (nonlocal != nullptr) {
    arguments.nonlocal = *nonlocal;
    arguments.nonlocal_outputs = *nonlocal_outputs;
  }
  const Kernel kernel = choose_kernel(problem.features.dtype, plan.lanes);
  return message(launch_kernel(kernel, launch_shape(problem, nonlocal, plan), stream, arguments));
}

}  // namespace lnlattennet::cuda::cluster
