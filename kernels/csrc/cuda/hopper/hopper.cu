#include "hopper.h"

#include <map>
#include <mutex>
#include <tuple>

#include "../host.cuh"
#include "kernels.h"
#include "planning.h"

namespace lnlattennet::cuda::hopper {
namespace {

Kernel choose_kernel(DType dtype, int lanes) {
  switch (dtype) {
    case DType::f16:
      return half_kernel(lanes);
    case DType::bf16:
      return bfloat16_kernel(lanes);
    default:
      return float_kernel(lanes);
  }
}

// Without a tail the blocks have nothing to tell each other.
LaunchShape launch_shape(const RegionAttention& problem, const NonlocalAttention* tail, const Plan& plan) {
  LaunchShape shape;
  shape.blocks = problem.features.batch * plan.tiles;
  shape.threads = (plan.warps + 1) * kWarpSize;
  shape.shared_bytes = plan.shared_bytes;
  shape.cluster = tail == nullptr ? 1 : plan.tiles;
  shape.overlap = true;
  return shape;
}

// Whether the device can hold one cluster at all; of blocks on their own CUDA refuses to say so. Asking takes
// microseconds, so answers are kept, for devices that have the same limits together.
bool cluster_fits(const DeviceLimits& limits, Kernel kernel, const LaunchShape& shape) {
  if (shape.cluster == 1) return true;
  static std::mutex mutex;
  static std::map<std::tuple<int, int, int, Kernel, int, int64_t, int>, bool> answers;
  const std::lock_guard lock(mutex);
  const auto [answer, is_new] =
      answers.try_emplace({limits.capability, limits.processors, limits.shared_bytes, kernel, shape.threads,
                           shape.shared_bytes, shape.cluster});
  if (is_new) {
    int clusters = 0;
    answer->second = active_clusters(kernel, shape, clusters) == cudaSuccess && clusters > 0;
  }
  return answer->second;
}

bool supports(const RegionAttention& problem, const NonlocalAttention* tail, Variant variant,
              const DeviceLimits& limits) {
  if (limits.capability < 90 || !sizes_fit(problem, tail, variant) || !copies_in_bulk(problem.features) ||
      !parameters_aligned(problem, tail)) {
    return false;
  }
  const Plan plan = make_plan(problem, tail, variant, limits.shared_bytes);
  return plan.shared_bytes <= limits.shared_bytes &&
         cluster_fits(limits, choose_kernel(problem.features.dtype, plan.lanes),
                      launch_shape(problem, tail, plan));
}

}  // namespace

bool supports(const RegionAttention& problem, const NonlocalAttention* tail, Variant variant) {
  DeviceLimits limits;
  return device_limits(limits) == cudaSuccess && supports(problem, tail, variant, limits);
}

Variant preferred(const RegionAttention& problem, const NonlocalAttention* tail) {
  DeviceLimits limits;
  if (device_limits(limits) != cudaSuccess) return Variant::portable;
  const Variant variant = fastest(problem, tail, limits.processors);
  return supports(problem, tail, variant, limits) ? variant : Variant::portable;
}

const char* region_attention(const RegionAttention& problem, const RegionOutputs& outputs,
                             const NonlocalAttention* tail, const NonlocalOutputs* tail_outputs, Variant variant,
                             void* stream) {
  DeviceLimits limits;
  if (const char* failure = message(device_limits(limits))) return failure;
  const Plan plan = make_plan(problem, tail, variant, limits.shared_bytes);
  Arguments arguments{problem, outputs, tail != nullptr, {}, {}, plan};
  if (tail != nullptr) {
    arguments.tail = *tail;
    arguments.tail_outputs = *tail_outputs;
  }
  const Kernel kernel = choose_kernel(problem.features.dtype, plan.lanes);
  return message(launch_kernel(kernel, launch_shape(problem, tail, plan), stream, arguments));
}

}  // namespace lnlattennet::cuda::hopper
